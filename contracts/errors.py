"""Everything Stratum raises on purpose.

StratumError
├── ContractDefinitionError   a decorator or a type was misused; raised while decorating
├── ContractViolation         a value does not meet its contract (also a ValueError)
├── ExpressionError           an `ensure` or `when` expression cannot be read or evaluated
├── PlanError                 a plan cannot be shown or run; carries everything that is wrong with it
├── CallFailed                a call ended without a result; carries its violations and history
│   ├── PreconditionFailed    `given` did not hold; nothing was sent
│   ├── ParseFailure          retries used up, last answer did not fit the contract
│   ├── PostconditionFailed   retries used up, last answer did not satisfy `ensure`
│   └── StepRejected          retries used up, a plan's step had no acceptable result
│       └── MergeConflict     and it changed the same lines as others did
├── TooFewSucceeded           a plan's join cannot begin
├── ParallelValidationFailed  enough branches succeeded, and what they gave will not do
├── ConsensusFailure          too few samples of a quorum agreed
├── ConvergenceFailure        `until` did not hold after the last iteration of a refinement
├── StabilityAssertionError   samples of one call differ too often (also an AssertionError)
├── HITLTimeoutError          nobody answered in time
├── BudgetExceeded            an envelope is exhausted; raised at its owner
│   ├── BudgetOverrun         the provider billed more than the worst case it was sent
│   └── AllowanceExceeded     what all sessions of a project may spend is spent
├── UnknownPrice              a USD budget on a model without a price
├── ProviderError             the provider refused, or could not be reached within the budget
│   ├── NoProvider            nothing to send the call to
│   ├── NoRecording           replay has no recording of this request
│   ├── NetworkRefused        a test would have called a model over the network
│   └── ModelUnavailable      the embedded model cannot be had, or does not run
├── JournalError
│   ├── JournalUnavailable    disk full, read-only, or the writer died; nothing was sent
│   ├── JournalCorrupt        acknowledged records are missing or altered
│   └── QueryFailed           a query that writes, takes too long, or is not SQL
├── RunError
│   ├── UnknownRun            no such run in this journal
│   ├── RunLocked             another process owns the run
│   ├── NotApproved           nobody has approved exactly this plan
│   ├── StepNotReady          reported or answered, and nobody was asked for that
│   │   └── StaleTicket       a hand-out that no longer counts, or was reported otherwise
│   ├── PlanFailed            steps of a plan failed for good
│   └── RunCancelled          a person stopped it
├── CircularWait              the conditions of cached calls need each other's answers
├── OnHold                    a person has stopped everything of the project; nothing was sent
├── JudgeUnavailable          nobody could decide a condition in plain English
├── ClusterError              there is no cluster, or a function cannot run on it
├── WorkerLost                the process in which a function ran is gone
├── RemoteFailure             an error of a worker's that does not pickle
├── CommandRefused            a program cannot be run as it is written; nothing was started
├── WorkspaceError            a work tree cannot be kept, compared or restored
│   └── RestoreRefused        restoring it would lose changes
├── SettingsError             a settings file says what cannot be
├── ActorClosed               an actor's mailbox closed before it answered
└── NoRuntime                 called where no runtime can be opened
"""

# Long, and one file: whoever catches an error finds here what it carries, whichever part raises it. Those that only plans or a
# cluster can raise are in `plans.errors` and `cluster_errors`.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from stratum.contracts.money import format_usd
from stratum.contracts.problem import Problem
from stratum.contracts.violation import Violation, one_line

_PROBLEMS_SHOWN = 50
Resource = Literal["usd", "ms", "tokens"]


class StratumError(Exception):
    """The root of everything Stratum raises on purpose.

    Subclasses are keyword-only dataclasses, and the message is built from the fields. Pickling and copying keep the
    fields and the notes.
    """

    # A constructor with keywords alone needs it.
    def __reduce__(self) -> tuple[Any, ...]:
        return _blank, (type(self), self.args), self.__dict__


def _blank(cls: type[StratumError], args: tuple[Any, ...]) -> StratumError:
    return cls.__new__(cls, *args)


@dataclass(kw_only=True, eq=False)
class ContractDefinitionError(StratumError):
    """A contract, or a function that uses one, is declared in a way that cannot work."""

    owner: str
    """The class or function being decorated."""
    problem: str
    fix: str
    field: str | None = None

    def __str__(self) -> str:
        where = f"{self.owner}.{self.field}" if self.field else self.owner
        return f"{where}: {self.problem}; {self.fix}"


@dataclass(kw_only=True, eq=False)
class ContractViolation(StratumError, ValueError):
    """A value does not meet its contract."""

    contract: str
    violations: Sequence[Violation]

    def __str__(self) -> str:
        return f"not a valid {self.contract}:{_listed(self.violations)}\nPass a value that meets these."


@dataclass(kw_only=True, eq=False)
class ExpressionError(StratumError):
    """An `ensure` or `when` expression cannot be read, or not be evaluated on these values."""

    expression: str
    problem: str
    fix: str
    position: int = 1
    """The character where it begins to be wrong; the first is 1."""

    def __str__(self) -> str:
        return f"`{one_line(self.expression)}`, character {self.position}: {self.problem}; {self.fix}"


@dataclass(kw_only=True, eq=False)
class PlanError(StratumError):
    """A plan cannot be shown or run."""

    problems: Sequence[Problem]
    """All of them, in the order of the plan."""

    def __str__(self) -> str:
        shown = [f"\n  - {problem}" for problem in self.problems[:_PROBLEMS_SHOWN]]
        more = len(self.problems) - len(shown)
        return f"not a valid plan:{''.join(shown)}" + (f"\n  and {more:,} more; correct these first" if more else "")


@dataclass(kw_only=True, eq=False)
class CallFailed(StratumError):
    """A call ended without an acceptable result."""

    function: str
    violations: Sequence[Violation]
    """Of the last attempt, all of them."""
    retry_history: Sequence[Sequence[Violation]] = ()
    """The violations of every attempt, first to last."""

    _fix: ClassVar = "Raise retries, or say in the intent what is wanted."

    @property
    def attempts(self) -> int:
        return len(self.retry_history)

    def __str__(self) -> str:
        times = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f"{self.function}: no acceptable answer in {times}:{_listed(self.violations)}\n{self._fix}"


@dataclass(kw_only=True, eq=False)
class PreconditionFailed(CallFailed):
    """A `given` condition did not hold; nothing was sent and nothing spent."""

    _fix: ClassVar = "Pass arguments that do, or change `given`."

    def __str__(self) -> str:
        return f"{self.function}: not called, its arguments do not satisfy:{_listed(self.violations)}\n{self._fix}"


@dataclass(kw_only=True, eq=False)
class ParseFailure(CallFailed):
    """Retries are used up and the last answer did not fit the contract."""

    raw_output: str = ""
    """What the model sent last, at most 64 KiB of it."""

    _fix: ClassVar = "Raise retries or max_output_tokens, or ask for a simpler contract."


@dataclass(kw_only=True, eq=False)
class PostconditionFailed(CallFailed):
    """Retries are used up and the last answer did not satisfy `ensure`."""

    output: object = None
    """The last answer: it fits the contract, and was paid for."""

    _fix: ClassVar = "Raise retries, say in the intent what `ensure` wants, or want less."


@dataclass(kw_only=True, eq=False)
class ParallelValidationFailed(StratumError):
    """Enough branches succeeded, and `validate` says that what they gave will not do."""

    results: Any

    def __str__(self) -> str:
        return "parallel: `validate` rejects the results; catch this and look at `results`, or ask for something else"


@dataclass(kw_only=True, eq=False)
class ConsensusFailure(StratumError):
    """Too few samples of a quorum agreed."""

    function: str
    agree_on: str
    threshold: int
    outputs: Sequence[Any]
    """All that were accepted: paid for, and yours."""
    failures: Sequence[Exception] = ()
    """Of samples that gave nothing."""

    def __str__(self) -> str:
        failed = f", {len(self.failures)} more failed" if self.failures else ""
        return (
            f"{self.function}: fewer than {self.threshold} of {len(self.outputs)} samples agree on "
            f"{self.agree_on}{failed}; ask more precisely, raise quorum, or lower threshold"
        )


@dataclass(kw_only=True, eq=False)
class ConvergenceFailure(StratumError):
    """`until` did not hold after the last iteration of a refinement."""

    function: str
    max_iterations: int
    history: Sequence[Any]
    """Every output, first to last: paid for, and yours."""

    def __str__(self) -> str:
        return (
            f"{self.function}: not there after {self.max_iterations} iterations; "
            "raise max_iterations, give better feedback, or want less"
        )


@dataclass(kw_only=True, eq=False)
class StabilityAssertionError(StratumError, AssertionError):
    """Samples of one call with `stable=True` differ too often."""

    threshold: float
    actual: float
    """The share of the most frequent value."""
    function: str = ""

    def __str__(self) -> str:
        where = f"{self.function}: " if self.function else ""
        return (
            f"{where}the share of samples that agree is {self.actual}, and {self.threshold} was wanted; "
            "ask more precisely, or let a quorum decide"
        )


@dataclass(kw_only=True, eq=False)
class HITLTimeoutError(StratumError):
    """Nobody answered a question to a person in time."""

    review_id: str
    question: str
    timeout_s: float

    def __str__(self) -> str:
        return (
            f"{self.review_id}: nobody answered {one_line(self.question)!r} within {self.timeout_s} s; "
            "resume the run to ask again, or pass on_timeout= with an answer"
        )


@dataclass(kw_only=True, eq=False)
class Completed:
    """A call that finished inside an exhausted envelope, with what it returned."""

    call: str
    function: str
    result: object


@dataclass(kw_only=True, eq=False)
class BudgetExceeded(StratumError):
    """A budget ran out. Raised by the flow, step or session whose budget it is, for what was called in it.

    Amounts are picodollars (10^-12 USD), milliseconds or tokens, as `resource` says.
    """

    resource: Resource
    limit: int
    settled: int = 0
    """Known and paid (for `ms`: elapsed)."""
    in_flight: int = 0
    in_doubt: int = 0
    """Reserved for calls whose outcome is unknown; counted until reconciled."""
    requested: int = 0
    """The worst case of the call that was refused; 0 where a deadline passed."""
    step: str
    """The flow, step or call whose budget this is."""
    completed: Sequence[Completed] = ()
    """Calls that finished, with their results: paid for, and yours."""
    remaining: Sequence[str] = ()
    """Calls that were waiting, in flight or refused when the envelope was exhausted."""

    def __str__(self) -> str:
        show = _AMOUNTS[self.resource]
        parts = [f"{show(self.settled)} of {show(self.limit)} spent"]
        if self.in_flight:
            parts.append(f"{show(self.in_flight)} in flight")
        if self.in_doubt:
            parts.append(f"{show(self.in_doubt)} in doubt")
        if self.requested:
            parts.append(f"{show(self.requested)} more needed")
        work = f"; {len(self.completed)} call{'s' * (len(self.completed) != 1)} completed" if self.completed else ""
        work += f", {len(self.remaining)} not done" if self.remaining else ""
        doubt = ", reconcile what is in doubt," if self.in_doubt else ""
        return f"{self.step}: {', '.join(parts)}{work}; raise Budget({self.resource}=...){doubt} or ask for less"


@dataclass(kw_only=True, eq=False)
class AllowanceExceeded(BudgetExceeded):
    """What all sessions of a project may spend together is spent. Raised by the run whose call was refused."""

    per: str = "day"
    """`day`, `month` or `ever`; days and months are UTC."""

    def __str__(self) -> str:
        when = {"day": "wait until tomorrow (UTC), or ", "month": "wait until next month (UTC), or "}.get(self.per, "")
        spent, limit = format_usd(self.settled), format_usd(self.limit)
        return (
            f"{self.step}: the project's calls count for {spent} of {limit} USD per {self.per}, and the next may cost "
            f"{format_usd(self.requested)}; {when}raise the allowance"
        )


@dataclass(kw_only=True, eq=False)
class BudgetOverrun(BudgetExceeded):
    """A provider billed more than the worst case it was sent (it ignored the output cap), or an agent used too much."""

    actual: int = 0
    reserved: int = 0

    def __str__(self) -> str:
        show = _AMOUNTS[self.resource]
        if not self.reserved:
            return (
                f"{self.step}: an agent's step took {show(self.actual)}, which was known when it was done, and "
                f"{show(self.settled)} of {show(self.limit)} are spent; raise Budget({self.resource}=...)"
            )
        return (
            f"{self.step}: the provider billed {show(self.actual)} where at most {show(self.reserved)} was reserved; "
            "booked in full, for it does not honour the output cap it is sent, or serves calls in a dearer tier; "
            f"use another provider, say service_tier=, or raise Budget({self.resource}=...)"
        )


@dataclass(kw_only=True, eq=False)
class UnknownPrice(StratumError):
    """A USD budget cannot bound a model whose price is not known."""

    model: str
    provider: str
    step: str
    service_tier: str = ""

    def __str__(self) -> str:
        tier = f" in service tier {self.service_tier!r}" if self.service_tier else ""
        return (
            f"{self.step}: no price is known for model {self.model!r} of {self.provider}{tier}; "
            "pass open_runtime(prices={...}), or set STRATUM_PRICE=INPUT/OUTPUT in USD per million tokens, or drop the USD limit"
        )


@dataclass(kw_only=True, eq=False)
class ProviderError(StratumError):
    """The provider refused the call, or could not be reached within the budget."""

    provider: str
    message: str
    status: int | None = None
    """HTTP status; `None` when there was no answer."""
    retryable: bool = False
    fix: str = ""

    def __str__(self) -> str:
        status = f" {self.status}" if self.status is not None else ""
        fix = self.fix or ("try again later" if self.retryable else "change what is sent, or the provider's settings")
        return f"{self.provider}{status}: {self.message}; {fix}"


@dataclass(kw_only=True, eq=False)
class NoProvider(ProviderError):
    """There is nothing to send the call to."""

    provider: str = "stratum"
    message: str = (
        "no model to call: OPENAI_API_KEY and STRATUM_BASE_URL are not set and the embedded model is not installed"
    )
    fix: str = "set OPENAI_API_KEY, or: pip install 'stratum-runtime[local]'"

    def __str__(self) -> str:
        return f"{self.message}\n{self.fix}"


@dataclass(kw_only=True, eq=False)
class NoRecording(ProviderError):
    """Replay has no recording of this request."""

    provider: str = "replay"
    fix: str = "record it: run once with record=True, tests with pytest --stratum-record"


@dataclass(kw_only=True, eq=False)
class ModelUnavailable(ProviderError):
    """The embedded model cannot be had, or its process does not run."""

    provider: str = "local"


@dataclass(kw_only=True, eq=False)
class JournalError(StratumError):
    """The journal, which is the file of what was done and spent, cannot be used."""

    path: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.fix}"


@dataclass(kw_only=True, eq=False)
class JournalUnavailable(JournalError):
    """The journal cannot be written: no call is made without a durable reservation."""


@dataclass(kw_only=True, eq=False)
class JournalCorrupt(JournalError):
    """Acknowledged records are missing or altered; the file was left untouched."""


@dataclass(kw_only=True, eq=False)
class QueryFailed(JournalError):
    """A query that writes, takes too long, or is not SQL. The journal is unharmed."""


@dataclass(kw_only=True, eq=False)
class RunError(StratumError):
    """A run cannot be read or continued."""

    run: str
    problem: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"run {self.run}: {self.problem}; {self.fix}"


@dataclass(kw_only=True, eq=False)
class CircularWait(StratumError):
    """Cached calls whose conditions need each other's answers would wait for ever; raised in the one that would be the last."""

    def __str__(self) -> str:
        return (
            "cached calls that are made at the same time need each other's answers in their conditions, and would wait for ever; "
            "leave cache= out of one of them"
        )


@dataclass(kw_only=True, eq=False)
class UnknownRun(RunError):
    """No such run in this journal."""

    problem: str = "not in this journal"
    fix: str = "`stratum runs` lists what is"


@dataclass(kw_only=True, eq=False)
class RunLocked(RunError):
    """Another process owns the run."""

    problem: str = "another process is running it"
    fix: str = "wait for it, or stop it with `stratum cancel`; then resume"


@dataclass(kw_only=True, eq=False)
class OnHold(StratumError):
    """A person has put everything of the project on hold; nothing was sent."""

    what: str
    """What was to start."""
    by: str
    since: str
    """ISO 8601, UTC."""
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.what}: the project is on hold since {self.since}, by {self.by}: {one_line(self.reason)}; "
            "`stratum hold --lift` lifts it"
        )


@dataclass(kw_only=True, eq=False)
class CommandRefused(StratumError):
    """A program cannot be run as the plan writes it; nothing was started."""

    program: str
    problem: str
    fix: str = "correct the plan's command"

    def __str__(self) -> str:
        return f"command {one_line(self.program)!r}: {self.problem}; {self.fix}"


@dataclass(kw_only=True, eq=False)
class WorkspaceError(StratumError):
    """The work tree that a plan works in cannot be kept, compared or restored."""

    path: str
    problem: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.fix}"


@dataclass(kw_only=True, eq=False)
class RestoreRefused(WorkspaceError):
    """Restoring the work tree would lose changes that no snapshot has."""

    files: Sequence[str]
    problem: str = "changed since the last snapshot"
    fix: str = "commit them or put them aside, or use force, which keeps a snapshot of them"

    def __str__(self) -> str:
        shown = "".join(f"\n  - {one_line(file)}" for file in self.files[:_PROBLEMS_SHOWN])
        more = len(self.files) - _PROBLEMS_SHOWN
        return f"{self.path}: {self.problem}:{shown}" + (f"\n  and {more:,} more" if more > 0 else "") + f"\n{self.fix}"


@dataclass(kw_only=True, eq=False)
class ActorClosed(StratumError):
    """An actor's mailbox closed before it answered."""

    actor: str
    message_type: str

    def __str__(self) -> str:
        return f"{self.actor} closed before it answered {self.message_type}, for the runtime is shutting down; open a new one"


@dataclass(kw_only=True, eq=False)
class NoRuntime(StratumError):
    """Called where no runtime can be opened."""

    function: str
    fix: str = field(
        default="call it under trio; from asyncio: `async with stratum.aio.open_runtime() as rt: await rt.run(step, ...)`"
    )

    def __str__(self) -> str:
        return f"{self.function}: no Stratum runtime here; {self.fix}"


def described(error: BaseException) -> str:
    """An error for the record. Ours say what to do and quote no prompt; others are named with their text."""
    try:
        text = str(error)
    except Exception as worse:  # noqa: BLE001 - anyone's code
        text = f"its text raises {type(worse).__name__}"
    # Lone surrogates, as undecodable file names have them, cannot be recorded.
    described = f"{type(error).__name__}: {text}".removesuffix(": ").encode(errors="backslashreplace").decode()
    return described if isinstance(error, StratumError) else described[:500]


def _listed(violations: Sequence[Violation]) -> str:
    return "".join(f"\n  - {violation.for_prompt}" for violation in violations)


def _plain_tokens(amount: int) -> str:
    return f"{amount:,} tokens"


def _milliseconds(amount: int) -> str:
    return f"{amount:,} ms"


def _dollars(amount: int) -> str:
    return f"{format_usd(amount)} USD"


_AMOUNTS = {"usd": _dollars, "tokens": _plain_tokens, "ms": _milliseconds}
