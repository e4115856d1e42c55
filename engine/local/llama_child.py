"""The embedded model's own process: llama.cpp's OpenAI-compatible server, and nothing of Stratum's.

A process of its own because a crash in native code must not take the host down. It is run as a file and imports the
standard library and xllamacpp only, so that starting it costs the loading of the weights and no more.

The first line of stdin is a JSON object: what to serve. One line of stdout answers it, once requests are accepted:
where. The token comes by stdin because any user of the machine can read another's argv. Stdin stays open for as long
as the parent lives: its end is how this process learns of the parent's death, whatever killed it.
"""

from __future__ import annotations

import faulthandler
import http.client
import importlib
import json
import os
import signal
import sys
import threading
import time
from typing import Any

# The largest model of the catalogue loads in 6 s from a cold disk on 2 cores (2026-11-22).
STARTUP_LIMIT_S = 120


def main() -> None:
    # Ctrl-C reaches the whole foreground group, but whether the model goes is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The loader holds the GIL, so only a thread of C's can still end this process should loading hang.
    faulthandler.dump_traceback_later(STARTUP_LIMIT_S, exit=True)
    config = json.loads(sys.stdin.readline())
    # Not PR_SET_PDEATHSIG: it fires when the *thread* that forked ends, and trio's worker threads do when idle.
    threading.Thread(target=_exit_with_parent, daemon=True).start()

    reply_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what native code prints must not mix with the one line that the parent reads
    server = _listening_server(config)
    _wait_until_healthy(server.listening_address)
    faulthandler.cancel_dump_traceback_later()
    print(json.dumps({"address": server.listening_address}), file=reply_to, flush=True)
    threading.Event().wait()


def _exit_with_parent() -> None:
    # While the weights load, this thread has no GIL: a parent that dies then is noticed some seconds late.
    sys.stdin.read()
    os._exit(0)


def _listening_server(config: dict[str, Any]) -> Any:
    """Load the weights and listen on a free port of the loopback interface, until the result is collected."""
    xllamacpp: Any = importlib.import_module("xllamacpp")  # here only: no other process loads it
    params = xllamacpp.CommonParams()
    params.model.path = config["weights"]
    params.model_alias = {config["model"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [config["token"]]
    params.cors_origins = ""
    params.ui = False
    params.endpoint_slots = False
    params.n_parallel = config["slots"]
    params.n_ctx = config["slots"] * config["context_tokens"]
    params.cpuparams.n_threads = config["decode_threads"]
    params.cpuparams_batch.n_threads = config["prefill_threads"]
    params.cache_ram_mib = 0  # the default may keep 8 GiB of old prompts
    params.verbosity = 1  # errors only: no prompt is ever logged
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        sys.exit(str(error))  # no traceback: what llama.cpp printed before it says more


def _wait_until_healthy(address: str) -> None:
    while True:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=STARTUP_LIMIT_S)
        connection.request("GET", "/health")
        healthy = connection.getresponse().status == 200
        connection.close()
        if healthy:
            return
        time.sleep(0.05)


if __name__ == "__main__":
    main()
