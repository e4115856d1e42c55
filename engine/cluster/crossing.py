"""How steps, values and errors cross between processes: steps by name, values by their contracts, errors by pickle."""

from __future__ import annotations

import importlib
import pickle
import traceback
from typing import Any, Final, TypeGuard

import msgspec

from stratum.contracts.cluster_errors import ClusterError, RemoteFailure
from stratum.contracts.probabilistic import Probabilistic
from stratum.engine.step import Step

_MAIN_ELSEWHERE: Final = "__mp_main__"
"""What the program's main module is called in a worker, as in multiprocessing: `if __name__ == "__main__"` is not true there."""
_RAISED_ON: Final = "Raised on "
_SAMPLES: Final = b"\x00"
"""Before samples of a call: no JSON begins with it."""


def name_of(step: Step[Any, Any]) -> str:
    """The step's name in every process that has its module.

    Raises:
        ClusterError: it cannot be found by its name.
    """
    module, _, qualname = step.signature.qualname.partition(":")
    name = f"{'__main__' if module == _MAIN_ELSEWHERE else module}:{qualname}"
    found = step_named(name)
    if found.signature.qualname != step.signature.qualname:
        raise _not_found(name)
    return name


def step_named(name: str) -> Step[Any, Any]:
    """The step of that name in this process.

    Raises:
        ClusterError: there is none.
    """
    module, _, qualname = name.partition(":")
    try:
        found: object = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise _not_found(name) from error
    if not _is_step(found):
        raise _not_found(name)
    return found


def pack(step: Step[Any, Any], result: Any) -> bytes:
    """What a call gave, as bytes."""
    returns = step.signature.returns
    if _is_sampled(result):
        return _SAMPLES + msgspec.msgpack.encode([returns.record(sample) for sample in result.samples])
    return returns.record(result)


def unpack(step: Step[Any, Any], packed: bytes) -> Any:
    """The same back."""
    returns = step.signature.returns
    if packed.startswith(_SAMPLES):
        samples = msgspec.msgpack.decode(packed[1:], type=list[bytes])
        return Probabilistic(tuple(returns.recall(sample) for sample in samples))
    return returns.recall(packed)


def pack_error(error: BaseException, *, at: str = "") -> bytes:
    """An error as bytes; from `at`, where it was raised, its traceback goes along as a note."""
    if at and not any(note.startswith(_RAISED_ON) for note in getattr(error, "__notes__", ())):
        error.add_note(f"{_RAISED_ON}{at}:\n{''.join(traceback.format_exception(error)).rstrip()}")
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)  # a constructor of its own may refuse what pickle passes: better seen here
    except Exception:  # noqa: BLE001 - anyone's code
        failure = RemoteFailure(type=type(error).__qualname__, message=str(error))
        for note in getattr(error, "__notes__", ()):
            failure.add_note(note)
        return pickle.dumps(failure)
    return packed


def unpack_error(packed: bytes) -> BaseException:
    """The same back."""
    try:
        error: BaseException = pickle.loads(packed)
    except Exception as unknown:  # noqa: BLE001 - its module may not be here
        return RemoteFailure(type=type(unknown).__qualname__, message=f"an error that cannot be read here: {unknown}")
    return error


def _is_step(found: object) -> TypeGuard[Step[Any, Any]]:
    return isinstance(found, Step)


def _is_sampled(result: object) -> TypeGuard[Probabilistic[Any]]:
    return isinstance(result, Probabilistic)


def _not_found(name: str) -> ClusterError:
    return ClusterError(
        problem=f"{name} is not found by its name in every process",
        fix="define it with its decorator at the top level of a module that workers can import",
    )
