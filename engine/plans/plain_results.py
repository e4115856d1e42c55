"""`PlainResults`: what the steps of a run that only computed have returned, as JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping


class PlainResults(Mapping[str, bytes]):
    """By id; inside, by plan and number: to reach into a table of names costs a tenth of a step, and more the larger it is."""

    def __init__(self) -> None:
        self._by_prefix: dict[str, _OfPlan] = {}

    def of_plan(self, prefix: str, numbers: Mapping[str, int]) -> list[bytes | None]:
        """Those of the plan whose steps' ids begin so, by step number. What is noted there is noted here.

        `numbers` has the number of each of its steps, by what comes after the prefix.
        """
        of_plan = self._of_plan(prefix)
        of_plan.number(numbers)
        return of_plan.results

    def note(self, id: str, output: bytes) -> None:
        """The step has returned this."""
        prefix, name = _apart(id)
        self._of_plan(prefix).note(name, output)

    def forget_within(self, ids: Collection[str]) -> None:
        """Forget those of the steps `ids`, and of the plans that they run."""
        for prefix, of_plan in self._by_prefix.items():
            if is_within(prefix[:-1], ids):
                of_plan.forget(of_plan.numbers)
        for prefix, name in map(_apart, ids):
            if prefix in self._by_prefix:
                self._by_prefix[prefix].forget([name])

    def __contains__(self, id: object) -> bool:
        """Without an error to be raised and caught, as `Mapping` has it."""
        return isinstance(id, str) and self._found(id) is not None

    def __getitem__(self, id: str) -> bytes:
        if (result := self._found(id)) is None:
            raise KeyError(id)
        return result

    def __iter__(self) -> Iterator[str]:
        return (prefix + name for prefix, of_plan in self._by_prefix.items() for name in of_plan.done())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _found(self, id: str) -> bytes | None:
        prefix, name = _apart(id)
        of_plan = self._by_prefix.get(prefix)
        if of_plan is None or name not in of_plan.numbers:
            return None
        return of_plan.results[of_plan.numbers[name]]

    def _of_plan(self, prefix: str) -> _OfPlan:
        of_plan = self._by_prefix.get(prefix)
        if of_plan is None:
            of_plan = self._by_prefix[prefix] = _OfPlan()
        return of_plan


class _OfPlan:
    """Those of one plan, by its steps' numbers; until these are known, numbered as they come."""

    def __init__(self) -> None:
        self._as_they_came: dict[str, int] = {}
        self.numbers: Mapping[str, int] = self._as_they_came
        self.results: list[bytes | None] = []

    def number(self, numbers: Mapping[str, int]) -> None:
        """Go by these numbers from now on."""
        if self.numbers is not numbers:
            known = {name: self.results[self.numbers[name]] for name in self.done()}
            self.numbers, self.results = numbers, [None] * len(numbers)
            for name, result in known.items():
                self.results[numbers[name]] = result

    def note(self, name: str, output: bytes) -> None:
        if name not in self.numbers:
            self._as_they_came[name] = len(self.results)
            self.results.append(None)
        self.results[self.numbers[name]] = output

    def done(self) -> Iterator[str]:
        """The names of the steps that have a result."""
        return (name for name, number in self.numbers.items() if self.results[number] is not None)

    def forget(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.numbers:
                self.results[self.numbers[name]] = None


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
