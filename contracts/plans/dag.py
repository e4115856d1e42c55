"""`Dag`: a plan's dependencies as integers, the form in which a million steps stay cheap.

Steps are numbered from 0 in the plan's order. Every walk is a loop over lists, never
a recursion: a chain of a million steps must not end in a `RecursionError`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec


class Dag(msgspec.Struct, frozen=True, gc=False):
    """Who waits for whom. Acyclic only if `cycle` says so: build, ask, then run."""

    successors: tuple[tuple[int, ...], ...]
    """By step: the steps that wait for it, ascending, each named once."""
    in_degrees: tuple[int, ...]
    """By step: how many steps it waits for."""
    roots: tuple[int, ...]
    """Steps that wait for nothing."""

    @classmethod
    def of(cls, predecessors: Sequence[Collection[int]]) -> Dag:
        """A graph from the steps that each step waits for; one named twice counts once.

        Raises:
            IndexError: a predecessor is not a step's number.
        """
        successors: list[list[int]] = [[] for _ in predecessors]
        in_degrees: list[int] = []
        for step, before in enumerate(predecessors):
            distinct = before if len(before) < 2 else set(before)
            in_degrees.append(len(distinct))
            for predecessor in distinct:
                if predecessor < 0:
                    raise IndexError(f"step {step} waits for {predecessor}; number steps from 0")
                successors[predecessor].append(step)
        roots = tuple(step for step, count in enumerate(in_degrees) if count == 0)
        return cls(successors=tuple(map(tuple, successors)), in_degrees=tuple(in_degrees), roots=roots)

    def __len__(self) -> int:
        return len(self.in_degrees)

    def order(self) -> list[int]:
        """A topological order (Kahn, 1962); steps on or behind a cycle are missing from it."""
        waiting = list(self.in_degrees)
        order = list(self.roots)
        for step in order:  # grows while it is walked
            for successor in self.successors[step]:
                waiting[successor] -= 1
                if waiting[successor] == 0:
                    order.append(successor)
        return order

    def cycle(self) -> list[int]:
        """One cycle, each step followed by one that waits for it; empty if there is none."""
        stuck = set(range(len(self))).difference(self.order())
        if not stuck:
            return []
        # Every stuck step waits for another stuck one: going backwards must come round.
        before = {successor: step for step in stuck for successor in self.successors[step] if successor in stuck}
        step = min(before)
        seen: dict[int, int] = {}
        while step not in seen:
            seen[step] = len(seen)
            step = before[step]
        backwards = [walked for walked, place in seen.items() if place >= seen[step]]
        first = backwards.index(min(backwards))
        return (backwards[first + 1 :] + backwards[: first + 1])[::-1]

    def path_lengths(self, weights: Sequence[float] | None = None) -> list[float]:
        """By step: the weight of the heaviest path from it to an end, its own included (1 a step if not given)."""
        lengths: list[float] = [1.0] * len(self) if weights is None else list(weights)
        for step in reversed(self.order()):
            after = self.successors[step]
            if after:
                lengths[step] += max([lengths[successor] for successor in after])
        return lengths

    def descendants(self, step: int) -> set[int]:
        """Every step that waits for `step`, directly or not; not `step` itself."""
        found = set(self.successors[step])
        frontier = list(found)
        while frontier:
            new = set(self.successors[frontier.pop()]) - found
            found |= new
            frontier.extend(new)
        return found

    def ancestors(self, step: int) -> set[int]:
        """Every step that `step` waits for, directly or not; not `step` itself."""
        found = {step}
        for other in reversed(self.order()):
            if not found.isdisjoint(self.successors[other]):
                found.add(other)
        return found - {step}

    def marked_descendants(self, marked: Iterable[int]) -> list[int]:
        """By step: a bit set of those of `marked` that it comes after; bit j is the j-th of them.

        One pass for all of them: a search for each would be quadratic in a hostile plan.
        """
        own: dict[int, int] = {}
        for bit, step in enumerate(marked):
            own[step] = own.get(step, 0) | 1 << bit
        masks = [0] * len(self)
        for step in self.order():
            mask = masks[step] | own.get(step, 0)
            if mask:
                for successor in self.successors[step]:
                    masks[successor] |= mask
        return masks
