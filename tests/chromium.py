"""Headless Chromium for tests, controlled through a pipe."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXECUTABLE = shutil.which("chromium")
# Chromium reads commands from descriptor 3 and writes answers to 4.
LAUNCH = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--window-size=1000,900",
)
ERRORS = ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")


class Page:
    """A tab with its errors and requests."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = os.fdopen(commands, "wb"), answers
        self._number, self._session, self._rest = 0, None, b""
        self.errors: list[dict[str, Any]] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        message = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = message["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, path: Path) -> None:
        """Open a file and wait until it is loaded."""
        self.errors.clear()
        self.requests.clear()
        self.call("Page.navigate", url=path.as_uri())
        while self._receive().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        options = {"returnByValue": True, "awaitPromise": True}
        message = self.call("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in message, message
        return message["result"].get("value")

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{found}.scrollIntoView({{block: 'center'}})")
        box = self.evaluate(f"{found}.getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            mouse = {"type": kind, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", **mouse, **place)

    def press(self, key: str) -> None:
        """Press a key; codes are those of Windows."""
        code = {"Tab": 9, "ArrowUp": 38, "ArrowDown": 40}[key]
        for kind in ("keyDown", "keyUp"):
            names = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", type=kind, **names)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command of the DevTools protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = os.read(self._answers, 1 << 16)
            assert data, "Chromium has ended"
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(text)
        if message.get("method") in ERRORS:
            self.errors.append(message)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        return message


@contextlib.contextmanager
def launch() -> Iterator[Page]:
    """Start a browser with one tab and its own profile."""
    (for_child, commands), (answers, from_child) = os.pipe(), os.pipe()
    ends = [
        fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (for_child, from_child)
    ]
    os.close(for_child)
    os.close(from_child)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        line = [sys.executable, "-c", LAUNCH, *map(str, ends), EXECUTABLE, *OPTIONS]
        process = subprocess.Popen(
            [*line, f"--user-data-dir={profile}"],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in ends:
            os.close(end)
        page = None
        try:
            page = Page(commands, answers)
            yield page
        finally:
            if page is not None:
                page._commands.close()  # the browser ends with its pipe
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
            os.close(answers)
