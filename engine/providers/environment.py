"""The provider that the environment names, recordings included."""

from __future__ import annotations

from collections.abc import Mapping

from stratum.contracts.errors import NoProvider
from stratum.engine.providers.absent import Absent
from stratum.engine.providers.choose import Progress, choose_provider
from stratum.engine.providers.protocol import Provider


def provider_from_environment(environ: Mapping[str, str], *, progress: Progress | None = None) -> Provider:
    """STRATUM_REPLAY's recordings where it names a file, and nothing is sent; else what `choose_provider` says.

    Raises:
        NoProvider, ProviderError: as `choose_provider`.
        NoRecording: STRATUM_REPLAY names no file of recordings.
    """
    if recordings := environ.get("STRATUM_REPLAY"):
        from stratum.engine.providers.replay import replay

        return replay(recordings)
    return choose_provider(environ, progress=progress)


def provider_or_absent(environ: Mapping[str, str], *, progress: Progress | None = None) -> Provider:
    """The same for what may call no model at all: where there is no provider, one that refuses."""
    try:
        return provider_from_environment(environ, progress=progress)
    except NoProvider as why:
        return Absent(why)
