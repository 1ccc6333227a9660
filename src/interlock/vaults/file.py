"""Secrets from files: ``file:PATH``, one secret a file, readable by its owner alone (or owner and group).

A relative path starts from the folder in the environment's ``CREDENTIALS_DIRECTORY``, as systemd gives it to a
service that loads credentials, else from the folder that Interlock was started in.
"""

import asyncio
import os
import stat
from pathlib import Path

from interlock.errors import Failure
from interlock.ports.vault import Vault

LONGEST_SECRET_BYTES = 64 * 1024


class FileVault:
    """``base`` is where relative paths start; None: see above. One newline at the file's end is not the secret's."""

    scheme = "file"

    def __init__(self, base: Path | None = None) -> None:
        self._base = base

    async def fetch(self, reference: str) -> str:
        if not reference or "\0" in reference:
            raise Failure(f"{reference!r} is not the path of a file.", "Write `file:PATH`.")
        return await asyncio.to_thread(self._read, self._folder() / reference)

    def _folder(self) -> Path:
        return self._base or Path(os.environ.get("CREDENTIALS_DIRECTORY") or ".")

    def _read(self, path: Path) -> str:
        try:
            # Not blocking: a pipe in the file's place would wait for a writer for ever.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _missing(path, error) from error
        try:
            self._check(path, os.fstat(descriptor))
            content = os.read(descriptor, LONGEST_SECRET_BYTES + 1)
        except OSError as error:
            raise _missing(path, error) from error
        finally:
            os.close(descriptor)
        return self._secret(path, content)

    def _check(self, path: Path, found: os.stat_result) -> None:
        """Of the opened file, not of its name: a name may point elsewhere a moment later."""
        if not stat.S_ISREG(found.st_mode):
            raise Failure(f"{path}, which should hold a secret, is not a file.", "Give the path of a file.")
        if found.st_mode & 0o007:
            raise Failure(
                f"The file {path} holds a secret, and everyone on this machine may read or change it.",
                f"Type `chmod 600 {path}`, and change the secret: it may have been read.",
            )

    def _secret(self, path: Path, content: bytes) -> str:
        if len(content) > LONGEST_SECRET_BYTES:
            raise Failure(
                f"The file {path} is too large for a secret.",
                f"It may have {LONGEST_SECRET_BYTES // 1024} KiB; check the path.",
            )
        try:
            secret = content.decode()
        except UnicodeDecodeError as error:
            raise Failure(f"The file {path} does not hold text.", "A secret is UTF-8 text.") from error
        secret = secret[:-2] if secret.endswith("\r\n") else secret.removesuffix("\n")
        if not secret:
            raise Failure(f"The file {path}, which should hold a secret, is empty.", "Write the secret into it.")
        return secret


def _missing(path: Path, error: OSError) -> Failure:
    return Failure(
        f"The file {path}, which should hold a secret, cannot be read: {error.strerror}.",
        "Check the path, and that the account that runs Interlock may read it.",
    )


VAULT: Vault = FileVault()
