"""`python -m tests.fakes`: the server in a process of its own; prints its URL, ends when its standard input does."""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from pathlib import Path

import trio

from stratum.contracts.price import Usage
from tests.fakes import behaviours
from tests.fakes.openai_server import Behaviour, open_server

FAULTS: dict[str, Behaviour] = {
    "429": behaviours.refuses(429, retry_after_s=0.05),
    "500": behaviours.refuses(500),
    "malformed": behaviours.malformed_json,
    "reset": behaviours.resets_mid_body,
    "hang": behaviours.hangs,
    "trickle": behaviours.trickles(interval_s=0.05),
    "wrong-tool": behaviours.answers(tool="another_tool"),
    "refusal": behaviours.answers(text="I cannot help with that.", finish="refusal"),
    "truncated": behaviours.answers(b'{"val', finish="length"),
    "no-usage": behaviours.answers(reports_usage=False),
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, help="append every bill to this file")
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument(
        "--arguments", action="append", help="what the model passes to the tool, as JSON; repeat for later calls"
    )
    parser.add_argument("--usage", metavar="IN,OUT", help="billed for every answer")
    parser.add_argument("--fault", choices=sorted(FAULTS))
    parser.add_argument("--tls", type=Path, metavar="FILE", help="speak TLS; the authority to trust goes to this file")
    parser.add_argument("--fault-every", type=int, default=10, metavar="N")
    return parser.parse_args()


def _behaviour(options: argparse.Namespace) -> Behaviour:
    tokens = [int(count) for count in options.usage.split(",")] if options.usage else None
    scripted = [
        behaviours.answers(
            arguments.encode() if arguments else None,
            usage=Usage(input_tokens=tokens[0], output_tokens=tokens[1]) if tokens else None,
            latency_s=options.latency_ms / 1000,
        )
        for arguments in options.arguments or [None]
    ]
    plain = behaviours.in_order(*scripted)
    if options.fault is None:
        return plain
    return behaviours.every(options.fault_every, FAULTS[options.fault], otherwise=plain)


def _tls(authority_file: Path) -> ssl.SSLContext:
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(authority_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]  # also takes pyOpenSSL's
    return context


async def _main(options: argparse.Namespace) -> None:
    tls = _tls(options.tls) if options.tls else None
    async with open_server(_behaviour(options), tls=tls, log=options.log, port=options.port) as server:
        sys.stdout.write(json.dumps({"url": server.url}) + "\n")
        sys.stdout.flush()
        async with trio.lowlevel.FdStream(sys.stdin.fileno()) as parent:
            while await parent.receive_some():
                pass


trio.run(_main, _options())
