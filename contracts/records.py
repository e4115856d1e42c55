"""The journal's records: everything that happened, in the order it was decided.

The ledger's numbers, a run's state, resume, the audit and live views are all folds over these.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stratum.contracts.price import Usage
from stratum.contracts.trace import Attempt, Outcome, TraceRecord


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
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
    type: Literal["infer", "compute", "flow"]
    input_digest: str
    model: str = ""


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


class Diverged(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="diverged"):
    """A resumed flow did not make calls again that had completed before; their results were paid for and not used."""

    calls: list[str]
    code_changed: bool


class Leaked(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="leaked"):
    """A thread was abandoned at a deadline and may still be running."""

    call: str
    what: str


class RunFinished(_Record, frozen=True, kw_only=True, omit_defaults=True, tag="run_finished"):
    """The run ended: how, and with what."""

    state: Literal["succeeded", "failed", "exhausted", "cancelled"]
    output: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


Record = (
    RunStarted
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
    | Diverged
    | Leaked
    | RunFinished
)
