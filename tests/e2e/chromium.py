"""Headless Chromium, driven over its DevTools protocol by a pipe: keys are pressed, pages are looked at, nothing else is installed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-pipe",
)
_PATIENCE_S = 120.0
_KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    " ": (32, " "),
    "End": (35, ""),
    "Home": (36, ""),
    "a": (65, "a"),
}


class Tab:
    """One tab; what it asked of the network and said on its console is kept."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._read = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is there."""
        self._call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def see(self, script: str) -> Any:
        """What an expression is in the page; while it is between two pages, that of the next."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
            except Refused:
                assert time.monotonic() < deadline, f"no page to ask {script}"
                continue
            assert "exceptionDetails" not in found, found
            return found["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self.see(script):
            if time.monotonic() > deadline:
                raise AssertionError(f"never: {script}\n{self.see('document.body.innerText')}")
            time.sleep(0.05)

    def reads(self, text: str) -> None:
        """Wait until the page says this."""
        self.until(f"document.body && document.body.innerText.includes({json.dumps(text)})")

    def press(self, key: str, *, ctrl: bool = False, shift: bool = False) -> None:
        code, text = _KEYS[key]
        modifiers = 2 * ctrl + 8 * shift
        pressed: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        if text and not ctrl:
            pressed["text"] = text
        if key == "a":
            pressed["code"] = "KeyA"
            if ctrl:
                pressed["commands"] = ["selectAll"]
        self._call("Input.dispatchKeyEvent", type="keyDown", **pressed)
        self._call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def type(self, text: str) -> None:
        self._call("Input.insertText", text=text)

    def tab_to(self, name: str) -> None:
        """Press Tab until the control of this name has the focus, as somebody without a mouse does."""
        for _ in range(200):
            self.press("Tab")
            if self.focused() == name:
                return
        raise AssertionError(f"Tab never comes to {name!r}: {self.see('document.body.innerText')}")

    def focused(self) -> str:
        """The name of what has the focus."""
        return str(self.see(_FOCUSED)).strip()

    def sized(self, width: int, height: int, *, dark: bool = False) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def without_scripts(self) -> None:
        self._call("Emulation.setScriptExecutionDisabled", value=True)

    def picture(self, file: Path) -> None:
        """The whole page as PNG."""
        shot = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            asked["sessionId"] = self._session
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._number:
                if "error" in said:
                    raise Refused(f"{method}: {said['error']}")
                return said["result"]
            self._note(said)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._from], [], [], _PATIENCE_S)
            assert ready, "Chromium does not answer"
            read = os.read(self._from, 2**20)
            assert read, "Chromium has ended"
            self._read += read
        message, _, self._read = self._read.partition(b"\0")
        said: dict[str, Any] = json.loads(message)
        return said

    def _note(self, said: dict[str, Any]) -> None:
        told = said.get("params", {})
        match said.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning"):
                self.complaints.append(str(told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
            case _:
                pass


class Refused(Exception):
    """The browser could not do it just then, as while a page is being exchanged for another."""


_FOCUSED = """(() => {
  const it = document.activeElement;
  if (!it || it === document.body) return "";
  const labels = it.labels && it.labels.length ? [...it.labels].map(label => label.textContent).join(" ") : "";
  return it.getAttribute("aria-label") || labels || it.textContent;
})()"""


@contextmanager
def chromium(folder: Path, *switches: str) -> Generator[Tab]:
    """A tab of a browser that keeps what it keeps in `folder`, and ends with the block."""
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    # The protocol's pipes are descriptors 3 and 4 of the browser.
    command: Sequence[str] = [
        "bash",
        "-c",
        f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}',
        CHROMIUM,
        *_SWITCHES,
        *switches,
        f"--user-data-dir={folder / 'profile'}",
    ]
    process = subprocess.Popen(command, pass_fds=[theirs_in, theirs_out], stderr=subprocess.DEVNULL)
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Tab(ours_out, ours_in)
    finally:
        os.close(ours_out)
        os.close(ours_in)
        process.terminate()
        process.wait(300)
