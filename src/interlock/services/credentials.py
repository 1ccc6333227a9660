"""The credentials of the resources, fetched from the vaults that keep them.

Holds to:

* a secret is fetched by the vault whose scheme stands before the colon (``env:NAME``), within five seconds
* one that cannot be fetched is left out and told to the operator, by the resource's name and never with the secret;
  the others are there
"""

import asyncio
import base64
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from interlock.domain.accounts import UpstreamAccount
from interlock.domain.resources import CredentialSource, Resource
from interlock.domain.snapshot import UpstreamCredential
from interlock.errors import Failure
from interlock.ports.vault import Vault

_FETCH_S = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccountSecrets:
    """The secrets of accounts that Interlock makes: made from ``key`` and the account's name, and kept nowhere.

    ``installation`` is written on each account, so that no other installation takes it for its own.
    """

    installation: str
    key: bytes = field(repr=False)

    def credential_of(self, account: UpstreamAccount) -> UpstreamCredential:
        return UpstreamCredential(account.name, self.secret_of(account.name))

    def secret_of(self, name: str) -> str:
        return base64.urlsafe_b64encode(hmac.digest(self.key, name.encode(), "sha256")).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Credentials:
    """``vaults`` are keyed by their scheme. ``accounts`` makes the secrets of people's own accounts on resources."""

    resources: Mapping[str, Resource]
    vaults: Mapping[str, Vault]
    accounts: AccountSecrets | None = None

    async def fetch_all(self, resources: Mapping[str, Resource] | None = None) -> dict[str, UpstreamCredential]:
        """The credentials by resource, without those that cannot be fetched now. Never raises for one of them.

        That of a resource with an account for each person is no gateway's: with it accounts are made. ``resources`` are
        those of the policy that is active now, where it may have changed.
        """
        known = self.resources if resources is None else resources
        shared = [resource for resource in known.values() if not resource.personal]
        sources = {r.name: r.credential for r in shared if r.credential is not None}
        fetched = await asyncio.gather(*(self._fetch_or_tell(name, source) for name, source in sources.items()))
        return {name: one for name, one in zip(sources, fetched, strict=True) if one is not None}

    async def fetch(self, source: CredentialSource) -> UpstreamCredential:
        """Raises Failure when the secret cannot be had."""
        if source.secret is None:
            return UpstreamCredential(source.user)
        scheme, _, reference = source.secret.partition(":")
        vault = self.vaults.get(scheme)
        if vault is None:
            raise Failure(
                f"No vault is known for secrets that start with {scheme}:.",
                f"Known are {', '.join(f'{name}:' for name in sorted(self.vaults)) or 'none'}.",
            )
        try:
            async with asyncio.timeout(_FETCH_S):
                return UpstreamCredential(source.user, await vault.fetch(reference))
        except TimeoutError as error:
            raise Failure(f"The vault {scheme}: did not answer within {_FETCH_S:.0f} s.") from error

    async def _fetch_or_tell(self, resource: str, source: CredentialSource) -> UpstreamCredential | None:
        try:
            return await self.fetch(source)
        except Failure as failure:
            _log.error("The credential of %s cannot be fetched, so nobody can open it: %s", resource, failure)
            return None
