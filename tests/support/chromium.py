"""A real Chromium, driven over its own protocol (CDP) through two pipes. Debian's package, no driver besides."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)


class Page:
    """One tab. ``fails`` are the exceptions that its scripts threw."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser = browser
        self._session = session

    async def send(self, method: str, **params: Any) -> Any:
        return await self._browser.send(method, params, self._session)

    async def go(self, url: str) -> None:
        await self.send("Page.navigate", url=url)

    async def run(self, script: str) -> Any:
        """The value of a script, awaited. Raises AssertionError with what it threw."""
        answer = await self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    async def until(self, script: str, seconds: float = 20) -> Any:
        """The first true value of a script, which is asked again and again."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            with suppress(AssertionError):
                value = await self.run(script)
                if value:
                    return value
            if asyncio.get_running_loop().time() > end:
                text = await self.run("document.body.innerText")
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
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        self._listening = asyncio.create_task(self._listen())

    async def send(self, method: str, params: Mapping[str, Any], session: str | None = None) -> Any:
        self._last += 1
        number = self._last
        message: dict[str, Any] = {"id": number, "method": method, "params": dict(params)}
        if session is not None:
            message["sessionId"] = session
        coming: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = coming
        self._writer.write(json.dumps(message).encode() + b"\0")
        answer = await asyncio.wait_for(coming, 30)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    async def page(self) -> Page:
        """A tab of a profile of its own, as another machine's would be."""
        context = (await self.send("Target.createBrowserContext", {}))["browserContextId"]
        made = await self.send("Target.createTarget", {"url": "about:blank", "browserContextId": context})
        attached = await self.send("Target.attachToTarget", {"targetId": made["targetId"], "flatten": True})
        page = Page(self, attached["sessionId"])
        await page.send("Page.enable")
        return page

    async def close(self) -> None:
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        self._writer.close()

    async def _listen(self) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
                coming = self._waiting.pop(message.get("id", 0), None)
                if coming is not None and not coming.done():
                    coming.set_result(message)


@asynccontextmanager
async def chromium(trusted_key: str) -> AsyncIterator[Browser]:
    """``trusted_key`` is base64 of the SHA-256 of the server's public key: the one that needs no authority."""
    profile = Path(tempfile.mkdtemp(prefix="interlock-chromium-"))
    to_them, ours_out = os.pipe()
    ours_in, from_them = os.pipe()
    arguments = [*_ARGUMENTS, f"--user-data-dir={profile}", f"--ignore-certificate-errors-spki-list={trusted_key}"]
    # The shell gives the browser its pipes as 3 and 4, whatever numbers they have here.
    script = f'exec "$@" 3<&{to_them} 4>&{from_them}'
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        "chromium",
        "chromium",
        *arguments,
        pass_fds=(to_them, from_them),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(to_them)
    os.close(from_them)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**24)
    source, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours_in, "rb"))
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(), os.fdopen(ours_out, "wb")
    )
    browser = Browser(reader, asyncio.StreamWriter(transport, protocol, None, loop))
    try:
        yield browser
    finally:
        await browser.close()
        source.close()
        process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
            await process.wait()
        shutil.rmtree(profile, ignore_errors=True)
