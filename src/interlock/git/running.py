"""One git program, run so that nothing in a repository, an environment or a name can make it do something else.

Holds to:

* an argument list, never a shell; names of others stand behind ``--end-of-options`` or go in by stdin
* the environment is made from nothing: no ``GIT_*`` of the caller's, no system or user configuration, no replaced
  objects, no prompts, no hooks, no protocols but those that are named
* a time within which it ends, and a bound on what it may say
"""

import asyncio
import base64
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from interlock.errors import Failure

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.alternateRefsCommand=false",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "safe.directory=*",
    "transfer.fsckObjects=true",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.helper=",
    "merge.renames=true",
    "merge.directoryRenames=false",
    "merge.conflictStyle=merge",
    "diff.renames=false",
    "uploadpack.packObjectsHook=",
)
TIMEOUT_S = 60.0
LONGEST = 512 * 1024 * 1024
AT_ONCE = 4


class GitError(Failure):
    """Git said no; ``said`` is what it wrote."""

    def __init__(self, sentence: str, said: str) -> None:
        super().__init__(sentence, "The control plane's log and `interlock doctor` say more.")
        self.said = said


def environment(home: Path, token: str | None = None) -> dict[str, str]:
    """What git may know. A ``token`` goes to the forge as a header, and is on no command line."""
    found = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=10",
    }
    if token is not None:
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        found |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
    return found


class Git:
    """Git on one bare repository. At most ``AT_ONCE`` run at a time."""

    def __init__(self, folder: Path, token: str | None = None) -> None:
        self.folder = folder
        self._environment = environment(folder, token)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._settings = [word for setting in _SETTINGS for word in ("-c", setting)]

    async def run(
        self, *arguments: str, stdin: bytes = b"", codes: Sequence[int] = (0,), timeout_s: float = TIMEOUT_S
    ) -> bytes:
        """What it says. Raises GitError for an exit code that is not among ``codes``."""
        code, said, complained = await self.call(*arguments, stdin=stdin, timeout_s=timeout_s)
        if code not in codes:
            complaint = complained.decode(errors="replace").strip()[-400:]
            raise GitError(f"git {arguments[0]} on {self.folder.name} failed: {complaint or code}.", complaint)
        return said

    async def call(self, *arguments: str, stdin: bytes = b"", timeout_s: float = TIMEOUT_S) -> tuple[int, bytes, bytes]:
        # From a file, not through a pipe: a program that ends without reading it all breaks nothing here.
        async with self._turns:
            with tempfile.TemporaryFile() as given:
                given.write(stdin)
                given.seek(0)
                process = await self._start(arguments, given)
            try:
                async with asyncio.timeout(timeout_s):
                    said, complained = await process.communicate()
            except TimeoutError as error:
                raise Failure(
                    f"git {arguments[0]} on {self.folder.name} took longer than {timeout_s:.0f} s.", "Try again."
                ) from error
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            if len(said) > LONGEST:
                raise Failure(f"git {arguments[0]} on {self.folder.name} said more than is looked at.", "")
            return process.returncode or 0, said, complained

    async def _start(self, arguments: Sequence[str], given: IO[bytes]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "git",
            *self._settings,
            f"--git-dir={self.folder}",
            *arguments,
            env=self._environment,
            cwd=self.folder if self.folder.is_dir() else "/",
            stdin=given,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**20,
        )


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
