"""A person adds an agent: a program with a key of its own, which acts for them and counts as them.

Holds to:

* an agent has an owner, the person who added it in a login of theirs, and only that person ends it, or an administrator
* an agent's key is no key of a person, and of no other agent: who signs is never in doubt
* an agent ends with its owner
"""

from collections.abc import Mapping
from typing import Any

from interlock.domain.identity_events import ClientRegistered
from interlock.domain.oauth import ClientKind, OauthClient
from interlock.domain.plain_text import written_out
from interlock.errors import NotFound, Refusal
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.endings import Endings
from interlock.services.logins import active_login

_LONGEST_NAME = 100


async def add_agent(desk: Desk, *, login_id: str, name: str, jwks: Mapping[str, Any], thumbprint: str) -> OauthClient:
    """Raises Refusal (``key-taken``, ``bad-name``)."""
    name = written_out(name.strip())
    if not 0 < len(name) <= _LONGEST_NAME:
        raise Refusal("bad-name", f"An agent's name has 1 to {_LONGEST_NAME} characters.", "Choose another.")
    async with desk.state.reading() as reading:
        owner = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(owner) as work:
        now = desk.clock.now()
        await active_login(work, login_id, now)
        await acting_person(work, owner)
        client_id = f"agent-{thumbprint}"
        if await work.logins(key=thumbprint) or await work.oauth_client(client_id) is not None:
            raise Refusal("key-taken", "This key is a person's or another agent's.", "Make a key for this agent alone.")
        agent = OauthClient(client_id, ClientKind.AGENT, name, (), jwks, now, owner=owner)
        await work.save(agent)
        work.record(
            ClientRegistered(client=agent.id, client_kind=agent.kind.value, name=name, redirect_uris=(), owner=owner)
        )
    return agent


async def list_agents(desk: Desk, *, person: str) -> tuple[OauthClient, ...]:
    """The person's own agents, those that have ended too."""
    async with desk.state.reading() as reading:
        return tuple(await reading.oauth_clients(owner=person))


async def end_agent(desk: Desk, *, by: str, client_id: str, reason: str) -> OauthClient:
    """With everything that it was allowed. Raises NotFound, or Refusal (``over``)."""
    async with desk.ending(by) as work:
        now = desk.clock.now()
        actor = await acting_person(work, by)
        agent = await work.oauth_client(client_id)
        if agent is None or agent.owner is None or (agent.owner != by and not is_administrator(actor)):
            raise NotFound(f"There is no agent {client_id} of yours.", "See `interlock agents`.")
        if agent.ended_at is not None:
            raise Refusal("over", f"The agent {agent.name} has ended already.", "See `interlock agents`.")
        await Endings(work, by=by, reason=reason, at=now).client(agent)
    return agent
