"""`Image`: a picture that a model looks at. Its content, or where on the web it is; never text."""

from __future__ import annotations

import base64
import binascii
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from stratum.contracts.image_size import image_size

Detail = Literal["auto", "low", "high"]
"""How closely the model looks: `low` costs the least."""

MAX_IMAGE_BYTES: Final = 15_000_000
"""In base64 it is then within the 20,971,520 characters that OpenAI's request schema, version 2.3.0 of 2026-08, allows."""
MAX_URL_CHARACTERS: Final = 8192

_DETAIL: Final = "#detail="
_DATA: Final = "data:"


class Image:
    """`Image(content)` with the bytes of a PNG, JPEG, WebP or GIF, or `Image(url="https://...")`, which the provider fetches.

    Equal where content, or URL, and detail are. A URL stands for what is behind it: recorded answers of a call
    are taken as long as the URL is the same.

    Raises:
        ValueError: not such a picture, one of more than 15 MB, or a URL that is none.
    """

    # No dataclass: msgspec would write one, content and all, wherever a value has one.

    content: bytes
    url: str
    detail: Detail

    def __init__(self, content: bytes = b"", *, url: str = "", detail: Detail = "auto") -> None:
        if bool(content) == bool(url):
            raise ValueError("an Image has content or a url; pass the bytes of a picture, or url='https://...'")
        if detail not in get_args(Detail):
            raise ValueError(f"detail={detail!r}; pass one of {', '.join(get_args(Detail))}")
        if url:
            _check_url(url)
        else:
            _check_content(content)
        vars(self).update(content=content, url=url, detail=detail)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an Image does not change; make another one with that {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an Image does not change")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Image):
            return NotImplemented
        return (self.content, self.url, self.detail) == (other.content, other.url, other.detail)

    def __hash__(self) -> int:
        return hash((self.content, self.url, self.detail))

    @cached_property
    def media_type(self) -> str:
        """`image/png`; empty for a URL, whose picture nobody has seen here."""
        return _media_type(self.content)

    @cached_property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels, as the file says; `None` for a URL, and where the file does not say."""
        return image_size(self.content, self.media_type)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the content, or over the URL."""
        return sha256(self.content or self.url.encode()).hexdigest()

    @cached_property
    def wire_url(self) -> str:
        """As providers take it: the URL, or a `data:` URL with all of the content."""
        return self.url or f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"

    @property
    def json(self) -> str:
        """The JSON form, which `from_json` reads: the URL, with `#detail=` where that is not `auto`."""
        return self.wire_url if self.detail == "auto" else f"{self.wire_url}{_DETAIL}{self.detail}"

    @classmethod
    def from_json(cls, text: str) -> Image:
        """The image that `json` was written for, or one by a URL written by hand.

        Raises:
            ValueError: it is none.
        """
        url, _, detail = text.partition(_DETAIL)
        looks: Any = detail or "auto"
        if not url.startswith(_DATA):
            return cls(url=url, detail=looks)
        kind, _, encoded = url.partition(";base64,")
        try:
            image = cls(base64.b64decode(encoded, validate=True), detail=looks)
        except binascii.Error as error:
            raise ValueError("its base64 cannot be read; write data:image/png;base64,...") from error
        if kind != f"{_DATA}{image.media_type}":
            raise ValueError(f"it says {kind.removeprefix(_DATA)!r} and is {image.media_type}; correct one of them")
        return image

    def __str__(self) -> str:
        """For traces and people: never the content, and of a URL nothing that may be a signature."""
        if self.url:
            parts = urlsplit(self.url)
            return f"image {parts.scheme}://{parts.hostname}{parts.path} sha256:{self.digest[:12]}"
        return f"{self.media_type} {_size(len(self.content))} sha256:{self.digest[:12]}"

    def __repr__(self) -> str:
        return f"<Image {self}>"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.no_info_after_validator_function(cls.from_json, core_schema.str_schema())
        return core_schema.json_or_python_schema(
            json_schema=text, python_schema=core_schema.no_info_plain_validator_function(_checked)
        )


def _checked(value: object) -> Image:
    if isinstance(value, Image):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise PydanticCustomError("image", "expected an Image: wrap the bytes in stratum.Image(...)")
    if isinstance(value, str):
        raise PydanticCustomError(
            "image", "expected an Image: stratum.Image(url=...) for a URL, stratum.read_image(...) for a file"
        )
    raise PydanticCustomError(
        "image", "expected an Image: stratum.Image(...) with the bytes of a PNG, JPEG, WebP or GIF"
    )


def _media_type(content: bytes) -> str:
    """By how the content begins; empty where it is none of the kinds that models take."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return ""


def _check_content(content: object) -> None:
    if not isinstance(content, bytes):
        raise ValueError(f"{type(content).__name__} is no bytes; pass the bytes of a PNG, JPEG, WebP or GIF file")
    if len(content) > MAX_IMAGE_BYTES:
        raise ValueError(
            f"an image of {_size(len(content))}, and at most {_size(MAX_IMAGE_BYTES)} can be sent; scale it down: "
            "models do so anyway"
        )
    if not _media_type(content):
        raise ValueError(
            f"{_size(len(content))} that are no PNG, JPEG, WebP or GIF; convert it, or correct what was read"
        )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and not parts.fragment and url.isprintable()
    except ValueError:
        good = False
    if not good or " " in url or len(url) > MAX_URL_CHARACTERS:
        raise ValueError(
            f"{url[:80]!r} is no URL of an image; pass an https:// one without a #fragment, or the image's bytes"
        )


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"
