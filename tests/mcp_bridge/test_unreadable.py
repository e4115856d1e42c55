"""Lines that are no message, or hardly one: each is answered, and the server goes on."""

from __future__ import annotations

import json
from pathlib import Path

from tests.mcp_bridge.test_handshake import INITIALIZE
from tests.mcp_bridge.test_stdio import Process

LONGEST = 2_000


def call(value: str) -> str:
    """A call of stratum_status for the plan `value`, which is JSON or nearly."""
    params = f'{{"name":"stratum_status","arguments":{{"plan":{value}}}}}'
    return f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'


UNREADABLE: dict[str, tuple[str, str]] = {
    "no JSON": ('{"jsonrpc":', "Invalid JSON"),
    "no message": ('{"a": 1}', "no JSON-RPC message"),
    "half of a surrogate pair": (call(r'"\ud800"'), "hex escape"),
    "10,000 levels": (call("[" * 10_000 + "]" * 10_000), "recursion limit"),
    "200,000 levels": (call("[" * 200_000 + "]" * 200_000), "recursion limit"),
    "a number of 5,000 digits": (call("9" * 5_000), "number out of range"),
    "50 MB": (call(f'"{"x" * 50_000_000}"'), "longer than 32 MiB"),
}
UNLIKE: dict[str, tuple[bytes, int | None, str]] = {
    "an id that is half a number": (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None, "neither a text nor a whole"),
    "an id that is none": (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', None, "neither a text nor a whole"),
    "params without names": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}', 7, "params are no object"),
    "no UTF-8": (call('"x"').encode().replace(b"x", b"\xff"), None, "it is not UTF-8 (byte "),
}
"""What the SDK would leave without an answer, or pass on changed."""
REFUSED: dict[str, str] = {"NaN": call("NaN"), "a number too great for any float": call("1e400")}


def test_a_line_that_is_no_message_is_refused_and_the_next_one_served(tmp_path: Path) -> None:
    """One server takes them all."""
    server = Process(tmp_path)
    try:
        server.send(INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        server.receive()
        assert server.child.stdin is not None
        for line, told in UNREADABLE.values():
            server.child.stdin.write(line.encode() + b"\n")
            server.child.stdin.flush()
            answer = server.receive()
            assert answer["id"] is None
            assert told in answer["error"]["message"]
            assert len(json.dumps(answer)) < LONGEST
        for sent, request, told in UNLIKE.values():
            server.child.stdin.write(sent + b"\n")
            server.child.stdin.flush()
            answer = server.receive()
            assert answer["id"] == request
            assert told in answer["error"]["message"]
        for line in REFUSED.values():
            server.child.stdin.write(line.encode() + b"\n")
            server.child.stdin.flush()
            answer = server.receive()
            assert answer["id"] == 1
            assert answer["result"]["isError"]
        server.send({"jsonrpc": "2.0", "id": 2, "method": "ping"})
        assert server.receive() == {"jsonrpc": "2.0", "id": 2, "result": {}}
        server.child.stdin.write(b'{"jsonrpc":"2.0","id":3,"method":')
        assert server.leave() == (0, "stratum mcp: ended: the client has left")
    finally:
        server.child.kill()
        server.child.communicate()
