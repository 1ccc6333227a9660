"""`interlock login` through a browser, with the real program: a code that is shown, or an answer on a loopback port."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from interlock.identity.keys import load_key, thumbprint
from tests.services.world import DBA, DEV
from tests.web.house import House, trust
from tests.web.oauth_client import fields_in, say

INTERLOCK = str(Path(sys.executable).with_name("interlock"))


@pytest.fixture
def home(house: House, tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    (folder / "authority.pem").write_text(house.authority.pem)
    (folder / "authority.pem").chmod(0o600)
    return folder


async def _login(house: House, home: Path, *words: str, **environment: str) -> Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK")}
    return await asyncio.create_subprocess_exec(
        INTERLOCK,
        "login",
        "--server",
        house.server,
        "--json",
        *words,
        env={**kept, "INTERLOCK_HOME": str(home), "HOME": str(home), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


async def _seen(process: Process, pattern: str) -> str:
    """What the person reads on the terminal."""
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while line := (await process.stderr.readline()).decode():
            if found := re.search(pattern, line):
                return found[0]
    raise AssertionError(f"{pattern} was not shown")


async def _ended(process: Process) -> tuple[int | None, Any]:
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, json.loads(out) if out else err.decode()


async def test_a_code_is_shown_and_allowed_elsewhere(house: House, home: Path) -> None:
    person = await house.signed_in(DEV, present=True)
    process = await _login(house, home, "--how", "code", "--person", DEV)
    code = await _seen(process, r"[A-Z]{4}-[A-Z]{4}")
    await say(person, code, allow=True)
    status, answer = await _ended(process)
    assert status == 0, answer
    assert answer["person"] == DEV
    login = await house.world.login(answer["login"])
    assert login.key == thumbprint(load_key(home / "key.pem"))
    assert login.present_at is not None
    assert (home / "certificate.pem").read_text().startswith("-----BEGIN CERTIFICATE")


async def test_another_person_than_was_wanted_is_signed_out_at_once(house: House, home: Path) -> None:
    person = await house.signed_in(DBA)
    process = await _login(house, home, "--how", "code", "--person", DEV)
    await say(person, await _seen(process, r"[A-Z]{4}-[A-Z]{4}"), allow=True)
    status, _ = await _ended(process)
    assert status == 1
    assert not (home / "login.json").exists()
    (event,) = await house.world.events("login.ended")
    assert event["person"] == DBA


async def test_the_browser_of_the_machine_answers_on_loopback(house: House, home: Path) -> None:
    person = await house.signed_in(DEV)
    process = await _login(house, home, "--how", "browser", BROWSER="true")
    page = await _seen(process, r"https://\S+/oauth/authorize\S+")
    async with httpx2.AsyncClient(verify=trust(house.authority), trust_env=False) as browser:
        went = await browser.get(page)
        redirect = await say(person, fields_in(went.headers["location"])["request"], allow=True)
        parts = urlsplit(redirect)
        assert (parts.hostname, parts.path) == ("127.0.0.1", "/callback")
        answered = {name: values[0] for name, values in parse_qs(parts.query).items()}
        # Whoever else calls the port: another's state, another server's answer, another page.
        base = f"http://{parts.netloc}/callback"
        for wrong in (
            {**answered, "state": "guessed"},
            {**answered, "iss": "https://evil.example"},
            {name: value for name, value in answered.items() if name != "iss"},
        ):
            assert (await browser.get(base, params=wrong)).status_code == 400
        assert (await browser.get(f"http://{parts.netloc}/other", params=answered)).status_code == 400
        assert (await browser.get(base, params=answered)).status_code == 200
    status, answer = await _ended(process)
    assert status == 0, answer
    assert answer["person"] == DEV


async def test_a_no_in_the_browser_is_a_sentence_in_the_terminal(house: House, home: Path) -> None:
    person = await house.signed_in(DEV)
    process = await _login(house, home, "--how", "code")
    await say(person, await _seen(process, r"[A-Z]{4}-[A-Z]{4}"), allow=False)
    status, answer = await _ended(process)
    assert status == 1
    assert "access_denied" in json.dumps(answer)
