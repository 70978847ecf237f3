"""A real browser for tests of pages: Chromium, driven by Playwright."""

import contextlib
import os
from collections.abc import Iterator, Mapping

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

from images.browser import ensure_browser

LIMIT = 60.0
"""Seconds that a page, or something on it, may take."""


@contextlib.contextmanager
def driver() -> Iterator[Playwright]:
    """What starts browsers."""
    with sync_playwright() as playwright:
        yield playwright


@contextlib.contextmanager
def browser(playwright: Playwright, *, reaches: Mapping[str, str] | None = None) -> Iterator[Browser]:
    """A browser that has no window. Root can't use its sandbox. `reaches`: `host:port` → where it is in truth.

    Only when it ends are all of its connections closed: a server that stops before that waits for them.
    """
    program = ensure_browser(lambda line: None)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    if reaches:
        rules = ",".join(f"MAP {name} {place}" for name, place in reaches.items())
        arguments.append(f"--host-resolver-rules={rules}")
    running = playwright.chromium.launch(executable_path=program, args=arguments, timeout=LIMIT * 1000)
    try:
        yield running
    finally:
        running.close()


class Visitor:
    """A browser with cookies of its own, that takes the certificates of tests, and hears what the console says."""

    def __init__(self, running: Browser, **options: object) -> None:
        self.context: BrowserContext = running.new_context(ignore_https_errors=True, **options)  # type: ignore[arg-type]
        self.context.set_default_timeout(LIMIT * 1000)
        self.complaints: list[str] = []
        """What the browser complained of, violations of the pages' policy above all."""
        self.page = self.open()

    def open(self) -> Page:
        """Another tab."""
        page = self.context.new_page()
        page.on("console", self._heard)
        return page

    def close(self) -> None:
        """Forgets all cookies."""
        self.context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)
