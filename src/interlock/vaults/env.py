"""Secrets from the environment of the control plane: ``env:NAME``."""

import os

from interlock.errors import Failure
from interlock.ports.vault import Vault


class EnvironmentVault:
    """``reference`` is the variable's name. An empty variable counts as one that is not set."""

    scheme = "env"

    async def fetch(self, reference: str) -> str:
        if not reference or "=" in reference or "\0" in reference:
            raise Failure(
                f"{reference!r} is not the name of an environment variable.",
                "Write `env:NAME`, such as `env:ORDERS_PASSWORD`.",
            )
        secret = os.environ.get(reference)
        if not secret:
            raise Failure(
                f"The environment variable {reference}, which holds a secret, is not set.",
                f"Set {reference} where Interlock is started, and start it again.",
            )
        return secret


VAULT: Vault = EnvironmentVault()
