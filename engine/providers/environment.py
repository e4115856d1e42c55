"""The provider that the environment names, recordings included."""

from __future__ import annotations

from collections.abc import Mapping

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
    return choose_provider(None, environ=environ, progress=progress)
