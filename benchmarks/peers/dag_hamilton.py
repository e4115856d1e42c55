"""Hamilton: a function a step, named by its parameters. Building the driver is not measured."""

from hamilton import ad_hoc_utils, driver
from peer import graph, timed

parents = graph()
names: dict[str, object] = {}
for number, before in enumerate(parents):
    parameters = ", ".join(f"s{parent}: int" for parent in before)
    exec(f"def s{number}({parameters}) -> int:\n    return 0", names)  # noqa: S102  # it takes its graph from functions' parameters
functions = [names[f"s{number}"] for number in range(len(parents))]
module = ad_hoc_utils.create_temporary_module(*functions, module_name="steps")
built = driver.Builder().with_modules(module).build()
timed(lambda: built.execute([f"s{number}" for number in range(len(parents))]), units=len(parents))
