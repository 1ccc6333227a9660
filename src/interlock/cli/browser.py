"""Prints a page into a PDF with the browser that is there."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from interlock.errors import Failure

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_WAIT_S = 60


def print_to_pdf(page: str) -> bytes:
    """``page`` (HTML) as a PDF. Raises Failure when there is no browser, or when it does not print."""
    browser = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if browser is None:
        raise Failure(
            "There is no Chromium or Chrome on this machine to make a PDF with.",
            "Write FILE.html and print it from a browser, or install chromium.",
        )
    with tempfile.TemporaryDirectory(prefix="interlock-print-") as name:
        folder = Path(name)
        source, printed = folder / "page.html", folder / "page.pdf"
        source.write_text(page)
        arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        arguments += ["--disable-background-networking", f"--user-data-dir={folder / 'profile'}"]
        if os.geteuid() == 0:
            # Chromium's sandbox does not work for root; the page is ours, escaped, and may run and load nothing.
            arguments.append("--no-sandbox")
        arguments += ["--no-pdf-header-footer", f"--print-to-pdf={printed}", source.as_uri()]
        try:
            ended = subprocess.run([browser, *arguments], capture_output=True, timeout=_WAIT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failure(f"{browser} did not print: {error}.", "Write FILE.html and print that.") from error
        if not printed.exists():
            said = (ended.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            raise Failure(f"{browser} did not print: {said}", "Write FILE.html and print that.")
        return printed.read_bytes()
