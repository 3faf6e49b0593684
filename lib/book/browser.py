"""A headless browser, for printing the book and for testing its pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lib.base.errors import InputError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_INSTALL = (
    "install one (apt-get install chromium, or: python -m playwright install chromium), or "
    "name it with CHROMIUM=/path/to/chromium"
)


def missing() -> str:
    """Reason why there is no browser; an empty text where there is one."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright, which drives the browser, is not installed; make env installs it"
    given = os.environ.get("CHROMIUM")
    if given and not shutil.which(given):
        return f"CHROMIUM={given} is not a program; {_INSTALL}"
    if not (given or any(map(shutil.which, NAMES)) or _own()):
        return f"no Chromium is installed; {_INSTALL}"
    return ""


def _own() -> Path | None:
    """The browser that playwright has downloaded, if any."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        file = Path(driver.chromium.executable_path)
    return file if file.is_file() else None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Context manager: a running Chromium, which is $CHROMIUM, the system's, or playwright's own.

    Raises:
        InputError: If there is none, or if it does not start.
    """
    if why := missing():
        raise InputError(why)
    from playwright.sync_api import Error, sync_playwright

    program = shutil.which(os.environ.get("CHROMIUM", "")) or next(
        filter(None, map(shutil.which, NAMES)), None
    )
    with sync_playwright() as driver:
        # Chromium's sandbox does not start for root, who is the user in most containers; only our own pages
        # are opened
        flags = ["--disable-gpu", "--no-sandbox"] if os.geteuid() == 0 else ["--disable-gpu"]
        try:
            found = driver.chromium.launch(executable_path=program, args=flags)
        except Error as error:
            raise InputError(
                f"{program or 'Chromium'} does not start: {str(error).strip().splitlines()[0]}; {_INSTALL}"
            ) from None
        try:
            yield found
        finally:
            found.close()
