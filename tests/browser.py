"""A headless Chromium driven over a pipe, by the DevTools protocol: what a page does, and what it looks like.

Source: Chrome DevTools Protocol, https://chromedevtools.github.io/devtools-protocol/; messages end with a NUL.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["FOUND", "Browser", "Page", "running"]

FOUND = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
"""The Chromium of this machine, or nothing."""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_LAUNCH = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Starts a browser, which reads its commands from descriptor 3 and answers on descriptor 4."""
PATIENCE = 60.0
"""Seconds to wait for one answer."""


class Browser:
    """A Chromium and the two pipes to it."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int) -> None:
        self.process = process
        self._to = to
        self._back = back
        self._buffer = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """The result of one command; events that come meanwhile are kept.

        Raises:
            RuntimeError: the browser refuses the command.
        """
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']['message']}")
                found: dict[str, Any] = told["result"]
                return found
            self._events.append(told)

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._back], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self._back, 1 << 20) if ready else b""
            if not chunk:
                raise RuntimeError("the browser does not answer")
            self._buffer += chunk
        text, _, self._buffer = self._buffer.partition(b"\0")
        told: dict[str, Any] = json.loads(text)
        return told

    def events(self, session: str) -> list[dict[str, Any]]:
        """The events of one page that came with the answers so far."""
        return [event for event in self._events if event.get("sessionId") == session]

    def forget(self) -> None:
        """Lets go of the events so far."""
        self._events.clear()

    @contextmanager
    def page(self, path: Path) -> Iterator[Page]:
        """The file *path* in a tab of its own, without a network."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        try:
            for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
                page.call(f"{domain}.enable")
            page.call(
                "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
            )
            page.size(1280, 900)
            page.call("Page.navigate", url=path.resolve().as_uri())
            page.until("document.readyState === 'complete'")
            yield page
        finally:
            self.call("Target.closeTarget", targetId=target)


class Page:
    """One page in a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser = browser
        self.session = session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command to this page."""
        return self.browser.call(method, self.session, **params)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for.

        Raises:
            RuntimeError: it throws.
        """
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in told:
            raise RuntimeError(str(told["exceptionDetails"].get("exception", {}).get("description")))
        return told["result"].get("value")

    def until(self, script: str) -> None:
        """Waits until a JavaScript expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}"

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """Presses one key and lets it go."""
        what: Mapping[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call(
            "Input.dispatchKeyEvent",
            type="keyDown" if text else "rawKeyDown",
            **what,
            **({"text": text} if text else {}),
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", **what)

    def size(self, width: int, height: int) -> None:
        """Sets the size of the view, in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def complaints(self) -> list[str]:
        """Whatever the console holds: messages, errors, violations of the policy, exceptions."""
        found = []
        for event in self.browser.events(self.session):
            told = event.get("params", {})
            if event["method"] == "Log.entryAdded":
                found.append(told["entry"]["text"])
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(str(told["args"]))
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(str(told["exceptionDetails"]))
        return found

    def requested(self) -> list[str]:
        """The addresses that the page asked for, its own among them."""
        return [
            event["params"]["request"]["url"]
            for event in self.browser.events(self.session)
            if event["method"] == "Network.requestWillBeSent"
        ]

    def blocked(self) -> list[str]:
        """The addresses that the page's own policy kept it from."""
        events = self.browser.events(self.session)
        asked = {e["params"]["requestId"]: e["params"] for e in events if e["method"] == "Network.requestWillBeSent"}
        failed = (e["params"] for e in events if e["method"] == "Network.loadingFailed")
        return [asked[f["requestId"]]["request"]["url"] for f in failed if f.get("blockedReason") == "csp"]

    def names(self) -> dict[str, list[str]]:
        """Role -> the accessible names of everything that has it, in order, as a screen reader is told them."""
        found: dict[str, list[str]] = {}
        for node in self.call("Accessibility.getFullAXTree")["nodes"]:
            if not node.get("ignored"):
                role = str(node.get("role", {}).get("value", ""))
                found.setdefault(role, []).append(str(node.get("name", {}).get("value", "")))
        return found

    def picture(self, path: Path, *, top: int = 0, height: int | None = None) -> Path:
        """Writes a picture of the page from *top* to *path*, as PNG."""
        width, whole = self.run("[document.documentElement.clientWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": top, "width": width, "height": height or whole - top, "scale": 1}
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(told["data"]))
        return path


@contextmanager
def running() -> Iterator[Browser]:
    """A Chromium of its own, which is gone afterwards."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    with tempfile.TemporaryDirectory(prefix="contract-chromium", ignore_cleanup_errors=True) as home:
        launcher = [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), FOUND]
        command = [*launcher, *_FLAGS, f"--user-data-dir={home}", "about:blank"]
        process = subprocess.Popen(
            command,
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": home},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        browser = Browser(process, ours_out, ours_in)
        try:
            yield browser
        finally:
            with suppress(RuntimeError, OSError):
                browser.call("Browser.close")
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(ours_out)
            os.close(ours_in)
