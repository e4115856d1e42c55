"""`ExecutionPlan`: what will be done, as data: shown, approved, run and audited.

A plan is written by a person or an agent, as JSON or YAML (`stratum.contracts.plans.text`), checked
against the functions and contracts there are (`check`), shown (`render`) and approved by
its digest before any of it runs. docs/plans.md is its manual.
"""

from __future__ import annotations

import hashlib
import shlex
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stratum.contracts.budget import Budget
from stratum.contracts.digest import canonical_json
from stratum.contracts.expressions.expression import classify

Kind = Literal["infer", "compute", "agent", "command", "gate", "plan"]
"""Who does a step: a model, a function, the calling agent, a program, a person, or the steps of another plan."""
TypeReference = str | dict[str, Any]
"""A type's name (`RouteMap`, `list[str]`, `int | None`), or a JSON Schema."""

Id = Annotated[str, Meta(max_length=64)]
Count = Annotated[int, Meta(ge=0, le=100)]


class Ensure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a step's result must satisfy, in one of three forms."""

    expr: str = ""
    """An expression over `result`, `inputs` and `steps`: see docs/expressions.md."""
    command: tuple[str, ...] = ()
    """A program that must exit with 0; run by us, its output kept as evidence."""
    judge: str = ""
    """Plain English, decided by a model on evidence that we gathered."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.expr, self.command, self.judge))) != 1:
            raise ValueError("give exactly one of expr, command and judge, and not an empty one")

    @classmethod
    def read(cls, text: str) -> Ensure:
        """A plain string: an expression if it looks like one, else English."""
        return cls(expr=text) if classify(text) == "expression" else cls(judge=text)

    @property
    def form(self) -> Literal["expression", "command", "judge"]:
        return "expression" if self.expr else "command" if self.command else "judge"

    @property
    def text(self) -> str:
        """As one line, for people."""
        return self.expr or self.judge or shlex.join(self.command)


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A program to run. Its time limit is the step's budget."""

    argv: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Never split or expanded by a shell; an argument may be a reference."""
    cwd: str = ""
    """Below the workspace; empty: the workspace itself."""
    env: dict[str, str] = {}
    """Added to the few variables that every command gets."""
    shell: bool = False
    """Have `sh -c` run `argv[0]`, with the others as `$1`, `$2`."""
    network: bool = False
    """Let it reach the network where commands run in a sandbox; elsewhere nothing keeps it from that."""


class Gate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A question to a person: go on, stop the run, or have something done again."""

    question: str
    revise: Id = ""
    """The earlier step that a revision starts over from; empty: revising is not offered."""
    max_rounds: Annotated[int, Meta(ge=1, le=100)] = 3
    """How often it may be revised before only approving and killing are left."""
    timeout_s: Annotated[float, Meta(gt=0)] | None = None
    on_timeout: Literal["kill", "approve"] = "kill"


class Accumulate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What all times of a repeated step find, kept together: its result has it in the end, whichever time was the best."""

    field: Annotated[str, Meta(min_length=1)]
    """Of the result: a list."""
    key: str = ""
    """A field of each item, which tells whether it was found before; empty: all of the item does."""
    dry: Count = 0
    """So many times in a row without a new item end the repetition; 0: they do not."""


class Repeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Do a step again until its result is good enough; the best result is kept, the earlier of equals."""

    until: str
    """An expression; true ends it."""
    limit: Annotated[int, Meta(ge=1, le=1000)]
    """Times at most. Three equal results in a row end it as well."""
    score: str = ""
    """An expression for a number, the higher the better; empty: the last result is the best."""
    accumulate: Accumulate | None = None


class Estimate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a plan will probably take; worked out when it is shown, and no part of what is approved."""

    calls: int
    picousd: int | None = None
    """`None`: nobody can tell."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step; what it depends on is done first."""

    id: Id
    """Letters, digits, `_` and `-`."""
    fn: Annotated[str, Meta(max_length=128)] = ""
    """A registered function, one of the plan's `plans`, or a name for what the agent is to do."""
    kind: Kind | None = None
    """If not given: `command` and `gate` by those keys, else as `fn` is registered, else `agent`."""
    intent: str = ""
    inputs: dict[str, Any] = {}
    """Arguments by name: values, or references such as `$.input.x` and `$.steps.ID.output.path`."""
    output: TypeReference = ""
    """What it returns; empty: what `fn` says. Of a command: what its output, read as JSON, must be."""
    depends_on: tuple[Id, ...] = ()
    """Besides the steps it refers to."""
    require: Literal["all", "any"] | Annotated[int, Meta(ge=1)] = "all"
    """How many of the steps it waits for must have succeeded; it begins once all of them have ended. Those that failed have null as output."""
    files: Annotated[tuple[Annotated[str, Meta(max_length=256)], ...], Meta(max_length=100)] = ()
    """The only ones that an agent's step or a command may change, as paths or patterns below the workspace: `src/*.py`."""
    ensure: str | Ensure | tuple[str | Ensure, ...] = ()
    """Read it by `conditions`."""
    retries: Count | None = None
    """After a violation; `None`: as the function says, else 3."""
    budget: Budget | None = None
    repair: Id = ""
    """The earlier step that a violation here is sent to, instead of this one; the steps between then run again."""
    when: str = ""
    """An expression; if it is false the step is skipped, and its output is null."""
    on_fail: Id = ""
    """The step that stands in when this one has failed for good: it runs only then, and its output takes this one's place."""
    repeat: Repeat | None = None
    model: str | Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)] = ""
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    """Of an `infer` step; `None`: as its function says, else as the runtime does."""
    command: tuple[str, ...] | Command | None = None
    """Read it by `program`."""
    gate: Gate | None = None

    def __post_init__(self) -> None:
        # One form for one meaning: the digest must not depend on which shorthand was used.
        if self.ensure != ():
            given = self.ensure if isinstance(self.ensure, tuple) else (self.ensure,)
            conditions = tuple(Ensure.read(item) if isinstance(item, str) else item for item in given)
            msgspec.structs.force_setattr(self, "ensure", conditions)
        if isinstance(self.command, tuple):
            if not self.command:
                raise ValueError("a command needs a program to run")
            msgspec.structs.force_setattr(self, "command", Command(argv=self.command))

    @property
    def conditions(self) -> tuple[Ensure, ...]:
        """`ensure`, each in its form."""
        return self.ensure  # type: ignore[return-value]  # made so by __post_init__

    @property
    def starts_over_from(self) -> tuple[str, ...]:
        """The earlier steps that its violations, or a person's revision of it, have done again."""
        named = (self.repair, self.gate.revise if self.gate is not None else "")
        return tuple(id for id in named if id)

    @property
    def program(self) -> Command | None:
        """`command` in full."""
        return self.command  # type: ignore[return-value]  # made so by __post_init__


class ExecutionPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Steps that form a directed acyclic graph, and the limits on all of them together."""

    goal: str = ""
    contracts: dict[str, dict[str, Any]] = {}
    """JSON Schemas by name, for `output`, `input` and one another."""
    input: dict[str, TypeReference] = {}
    """What `$.input` holds, by name, each with its type. If empty, `$.input` is not checked before the run."""
    steps: tuple[Step, ...]
    output: str = ""
    """A reference to what the plan returns; empty: the output of its last step."""
    budget: Budget | None = None
    fail_fast: bool = True
    """Stop everything when a step has failed for good; else finish what does not depend on it."""
    max_in_flight: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Steps at once at most."""
    plans: dict[str, ExecutionPlan] = {}
    """Plans that a step's `fn` may name; they share `contracts`."""
    estimate: Estimate | None = None

    @property
    def digest(self) -> str:
        """64 hex characters: what an approval is bound to. Formatting, key order and the estimate do not matter.

        All of SHA-256: whoever writes the plan could find two with the same 12 characters, and have one approved.
        """
        approved = msgspec.structs.replace(self, estimate=None)
        # As it reads back: `Budget(ms=50)` is 50.0 then, and the plan in the journal is to have the digest of the one proposed.
        read_back = msgspec.convert(msgspec.to_builtins(approved), ExecutionPlan)
        return hashlib.sha256(canonical_json(msgspec.to_builtins(read_back))).hexdigest()
