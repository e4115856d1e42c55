"""What does a request take in the FastAPI example, beside a bare handler that posts with httpx2 and checks nothing?

The baseline is that handler. Both run under uvicorn in a process of their own, against a model on the loopback interface that answers at once,
with as many clients at a time as the setting says; they take turns. `stratum` is the example as it stands: a flow with two budgets around it,
journal on disk, the engine in its trio thread. Times are the clients', in ms; the machine is shared by service, model and clients. Memory is
what the service's process holds after its last request.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.fakes.openai_server import serve_process
from tests.fakes.service_load import ANSWER, ROOT, Service, load, uvicorn

from benchmarks.counting import Count, report_counts
from benchmarks.open_files import allow_open_files
from benchmarks.options import common_options, parser

BASELINE = "bare httpx2"
APPS = {
    BASELINE: ("bare_service:app", ROOT / "benchmarks"),
    "stratum": ("service_fastapi:app", ROOT / "examples"),
}
QUANTILES = {"p50": 0.5, "p99": 0.99}


@contextmanager
def services() -> Generator[dict[str, Service]]:
    """Each with a folder and a model of its own."""
    with ExitStack() as stack:
        started: dict[str, Service] = {}
        for name, (app, folder) in APPS.items():
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            model = stack.enter_context(serve_process(place / "bills", "--arguments", ANSWER))
            started[name] = stack.enter_context(uvicorn(app, app_dir=folder, cwd=place, model_url=model.url))
        yield started


def counts_of(started: dict[str, Service], *, at_once: int, requests: int, rounds: int) -> list[Count]:
    """Of both services, with so many clients at a time."""
    found: dict[tuple[str, str], list[float]] = {(told, name): [] for told in QUANTILES for name in started}
    for name, service in started.items():
        load(service.port, requests=at_once, at_once=at_once)  # warm
    for _ in range(rounds):
        for name, service in started.items():
            took = load(service.port, requests=requests, at_once=at_once)
            for told, share in QUANTILES.items():
                found[told, name].append(took[int(len(took) * share)] * 1000)
    return [
        Count(
            setting=f"{at_once:,} at once, {told} of {requests:,} requests",
            contender=name,
            values=tuple(values),
            note=f"{started[name].resident_mib():.0f} MiB",
        )
        for (told, name), values in found.items()
    ]


def main() -> None:
    options = common_options(parser(__doc__ or "", rounds=3).parse_args())
    if sys.platform != "linux":
        sys.exit("service: left out: the memory of another process is read from /proc, which only Linux has")
    settings = [(20, 200)] if options.quick else [(1, 200), (100, 1000), (1000, 1000)]
    allow_open_files(
        3 * max(at_once for at_once, _ in settings)
    )  # the service has two sockets for each, and there are others
    with services() as started:
        counts = [
            count
            for at_once, requests in settings
            for count in counts_of(started, at_once=at_once, requests=requests, rounds=options.rounds)
        ]
    packages = ("fastapi", "uvicorn", "httpx2", "trio")
    report_counts(__doc__ or "", counts, options, packages=packages, unit="ms", baseline=BASELINE)


if __name__ == "__main__":
    main()
