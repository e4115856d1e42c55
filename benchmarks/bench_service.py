"""What does a request take in the FastAPI example, beside a bare handler that posts with httpx2 and checks nothing?

Both run under uvicorn in a process of their own, against a model on the loopback interface that answers at once, with as many
clients at a time as the setting says. `stratum` is the example as it stands: a flow with two budgets around it, journal on disk,
the engine in its trio thread. Times are the clients', in ms; the machine is shared by service, model and clients.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.fakes.openai_server import serve_process
from tests.fakes.service_load import ANSWER, ROOT, load, uvicorn

from benchmarks.plot import Bar, draw
from benchmarks.timing import common_options, environment, parser

CONTENDERS = {
    "bare httpx2": ("bare_service:app", ROOT / "benchmarks"),
    "stratum": ("service_fastapi:app", ROOT / "examples"),
}


def main() -> None:
    options = common_options(parser(__doc__ or "").parse_args())
    settings = [(20, 200)] if options.quick else [(1, 200), (100, 1000), (1000, 1000)]
    rows: list[dict[str, float | str]] = []
    for name, (app, folder) in CONTENDERS.items():
        with (
            tempfile.TemporaryDirectory() as place,
            serve_process(Path(place) / "bills", "--arguments", ANSWER) as model,
            uvicorn(app, app_dir=folder, cwd=Path(place), model_url=model.url) as service,
        ):
            for at_once, requests in settings:
                load(service.port, requests=at_once, at_once=at_once)  # warm
                took = load(service.port, requests=requests, at_once=at_once)
                p50, p99 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
                rows.append(
                    {
                        "contender": name,
                        "at_once": at_once,
                        "requests": requests,
                        "p50_ms": p50,
                        "p99_ms": p99,
                        "mib": service.resident_mib(),
                    }
                )
    machine = environment(["fastapi", "uvicorn", "httpx2", "trio"])
    if options.plot is not None:
        bars = [
            Bar(group=f"{row['at_once']} at once", name=str(row["contender"]), value=float(row["p99_ms"]))
            for row in rows
        ]
        draw(
            options.plot / "bench_service.svg", bars, title=(__doc__ or "").splitlines()[0], axis="p99, ms, logarithmic"
        )
    if options.as_json:
        json.dump({"question": __doc__, "machine": machine, "rows": rows}, sys.stdout)
        return
    print((__doc__ or "").splitlines()[0])
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{'':14}  {'at once':>7}  {'p50 ms':>8}  {'p99 ms':>8}  {'MiB':>6}")
    for row in rows:
        print(
            f"{row['contender']:14}  {row['at_once']:>7}  {row['p50_ms']:>8.1f}  {row['p99_ms']:>8.1f}  {row['mib']:>6.0f}"
        )


if __name__ == "__main__":
    main()
