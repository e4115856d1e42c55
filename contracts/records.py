"""The journal's records: everything that happened, in the order it was decided.

The ledger's numbers, a run's state, resume, the audit and live views are all folds over these.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stratum.contracts.price import Usage
from stratum.contracts.trace import Attempt, CallKind, Outcome, TraceRecord
from stratum.contracts.violation import Violation


class _Record(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    elapsed_ms: int = 0
    """Running time of the run when this was decided; downtime between a kill and a resume is not in it."""


class RunStarted(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="run_started"):
    """A flow was started from outside any other, or a session made its first call of its own."""

    session: str
    name: str
    target: str = ""
    """`file.py:flow` or `module:flow`; empty: cannot be resumed by name."""
    inputs: msgspec.Raw = msgspec.Raw(b"{}")
    code_digest: str = ""
    """12 hex characters over the flow's source."""
    limits: dict[str, int] = {}


class RunResumed(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="run_resumed"):
    """A run that ended or was killed goes on."""

    session: str
    code_digest: str = ""


class ScopeOpened(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="scope_opened"):
    """A budget began to count. `scope` is a path of step ids; its ancestors are the path's prefixes."""

    scope: str
    label: str
    limits: dict[str, int]
    """Of `usd` (picodollars), `tokens`, `ms`; an absent one is unlimited."""


class CallStarted(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="call_started"):
    """A step began; a call that ended before it started is not recorded."""

    call: str
    """The step id: unique in the run, the same again when the run is resumed."""
    parent: str = ""
    function: str
    type: CallKind
    input_digest: str
    model: str = ""
    branch: str = ""
    """Which branch of the fan-out around it made the call: branches run in any order, and are told apart on resume."""


class Reserved(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="reserved"):
    """The worst case of one request is held; durable before its first byte is sent."""

    reservation: str
    scope: str
    """The innermost scope charged; every prefix of it is charged too."""
    call: str
    attempt: int
    model: str
    picousd: int
    tokens: int


class Settled(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="settled"):
    """The answer came: what it cost. Written in one transaction with what came of it."""

    reservation: str
    picousd: int
    tokens: int
    usage: Usage | None = None
    estimated: bool = False


class Released(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="released"):
    """Proof that nothing will be billed: refused before sending, or a 4xx."""

    reservation: str
    reason: str


class LeftInDoubt(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="left_in_doubt"):
    """The outcome is unknown: the whole reservation counts until reconciled."""

    reservation: str
    reason: str


class Reconciled(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="reconciled"):
    """A person said what a reservation in doubt really cost."""

    reservation: str
    picousd: int
    tokens: int
    by: str = ""


class LimitRaised(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="limit_raised"):
    """A person gave a scope new limits while the run was live or before it was resumed."""

    scope: str
    limits: dict[str, int]
    by: str = ""


class Answered(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="answered"):
    """An answer that is not, or not yet, the call's result: a resumed run judges it or retries from it, unpaid."""

    call: str
    number: int
    body: str
    """As received, as text."""
    dialect: str = ""
    """The wire format it is in, by name."""


class AttemptFinished(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="attempt_finished"):
    """One request of a call was judged; violations say why it was not accepted."""

    call: str
    attempt: Attempt


class CallFinished(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="call_finished"):
    """A step ended. `output` is what a resumed run gets instead of calling again."""

    call: str
    outcome: Outcome
    output: msgspec.Raw = msgspec.Raw(b"null")
    trace: TraceRecord


class Exhausted(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="exhausted"):
    """A scope refused a reservation, or its time ran out."""

    scope: str
    resource: str
    requested: int = 0


class ClockStopped(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="clock_stopped"):
    """Everything in a scope waits for a person: no time passes in it."""

    scope: str


class ClockStarted(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="clock_started"):
    """Something in the scope goes on."""

    scope: str


class Diverged(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="diverged"):
    """A resumed flow did not make calls again that had completed before; their results were paid for and not used."""

    calls: list[str]
    code_changed: bool


class Leaked(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="leaked"):
    """A thread was abandoned at a deadline and may still be running."""

    call: str
    what: str


class LostWorker(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="lost_worker"):
    """The process in which a step's function ran is gone; if the step goes on, then in another one."""

    call: str
    worker: str
    reason: str


class RunFinished(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="run_finished"):
    """The run ended: how, and with what."""

    state: Literal["succeeded", "failed", "exhausted", "cancelled", "discarded"]
    """`discarded`: of a plan that never began and never will; `error` says who wanted that, and why."""
    output: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


class PlanProposed(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="plan_proposed"):
    """What the run will do once it is approved; a later one, of a plan that was edited, replaces it."""

    plan: msgspec.Raw
    digest: str
    """64 hex characters: what an approval is bound to, the inputs included."""
    by: str = ""
    modules: tuple[str, ...] = ()
    """Where the functions that it names are, as `file.py` or a module's name: for whoever goes on with it."""


class Approved(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="approved"):
    """A person, or the policy that a person wrote, approved the plan."""

    digest: str
    by: str
    how: str
    """`terminal`, `elicitation`, `page`, `policy` or `python`."""


class StepDone(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A step of a plan that only computed."""

    step: str
    output: msgspec.Raw
    duration_us: int = 0


class StepsDone(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="steps_done"):
    """Steps of a plan that only computed, in the order in which they were done: many a record, since they cost so little."""

    steps: list[StepDone]


class Skipped(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="skipped"):
    """A step of a plan is not done, and its output is null."""

    call: str
    why: str


class Joined(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="joined"):
    """A join begins without steps that failed: they are not tried again when the run is gone on with."""

    call: str
    without: list[str]
    """Those, and what was never begun because of them."""


class HandedOut(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="handed_out"):
    """An agent was given a step to do."""

    call: str
    ticket: str
    attempt: int


class Reported(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="reported"):
    """An agent said what came of it; not judged yet."""

    call: str
    ticket: str
    body: msgspec.Raw
    """The result, as JSON."""
    given_up: str = ""
    """Why there is no result."""
    conflict: bool = False
    """Because its changes conflict with those of another step."""
    own_tree: bool = False
    """The step was done in a work tree of its own, and what it changed was looked at there."""


class TakenBack(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="taken_back"):
    """Whoever reported a step wanted no verdict any more: the same ticket waits for another report."""

    call: str
    ticket: str
    usage: Usage | None = None
    """What the attempt had taken by then, if that was measured; it is booked."""
    picousd: int = 0
    priced: bool = True


class StartedOver(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="started_over"):
    """A step's violations, or a person's revision, were sent to an earlier step; what came of that one is void."""

    call: str
    """Who asked."""
    first: str
    """Who does it again."""
    violations: list[Violation]
    overtaken: list[str]
    """Every step whose result no longer counts."""


class Repeated(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="repeated"):
    """A step that is done until its result is good enough was done once more."""

    call: str
    output: msgspec.Raw
    score: float | int | None = None
    """The higher the better; `None`: the last result is the best."""
    last: bool = False
    """It is not done again: the best of its results is its result."""
    merged: msgspec.Raw = msgspec.Raw(b"")
    """That result with what all times found together, where they accumulate something; else empty."""


class GateOpened(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="gate_opened"):
    """A person is asked."""

    call: str
    round: int
    answer_by: str = ""
    """UTC, ISO 8601; empty: no deadline."""
    question: str = ""
    """Of a flow's question and of a judge's; a plan's gate has its own in the plan."""
    options: tuple[str, ...] = ()
    """Of a flow's question, as JSON."""
    type: str = ""
    """Of the answer to a flow's question, by name."""


class GateAnswered(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="gate_answered"):
    """A person answered, or the deadline did."""

    call: str
    decision: Literal["approve", "revise", "kill"]
    by: str
    comment: str = ""
    policy: str = ""
    """`flag` or `skip`: nobody was asked, a person's policy approved it."""


class CommandStarted(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="command_started"):
    """A program is about to run: without an end recorded, nobody knows how far it came."""

    call: str
    key: str
    """The same for every try of this step: what makes it idempotent, where the program honours it."""


class SnapshotTaken(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="snapshot_taken"):
    """The work tree as it was before or after a step."""

    call: str
    commit: str
    when: Literal["before", "after"]


class RolledBack(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="rolled_back"):
    """A person had the work tree restored to what it was after a step; what came later no longer counts."""

    call: str
    commit: str
    overwritten: str
    """The commit that has the work tree as it was before that."""
    undone: list[str]
    """Steps that are to be done again if the run goes on."""
    by: str = ""


Record = (
    RunStarted
    | PlanProposed
    | Approved
    | StepsDone
    | Skipped
    | Joined
    | Repeated
    | HandedOut
    | Reported
    | TakenBack
    | StartedOver
    | GateOpened
    | GateAnswered
    | CommandStarted
    | SnapshotTaken
    | RolledBack
    | RunResumed
    | ScopeOpened
    | CallStarted
    | Reserved
    | Settled
    | Released
    | LeftInDoubt
    | Reconciled
    | LimitRaised
    | Answered
    | AttemptFinished
    | CallFinished
    | Exhausted
    | ClockStopped
    | ClockStarted
    | Diverged
    | Leaked
    | LostWorker
    | RunFinished
)
