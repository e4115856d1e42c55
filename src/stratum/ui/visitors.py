"""`Visitors`: who may use the page: whoever opens an address that was printed at the terminal, each good for one browser."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256


class Visitors:
    """Kept in memory: with the page's process, its visitors are gone."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._invited: set[bytes] = set()
        self._known: set[bytes] = set()

    def invite(self) -> str:
        """A key that lets one browser in."""
        key = secrets.token_urlsafe(32)
        self._invited.add(_kept(key))
        return key

    def enter(self, key: str) -> str | None:
        """The cookie for whoever has this key, which is then used up; `None` if it is no key, or was used."""
        try:
            self._invited.remove(_kept(key))
        except KeyError:
            return None
        cookie = secrets.token_urlsafe(32)
        self._known.add(_kept(cookie))
        return cookie

    def knows(self, cookie: str) -> bool:
        """Whether this is a visitor's cookie."""
        return _kept(cookie) in self._known

    def form_token(self, cookie: str) -> str:
        """What the forms of this visitor's pages carry: a page of another site cannot know it."""
        return hmac.new(self._secret, cookie.encode(), sha256).hexdigest()

    def made_here(self, cookie: str, token: str) -> bool:
        """Whether a form is from a page that this visitor was given."""
        return hmac.compare_digest(self.form_token(cookie).encode(), token.encode())


def _kept(text: str) -> bytes:
    # Of a digest, how long it takes to be found tells nothing.
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
