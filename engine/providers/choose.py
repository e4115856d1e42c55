"""`choose_provider`: which provider a runtime uses when it is not told."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stratum.contracts.errors import NoProvider, ProviderError
from stratum.contracts.price import Price
from stratum.engine.providers.openai import DEFAULT_MODEL, OpenAI, server_name, transport_named
from stratum.engine.providers.protocol import Provider
from stratum.engine.settings import price_of

Progress = Callable[[int, int], None]
"""Told (bytes there by now, bytes in all)."""

LOCAL = "local"
"""As STRATUM_MODEL: the embedded model, whatever keys are set. `local/NAME` picks one of its models."""


def choose_provider(environ: Mapping[str, str], *, progress: Progress | None = None) -> Provider:
    """What STRATUM_MODEL, STRATUM_BASE_URL and OPENAI_API_KEY say, else the embedded model.

    `progress` is told of the download of the embedded model's weights. A server that is not OpenAI's is spoken to by chat
    completions, which all of them have.

    Raises:
        NoProvider: nothing is set and the extra `local` is not installed.
        ProviderError: the environment names a provider that cannot be used.
    """
    model = environ.get("STRATUM_MODEL") or None
    if model is not None and (model == LOCAL or model.startswith(f"{LOCAL}/")):
        if not _local_installed():
            raise NoProvider(
                message=f"STRATUM_MODEL is {model}, but the embedded model is not installed",
                fix="pip install 'stratum-runtime[local]', or name another model",
            )
        return _local(model.removeprefix(LOCAL).removeprefix("/") or None, progress)
    transport = transport_named(environ.get("STRATUM_TRANSPORT") or "")
    base_url = environ.get("STRATUM_BASE_URL") or environ.get("OPENAI_BASE_URL") or None
    key = environ.get("OPENAI_API_KEY") or None
    if base_url is not None and _server(base_url) != "openai":
        return OpenAI(key, base_url, api="chat", default_model=model, price=_price(environ), transport=transport)
    if base_url is not None or key is not None:
        return OpenAI(key, base_url, default_model=model or DEFAULT_MODEL, price=_price(environ), transport=transport)
    if model is not None:
        raise NoProvider(
            message=f"STRATUM_MODEL is {model}, but there is no server to ask for it",
            fix=f"set OPENAI_API_KEY or STRATUM_BASE_URL, or STRATUM_MODEL={LOCAL}",
        )
    if not _local_installed():
        raise NoProvider
    return _local(None, progress)


def _server(base_url: str) -> str:
    try:
        return server_name(base_url)
    except ValueError as error:
        raise ProviderError(
            provider="stratum",
            message=f"STRATUM_BASE_URL={base_url!r} is not an HTTP URL",
            fix="write one like https://host/v1",
        ) from error


def _price(environ: Mapping[str, str]) -> Price | None:
    """STRATUM_PRICE, as INPUT/OUTPUT in USD per million tokens: for a server whose prices nobody publishes."""
    text = environ.get("STRATUM_PRICE")
    if not text:
        return None
    try:
        return price_of(text)
    except ValueError as error:
        raise ProviderError(
            provider="stratum",
            message=f"STRATUM_PRICE={text!r} is not a price",
            fix="write USD per million tokens of input and output: STRATUM_PRICE=0.15/0.60",
        ) from error


def _local_installed() -> bool:
    from stratum.engine.local.server import installed  # what only the embedded model needs

    return installed()


def _local(model: str | None, progress: Progress | None) -> Provider:
    from stratum.engine.providers.local import Local

    return Local(model, progress=progress)
