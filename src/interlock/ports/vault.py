"""Where secrets are kept. A vault is one file that exports one object, ``VAULT``."""

from typing import Protocol


class Vault(Protocol):
    @property
    def scheme(self) -> str:
        """The word before the colon in ``secret: env:NAME``."""

    async def fetch(self, reference: str) -> str:
        """The secret behind what follows the colon. Raises ``Failure`` with a sentence that never quotes the secret."""
