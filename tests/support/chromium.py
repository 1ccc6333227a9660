"""A real Chromium, Debian's package, driven by Playwright. No browser of Playwright's own is downloaded."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright import async_api as playwright

PROGRAM = "/usr/bin/chromium"
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")


class Page:
    """One tab of a profile of its own, as another machine's would be. ``tab`` is Playwright's, for what is not here."""

    def __init__(self, tab: playwright.Page, devtools: playwright.CDPSession) -> None:
        self.tab = tab
        self._devtools = devtools

    async def send(self, method: str, **params: Any) -> Any:
        """A call of Chromium's own protocol."""
        return await self._devtools.send(method, params)

    async def go(self, url: str) -> None:
        await self.tab.goto(url)

    async def run(self, script: str) -> Any:
        """The value of a script, awaited. Raises AssertionError with what it threw."""
        try:
            return await self.tab.evaluate(script)
        except playwright.Error as error:
            raise AssertionError(error.message) from error

    async def until(self, script: str, seconds: float = 40) -> Any:
        """The first true value of a script, which is asked again and again."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            # A page that is being left answers with an error.
            with suppress(AssertionError):
                value = await self.run(script)
                if value:
                    return value
            if asyncio.get_running_loop().time() > end:
                text = await self.tab.inner_text("body")
                raise AssertionError(f"{script} did not come true; the page says: {text}")
            await asyncio.sleep(0.05)

    async def shows(self, element: str) -> None:
        await self.until(f"document.getElementById('{element}') && !document.getElementById('{element}').hidden")

    async def press(self, element: str) -> None:
        await self.run(f"document.getElementById('{element}').click()")

    async def fill(self, **fields: str) -> None:
        for element, value in fields.items():
            await self.run(f"document.getElementById('{element}').value = {json.dumps(value)}")

    async def text(self, element: str) -> str:
        return str(await self.run(f"document.getElementById('{element}').textContent"))

    async def add_authenticator(self) -> str:
        """A virtual authenticator that verifies its person."""
        await self.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        answer = await self.send("WebAuthn.addVirtualAuthenticator", options=options)
        return str(answer["authenticatorId"])


class Browser:
    def __init__(self, browser: playwright.Browser) -> None:
        self._browser = browser

    async def page(self, **profile: Any) -> Page:
        """A tab of a new profile; ``profile`` is what Playwright's ``new_context`` takes."""
        context = await self._browser.new_context(**profile)
        tab = await context.new_page()
        return Page(tab, await context.new_cdp_session(tab))


def key_of(certificate: Path) -> str:
    """Base64 of the SHA-256 of a certificate's public key."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()


@asynccontextmanager
async def chromium(trusted_key: str) -> AsyncIterator[Browser]:
    """``trusted_key`` is base64 of the SHA-256 of the server's public key: the one that needs no authority."""
    async with playwright.async_playwright() as driver:
        opened = await driver.chromium.launch(
            executable_path=PROGRAM, args=[*_ARGUMENTS, f"--ignore-certificate-errors-spki-list={trusted_key}"]
        )
        try:
            yield Browser(opened)
        finally:
            await asyncio.wait_for(opened.close(), 60)
