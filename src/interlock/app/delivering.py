"""Builds what the delivery chain works with: mirrors of the repositories, the attesting key, the forges."""

from collections.abc import Mapping

from interlock.app.plan import Plan
from interlock.domain.grants import Request
from interlock.domain.resources import CredentialSource
from interlock.errors import Failure
from interlock.git.reader import GitRepositories
from interlock.identity.envelopes import SigningAttestor
from interlock.identity.keys import load_or_create_key
from interlock.policy.repositories import ForgeSource
from interlock.ports.forge import ForgeAdapter, ForgeSettings, OpenForge
from interlock.services.credentials import Credentials
from interlock.services.delivery import Delivery
from interlock.services.desk import Desk
from interlock.services.emergency_deployment import look_again

SHORTEST_SECRET = 16


async def open_delivery(
    plan: Plan, desk: Desk, credentials: Credentials, adapters: Mapping[str, ForgeAdapter]
) -> tuple[Delivery | None, SigningAttestor]:
    """None where no repository is configured. Raises Failure for a forge that cannot be what it says."""
    attestor = SigningAttestor(load_or_create_key(plan.folder.keys / "attest.key"))
    repositories = plan.configuration.repositories
    if not repositories:
        return None, attestor
    forges: dict[str, OpenForge] = {}
    tokens: dict[str, str] = {}
    for name, source in plan.configuration.forges.items():
        settings = await _settings(source, credentials)
        forges[name] = _adapter(source, adapters).open(settings)
        tokens |= {one.name: settings.token for one in repositories.values() if one.forge == name and settings.token}
    mirrors = GitRepositories(plan.folder.repositories, repositories, tokens)
    delivery = Delivery(desk, mirrors, attestor, forges)

    async def again(request: Request) -> None:
        await look_again(delivery, request)

    desk.look_again = again
    return delivery, attestor


def _adapter(source: ForgeSource, adapters: Mapping[str, ForgeAdapter]) -> ForgeAdapter:
    adapter = adapters.get(source.kind)
    if adapter is None:
        raise Failure(
            f"The forge {source.name} is of the kind {source.kind}, which is not known here.",
            f"Known are: {', '.join(sorted(adapters))}.",
        )
    return adapter


async def _settings(source: ForgeSource, credentials: Credentials) -> ForgeSettings:
    async def fetch(secret: str | None) -> str:
        if secret is None:
            return ""
        return (await credentials.fetch(CredentialSource(source.name, secret))).secret or ""

    webhook = await fetch(source.webhook)
    if len(webhook) < SHORTEST_SECRET:
        raise Failure(
            f"The webhook secret of {source.name} is shorter than {SHORTEST_SECRET} characters.",
            "Make one: openssl rand -hex 32",
        )
    return ForgeSettings(source.name, source.url, webhook, await fetch(source.token), source.bots)
