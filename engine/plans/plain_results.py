"""`PlainResults`: what the steps of a run that only computed have returned, as JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping


class PlainResults(Mapping[str, bytes]):
    """By id; kept apart for each plan within a plan: to reach into one table of a million ids costs a tenth of a step."""

    def __init__(self) -> None:
        self._by_prefix: dict[str, dict[str, bytes]] = {}

    def of_plan(self, prefix: str) -> dict[str, bytes]:
        """Those of the plan whose steps' ids begin so, by what comes after that. What is noted there is noted here."""
        return self._by_prefix.setdefault(prefix, {})

    def note(self, id: str, output: bytes) -> None:
        """The step has returned this."""
        prefix, name = _apart(id)
        self.of_plan(prefix)[name] = output

    def forget_within(self, ids: Collection[str]) -> None:
        """Forget those of the steps `ids`, and of the plans that they run."""
        for prefix, of_plan in self._by_prefix.items():
            if is_within(prefix[:-1], ids):
                of_plan.clear()
            for name in [name for name in of_plan if prefix + name in ids]:
                del of_plan[name]

    def __getitem__(self, id: str) -> bytes:
        prefix, name = _apart(id)
        return self._by_prefix[prefix][name]

    def __iter__(self) -> Iterator[str]:
        return (prefix + name for prefix, of_plan in self._by_prefix.items() for name in of_plan)

    def __len__(self) -> int:
        return sum(map(len, self._by_prefix.values()))


def is_within(id: str, ids: Collection[str]) -> bool:
    """Whether it is one of the steps `ids`, or a step of a plan that one of them runs."""
    while id not in ids:
        id, slash, _ = id.rpartition("/")
        if not slash:
            return False
    return True


def _apart(id: str) -> tuple[str, str]:
    name_at = id.rfind("/") + 1
    return id[:name_at], id[name_at:]
