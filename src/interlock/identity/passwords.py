"""Local passwords: Argon2id, in a few threads of their own, with the same work for persons who do not exist.

19 MiB, two passes, one lane (OWASP's floor, about 22 ms); kept as a PHC string, so that stronger settings can come
later without losing what is kept. Passwords are compared in Unicode's NFC (RFC 8265 section 4.2).
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from interlock.errors import Failure, Refusal

SHORTEST = 12
LONGEST_BYTES = 1024
_THREADS = 2
_WAITING = 64

T = TypeVar("T")


def check_password(password: str) -> None:
    """Refuses a password that is too short to be one, or too long to be typed."""
    if len(password) < SHORTEST:
        raise Refusal(
            "weak-password", f"A password has {SHORTEST} characters at least.", "Several words make a good one."
        )
    if len(password.encode(errors="replace")) > LONGEST_BYTES:
        raise Refusal("weak-password", f"A password has {LONGEST_BYTES} bytes at most.", "Choose a shorter one.")


class Argon2Passwords:
    """The port PasswordHashing. At most a few hashes at once, 19 MiB each; ``close`` when done."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._in_hand = 0
        self._nobody = _hash(secrets.token_urlsafe(16))

    async def hash(self, password: str) -> str:
        """The PHC string to keep. Raises Refusal for a password that is too weak."""
        check_password(password)
        return await self._run(lambda: _hash(password))

    async def verify(self, password: str, kept: str | None) -> bool:
        """Whether ``password`` is the one behind ``kept``. None takes as long as any other, and is never true."""
        held = await self._run(lambda: _verify(password, kept or self._nobody))
        return held and kept is not None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._in_hand >= _WAITING:
            raise Failure("Too many sign-ins are under way at once.", "Try again in a few seconds.")
        self._in_hand += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._in_hand -= 1


def _hash(password: str) -> str:
    settings = Argon2id(salt=secrets.token_bytes(16), length=32, iterations=2, lanes=1, memory_cost=19 * 1024)
    return settings.derive_phc_encoded(_bytes(password))


def _verify(password: str, kept: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(_bytes(password), kept)
    except InvalidKey:
        return False
    return True


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode(errors="replace")
