"""Forms as browsers send them: read whole or refused, and only from a page that the visitor was given."""

from __future__ import annotations

from contextlib import aclosing
from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from stratum.ui.visitors import Visitors

MAX_BYTES: Final = 16 * 2**20
"""Of a form: a plan of 4 MiB, each byte of it written as three."""
_MAX_FIELDS: Final = 5000


async def read_form(request: Request, visitors: Visitors) -> dict[str, str]:
    """The form's fields, each once.

    Raises:
        HTTPException: it is too large, no form, or of another page.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Send a form.")
    body = bytearray()
    async with aclosing(request.stream()) as stream:
        async for chunk in stream:
            body += chunk
            if len(body) > MAX_BYTES:
                raise HTTPException(413, "The form is too large.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError as error:
        raise HTTPException(400, "This is not a form.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise HTTPException(400, "A field is given twice.")
    if not visitors.made_here(request.scope["visitor"], fields.pop("form", "")):
        raise HTTPException(403, "This form is of another session: go back, load the page again, and send it anew.")
    # Browsers end the lines of what is typed as on a telegraph.
    return {name: value.replace("\r\n", "\n") for name, value in fields.items()}
