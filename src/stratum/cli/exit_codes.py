"""What a script can rely on.

0    done
1    the flow failed: an answer was not acceptable, the provider refused, or its own code raised
2    wrong usage: unknown option, no such file, an input that does not fit
3    a budget is exhausted; the journal has what completed, `stratum resume` goes on
4    the journal cannot be used, or another process owns the run
5    no model to call
6    a plan waits for a person to approve it: `stratum approve`, then `stratum resume`
130  interrupted (Ctrl-C); `stratum resume` goes on
"""

from __future__ import annotations

from stratum.contracts.errors import (
    BudgetExceeded,
    ContractDefinitionError,
    JournalError,
    NoProvider,
    PlanError,
    RunLocked,
    StratumError,
    UnknownRun,
)
from stratum.contracts.plans.errors import NotApproved
from stratum.engine.settings import SettingsError

FAILED = 1
USAGE = 2
EXHAUSTED = 3
JOURNAL = 4
NO_MODEL = 5
NOT_APPROVED = 6
INTERRUPTED = 130


def exit_code(error: StratumError) -> int:
    """The process's exit code for an error that reached the command line."""
    match error:
        case BudgetExceeded():
            return EXHAUSTED
        case JournalError() | RunLocked():
            return JOURNAL
        case NotApproved():
            return NOT_APPROVED
        case NoProvider():
            return NO_MODEL
        case UnknownRun() | ContractDefinitionError() | PlanError() | SettingsError():
            return USAGE
        case _:
            return FAILED
