"""`file.py:flow` and `module:flow`: from the text to the step, and its inputs from `--input`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import click
import msgspec

from stratum.cli.own_error import own_traceback
from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.codec import Codec
from stratum.contracts.errors import ContractViolation, StratumError
from stratum.contracts.signature import Signature
from stratum.engine.step import Step


def load_step(target: str) -> Step[Any, Any]:
    """The step that `target` names.

    Raises:
        click.UsageError: no such file, module or name, or not a step.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise click.UsageError(f"{target!r}: say which flow, as file.py:flow or module:flow")
    module = imported(place)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if _is_step(found):
        return found
    steps = sorted(name for name in dir(module) if isinstance(getattr(module, name), Step))
    hint = f"it has: {', '.join(steps)}" if steps else "it has none; decorate one with @flow"
    raise click.UsageError(f"{place} has no flow or step {name!r}; {hint}")


def load_module(place: str) -> ModuleType:
    """The module that `file.py` or `module` names, imported."""
    return _load_file(Path(place)) if place.endswith(".py") else _load_module(place)


def imported(place: str) -> ModuleType:
    """The same, for whoever typed the name: an exception of the file is shown from its own first frame on.

    Raises:
        click.UsageError: there is none, or it cannot be imported.
    """
    try:
        return load_module(place)
    except (click.ClickException, StratumError):
        raise
    except Exception as error:  # whatever the user's file raises
        raise click.UsageError(f"{place} cannot be imported:\n{own_traceback(error).rstrip()}") from error


def steps_of(module: ModuleType) -> list[Step[Any, Any]]:
    """The steps that a module has, by name."""
    return [found for found in (getattr(module, name) for name in sorted(dir(module))) if _is_step(found)]


def read_inputs(signature: Signature[Any], inputs: Sequence[str]) -> dict[str, Any]:
    """Arguments from `--input` options: `k=v`, `k=@file`, or `@file.json` for all of them.

    A value is JSON where the parameter's type wants it, and the text itself where that is what fits.

    Raises:
        click.UsageError: an input that no parameter takes or that does not fit, or one that is missing.
    """
    codecs = {name: parameter.codec for name, parameter in signature.parameters.items()}
    values = read_values(inputs, codecs, of=signature.name)
    try:
        return signature.decode(msgspec.json.encode(values))
    except (ContractViolation, TypeError) as error:
        raise click.UsageError(str(error)) from error


def read_values(inputs: Sequence[str], codecs: Mapping[str, Codec[Any]] | None, *, of: str) -> dict[str, Any]:
    """JSON values from `--input` options; where nobody says what is taken, a text that is JSON is that.

    Raises:
        click.UsageError: an input that nothing takes, or a file that cannot be read.
    """
    values: dict[str, Any] = {}
    for item in inputs:
        if not _is_text(item):
            raise click.UsageError(f"--input {item!a}: bytes that are no UTF-8 text; pass text")
        if item.startswith("@"):
            values |= _read_object(Path(item[1:]))
            continue
        name, equals, text = item.partition("=")
        if not equals:
            raise click.UsageError(f"--input {item!r}: write name=value, name=@file, or @file.json")
        if codecs is not None and name not in codecs:
            raise click.UsageError(f"--input {name}: {of} takes {', '.join(codecs) or 'no inputs'}")
        text = read_file(Path(text[1:])) if text.startswith("@") else text
        values[name] = _value(text, ANY_JSON if codecs is None else codecs[name])
    return values


def read_file(path: Path) -> str:
    """A text file that was named on the command line.

    Raises:
        click.UsageError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise click.UsageError(f"no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {path}: {error}") from error


def _is_step(found: object) -> TypeGuard[Step[Any, Any]]:
    return isinstance(found, Step)


def _is_text(item: str) -> bool:
    """Python keeps what a shell passed and is no text as lone surrogates, which JSON cannot hold."""
    try:
        item.encode()
    except UnicodeEncodeError:
        return False
    return True


def _value(text: str, codec: Codec[Any]) -> Any:
    """JSON if that meets the type, else the text if that does; if neither, JSON: then it is told what in it does not fit."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text if not _fits(value, codec) and _fits(text, codec) else value


def _fits(value: object, codec: Codec[Any]) -> bool:
    try:
        codec.decode_value(msgspec.json.encode(value))
    except ContractViolation:
        return False
    return True


def _load_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise click.UsageError(f"no module {name!r} here or installed; for a file, write {name}.py:...") from error
        raise
    finally:
        sys.path.pop(0)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise click.UsageError(f"no file {path}")
    # As `python FILE` would: the file's own folder can be imported from.
    if (folder := str(path.resolve().parent)) not in sys.path[:1]:
        sys.path.insert(0, folder)
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_flow"  # a file may be called queue.py
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # as `import` does: whoever corrects it can import it again
        raise
    return module


def _read_object(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(read_file(path), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.UsageError(f"{path}: expected a JSON object of inputs: {error}") from error
