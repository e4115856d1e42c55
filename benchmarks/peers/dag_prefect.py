"""Prefect: a task run a step, with the API server that it starts by itself, unmeasured; a graph's first 100 steps."""

import os

os.environ |= {
    "PREFECT_HOME": os.path.abspath("prefect"),  # in the folder that is gone afterwards
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}

from peer import graph, timed
from prefect import flow, task


@task
def step() -> None:
    return None


@flow
def steps(parents: list[list[int]]) -> None:
    futures = []
    for before in parents:
        futures.append(step.submit(wait_for=[futures[parent] for parent in before]))
    for future in futures:
        future.wait()


parents = graph()[:100]
timed(lambda: steps(parents), units=len(parents))
