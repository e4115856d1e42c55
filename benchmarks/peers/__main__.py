"""`python -m benchmarks.peers [NAME ...]`: give every peer an environment of its own; say which could not have one."""

from __future__ import annotations

import argparse
import sys

from benchmarks.peers.environments import install, known_peers


def main() -> None:
    peers = known_peers()
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(peers)}; all of them by default")
    names: list[str] = options.parse_args().names
    unknown = set(names) - peers.keys()
    if unknown:
        options.error(f"no such peer: {', '.join(sorted(unknown))}")
    failed = 0
    for name in names or peers:
        peer = peers[name]
        failure = install(peer)
        failed += bool(failure) and not peer.unsupported
        said = f"{'left out' if peer.unsupported else 'failed'}: {failure}" if failure else "installed"
        print(f"{name}: {said}", file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"{failed} of {len(names or peers)} could not be installed; the others can be measured")


main()
