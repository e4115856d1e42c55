"""`Image`: what is one, how it is written, and that nobody is ever shown its content."""

from __future__ import annotations

import base64
import copy
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum import ContractDefinitionError, ContractViolation, Image, contract, opaque, read_image
from stratum.contracts.codec import codec
from stratum.contracts.image import MAX_IMAGE_BYTES
from stratum.contracts.json_value import json_value

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
URL = "https://pictures.example/cat.png?signature=s3cr3t"


@contract
class Page:
    number: int
    scan: Image
    thumbnail: Image | None = None


def compiled(annotation: Any) -> Any:
    return codec(annotation, owner="look", field="photo")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0 and so on", "image/jpeg"),
        (b"GIF89a and so on", "image/gif"),
        (b"GIF87a and so on", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_the_kind_is_told_by_how_the_content_begins(content: bytes, media_type: str) -> None:
    image = Image(content)
    assert image.media_type == media_type
    assert image.wire_url == f"data:{media_type};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Image(b""), "pass the bytes of a picture"),
        (lambda: Image(PNG, url=URL), "content or a url"),
        (lambda: Image(b"%PDF-1.7"), "8 bytes that are no PNG, JPEG, WebP or GIF"),
        (lambda: Image(b"RIFF\x00\x00\x00\x00WAVE"), "no PNG, JPEG, WebP or GIF"),
        (lambda: Image(PNG + bytes(MAX_IMAGE_BYTES)), "an image of 15.0 MB, and at most 15.0 MB"),
        (lambda: Image(PNG, detail="sharp"), "pass one of auto, low, high"),  # type: ignore[arg-type]
        (lambda: Image(bytearray(PNG)), "bytearray is no bytes"),  # type: ignore[arg-type]
        (lambda: Image("cat.png"), "str is no bytes"),  # type: ignore[arg-type]
        (lambda: Image(url="http://pictures.example/cat.png"), "pass an https:// one"),
        (lambda: Image(url="https://"), "pass an https:// one"),
        (lambda: Image(url="https://[broken/cat.png"), "pass an https:// one"),
        (lambda: Image(url="https://pictures.example/cat.png#top"), "without a #fragment"),
        (lambda: Image(url="https://pictures.example/a cat.png"), "pass an https:// one"),
        (lambda: Image(url="https://pictures.example/" + "a" * 9000), "pass an https:// one"),
        (lambda: Image(url="file:///etc/passwd"), "pass an https:// one"),
    ],
)
def test_what_is_no_image_is_refused_with_what_to_do(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        make()


@pytest.mark.parametrize("image", [Image(PNG), Image(PNG, detail="low"), Image(url=URL), Image(url=URL, detail="high")])
def test_an_image_comes_back_equal_from_its_json_and_from_a_pickle(image: Image) -> None:
    assert compiled(Image).decode_value(compiled(Image).encode(image)[len('{"value":') : -1]) == image
    assert pickle.loads(pickle.dumps(image)) == image == copy.deepcopy(image)
    page = Page(number=1, scan=image)
    assert codec(Page, owner="f", field="page").decode(codec(Page, owner="f", field="page").encode(page)) == page


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cat.png", "no URL of an image"),
        ("data:image/png;base64,???", "its base64 cannot be read"),
        ("data:image/gif;base64," + base64.b64encode(PNG).decode(), "it says 'image/gif' and is image/png"),
        ("data:text/plain;base64," + base64.b64encode(b"hello").decode(), "no PNG, JPEG, WebP or GIF"),
        (URL + "#detail=sharp", "pass one of auto, low, high"),
    ],
)
def test_json_that_is_no_image_is_refused(text: str, says: str) -> None:
    with pytest.raises(ContractViolation) as caught:
        compiled(Image).decode_value(f'"{text}"'.encode(), at="photo")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (PNG, "photo: expected an Image: wrap the bytes in stratum.Image(...), got bytes"),
        (bytearray(PNG), "wrap the bytes in stratum.Image(...)"),
        (memoryview(PNG), "wrap the bytes in stratum.Image(...)"),
        ("cat.png", "stratum.read_image(...) for a file"),
        (object(), "stratum.Image(...) with the bytes of a PNG, JPEG, WebP or GIF, got object"),
    ],
)
def test_what_is_passed_in_place_of_an_image_is_refused_with_what_to_do(value: object, says: str) -> None:
    with pytest.raises(ContractViolation) as caught:
        compiled(Image).validate(value, at="photo")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (set[Image], "photo: a set of images has no order, in which they could be sent; write list[Image]"),
        (frozenset[Page], "a set of images has no order"),
        (opaque[Image], "which opaque[...] rules out; leave Image outside of it"),
        (list[opaque[Page]], "which opaque[...] rules out"),
        (dict[Image, str], "Image cannot be a key"),
        (bytearray, "write stratum.Image for a picture"),
        (memoryview, "write stratum.Image for a picture"),
    ],
)
def test_where_no_image_can_stand_none_may_be_declared(annotation: Any, says: str) -> None:
    with pytest.raises(ContractDefinitionError) as caught:
        compiled(annotation)
    assert says in str(caught.value)


def test_pictures_of_pil_are_refused_with_what_to_do() -> None:
    picture = type("Image", (), {"__module__": "PIL.Image"})
    with pytest.raises(ContractDefinitionError, match=r"write stratum\.Image for a picture"):
        compiled(picture)


def test_a_trace_shows_what_an_image_is_and_not_what_is_in_it() -> None:
    shown = codec(list[Page], owner="f", field="pages").jsonable(
        [Page(number=1, scan=Image(PNG), thumbnail=Image(url=URL))], redact=True
    )
    assert shown == [
        {
            "number": 1,
            "scan": f"image/png 70 bytes sha256:{Image(PNG).digest[:12]}",
            "thumbnail": f"image https://pictures.example/cat.png sha256:{Image(url=URL).digest[:12]}",
        }
    ]
    assert repr(Image(PNG + bytes(34_000))).startswith("<Image image/png 34 kB sha256:")
    assert repr(Image(PNG + bytes(2_500_000))).startswith("<Image image/png 2.5 MB sha256:")


def test_an_image_is_told_from_others_by_content_and_detail() -> None:
    assert Image(PNG) == Image(bytes(PNG)) != Image(PNG, detail="low")
    assert Image(PNG).digest != Image(PNG + b"\x00").digest
    assert Image(PNG) != PNG
    assert json_value([Image(url=URL, detail="low")]) == [URL + "#detail=low"]


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments)


FRAME = b"\xff\xc2\x00\x11\x08\x02\x58\x03\x20"  # progressive; 600 high, 800 wide
EXIF = b"\xff\xe1\x00\x0cExif\x00\x00" + b"\xff\xc0\x00\x00"


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (PNG, (1, 1)),
        (PNG[:16] + b"\x00\x00\x10\x00\x00\x00\x08\x00", (4096, 2048)),
        (b"GIF89a\x20\x03\x58\x02", (800, 600)),
        (jpeg(EXIF, b"\xff\xdb\x00\x04ab", b"\xff", FRAME), (800, 600)),
        (jpeg(b"\xff\xc4\x00\x04ab", b"\xff\x01", FRAME), (800, 600)),
        (b"RIFF----WEBPVP8X" + bytes(8) + b"\x1f\x03\x00\x57\x02\x00", (800, 600)),
        (b"RIFF----WEBPVP8L" + bytes(4) + b"\x2f" + (799 | 599 << 14).to_bytes(4, "little"), (800, 600)),
        (b"RIFF----WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a\x20\x03\x58\x02", (800, 600)),
        (PNG[:20], None),
        (PNG[:16] + bytes(8), None),
        (b"GIF89a\x20", None),
        (jpeg(b"\xff\xe1\xff\xff"), None),
        (jpeg(b"\xff\xe1\x00\x00" * 3), None),
        (jpeg(b"\xffgarbage"), None),
        (jpeg(FRAME[:6]), None),
        (b"RIFF----WEBPVP9 " + bytes(30), None),
        (b"RIFF----WEBPVP8X" + bytes(9), None),
    ],
)
def test_the_size_is_read_from_the_file_or_is_not_known(content: bytes, size: tuple[int, int] | None) -> None:
    assert Image(content).size == size


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF----WEBPVP8 ", b"RIFF----WEBPVP8L"]),
    st.binary(),
)
def test_no_file_makes_reading_its_size_raise(head: bytes, rest: bytes) -> None:
    size = Image(head + rest).size
    assert size is None or min(size) > 0


def test_a_url_has_no_size_here() -> None:
    assert Image(url=URL).size is None


def test_an_image_does_not_change() -> None:
    image = Image(PNG)
    with pytest.raises(AttributeError, match="make another one with that detail"):
        image.detail = "low"
    with pytest.raises(AttributeError, match="does not change"):
        del image.url


def test_an_image_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(PNG)
    assert read_image(file, detail="low") == read_image(str(file), detail="low") == Image(PNG, detail="low")
    (tmp_path / "cat.txt").write_text("a cat")
    with pytest.raises(ValueError, match=r"cat\.txt: 5 bytes that are no PNG"):
        read_image(tmp_path / "cat.txt")
    (tmp_path / "huge.png").write_bytes(PNG + bytes(MAX_IMAGE_BYTES))
    with pytest.raises(ValueError, match=r"huge\.png: an image of 15\.0 MB"):
        read_image(tmp_path / "huge.png")
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "no.png")
