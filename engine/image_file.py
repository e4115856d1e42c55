"""`read_image`: a picture from a file."""

from __future__ import annotations

import os
from pathlib import Path

from stratum.contracts.image import MAX_IMAGE_BYTES, Detail, Image


def read_image(path: str | os.PathLike[str], *, detail: Detail = "auto") -> Image:
    """The image in a file; read now, and once.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no PNG, JPEG, WebP or GIF, or one of more than 15 MB.
    """
    file = Path(path)
    with file.open("rb") as opened:
        content = opened.read(MAX_IMAGE_BYTES + 1)  # one that is longer is refused without being read whole
    try:
        return Image(content, detail=detail)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
