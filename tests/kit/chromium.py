"""A headless Chromium that a test drives: clicks, keys and touches through the DevTools protocol.

The protocol runs through two pipes of the process, so it takes no port and no library.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
WORDS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio"]
WORDS += ["--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars"]
WORDS += ["--remote-debugging-pipe"]
PATIENCE = 60  # seconds


class Browser:
    """One page of one browser; `said` are its errors: exceptions, the console's, requests."""

    def __init__(self, folder, send, receive):
        self.downloads = folder / "downloads"
        self.sending, self.receiving = send, receive
        self.number, self.waiting, self.session = 0, b"", None
        self.said, self.loaded = [], 0

    def call(self, method, **given):
        """Send a command and return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": given}
        if self.session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self.session
        os.write(self.sending, json.dumps(message).encode() + b"\0")
        while True:
            got = self.read()
            if got.get("id") == self.number:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']['message']}")
                return got["result"]

    def read(self):
        """The next message; events are noted."""
        while b"\0" not in self.waiting:
            if not select.select([self.receiving], [], [], PATIENCE)[0]:
                raise TimeoutError("Chromium says nothing")
            more = os.read(self.receiving, 1 << 20)
            if not more:
                raise RuntimeError("Chromium has ended")
            self.waiting += more
        text, _, self.waiting = self.waiting.partition(b"\0")
        got = json.loads(text)
        self.note(got.get("method", ""), got.get("params", {}))
        return got

    def note(self, method, event):
        if method == "Runtime.exceptionThrown":
            about = event["exceptionDetails"]
            self.said.append(about.get("exception", {}).get("description", about["text"]))
        elif method == "Runtime.consoleAPICalled" and event["type"] == "error":
            self.said.append(" ".join(str(one.get("value", one)) for one in event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] == "error":
            self.said.append(f"{event['entry']['text']} {event['entry'].get('url', '')}")
        elif method == "Page.loadEventFired":
            self.loaded += 1

    def open(self, address):
        """Go to an address, and wait until it is loaded."""
        before = self.loaded
        self.call("Page.navigate", url=address)
        while self.loaded == before:
            self.read()

    def ask(self, expression):
        """The value of an expression of JavaScript, awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def until(self, expression, seconds=PATIENCE):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not (found := self.ask(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression}; said: {self.said}")
            time.sleep(0.02)
        return found

    def middle(self, selector):
        """Where an element is, after it has been scrolled into view and drawn there."""
        return self.ask(
            f"(async () => {{ const e = document.querySelector({selector!r});"
            " e.scrollIntoView({block: 'center', behavior: 'instant'});"
            " for (const _ of [1, 2]) await new Promise(requestAnimationFrame);"
            " const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2, b.width, b.height] })()"
        )

    def click(self, selector, share=0.5):
        """Press and let go of the mouse on an element, `share` of its width from its left."""
        x, y, width, _ = self.middle(selector)
        x += (share - 0.5) * width
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def tap(self, selector, swipe=0):
        """Touch an element with a finger, and move it so many pixels to the right."""
        x, y, *_ = self.middle(selector)
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        for step in range(1, 5) if swipe else ():
            points = [{"x": x + swipe * step / 4, "y": y}]
            self.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=points)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        time.sleep(0.5)  # touches that follow sooner are taken for one gesture

    def write(self, selector, text):
        """Click into a field and write into it instead of what is there, then Enter."""
        self.click(selector)
        self.call("Input.insertText", text=text)
        self.press("Enter", number=13)

    def press(self, key, code="", number=0):
        """Press a key: a letter, or a named one as ArrowRight."""
        known = {"key": key, "code": code or key, "windowsVirtualKeyCode": number}
        text = {"text": {"Enter": "\r"}.get(key, key)} if len(key) == 1 or key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **known, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def screen(self, width, height, dark=False, phone=False, scale=1):
        """Set the size of the window, and what the person prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone, maxTouchPoints=1)
        wanted = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[wanted])

    def picture(self):
        """A PNG of what is on the screen."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


def whole(path):
    """The bytes of a file that is being saved, once it is there."""
    end = time.monotonic() + PATIENCE
    while not path.is_file():
        if time.monotonic() > end:
            raise TimeoutError(f"{path} was not saved")
        time.sleep(0.02)
    return path.read_bytes()


@contextmanager
def browser(folder):
    """A browser with one page; its profile and its downloads lie in `folder`."""
    inward, send = os.pipe()
    receive, outward = os.pipe()
    profile = f"--user-data-dir={folder / 'profile'}"
    line = ["bash", "-c", f'exec "$@" 3<&{inward} 4>&{outward}', "-", FOUND, *WORDS, profile]
    process = subprocess.Popen(
        line,
        pass_fds=(inward, outward),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(inward)
    os.close(outward)
    try:
        made = Browser(folder, send, receive)
        target = made.call("Target.createTarget", url="about:blank")["targetId"]
        made.session = made.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log"):
            made.call(f"{domain}.enable")
        made.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(made.downloads))
        yield made
    finally:
        try:
            os.write(send, b'{"id":0,"method":"Browser.close"}\0')
            process.wait(timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        os.close(send)
        os.close(receive)
