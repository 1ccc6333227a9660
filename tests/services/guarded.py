"""A company whose policy is real text, so that it can be proposed, proved, approved and activated."""

from dataclasses import dataclass, field

from interlock.domain.grants import Login, Request
from interlock.domain.snapshot import PolicyText
from interlock.policy.configuration import Configuration
from interlock.policy.load import load_configuration
from interlock.services.activate_policy import Activated, activate_policy
from interlock.services.desk import Desk
from interlock.services.propose_policy import propose_policy
from interlock.services.start_policy import Started, start_policy
from tests.services.world import World

CHIEF, DEPUTY, KEEPER, CLERK = "chief@example.com", "deputy@example.com", "keeper@example.com", "clerk@example.com"
"""Employees: the first two are administrators, the third approves roles, the fourth is in no group."""
HAND, FELLOW = "hand@acme.example", "fellow@acme.example"
"""Contractors of one vendor; the second is in the group ``dba``."""

POLICY = """\
resources:
  orders: {kind: postgres, address: "127.0.0.1:5432", credential: {user: app}, labels: {environment: production}}
vendors: {acme: {}}
people:
  chief@example.com: {groups: [administrators, dba], identities: {ssh: ["SHA256:chief"]}}
  deputy@example.com: {groups: [administrators]}
  keeper@example.com: {groups: [dba]}
  clerk@example.com: {}
  hand@acme.example: {vendor: acme}
  fellow@acme.example: {vendor: acme, groups: [dba]}
contracts:
  acme-orders: {vendor: acme, sponsor: chief@example.com, start: 2026-01-01, end: 2027-12-31, roles: [writer]}
roles:
  writer:
    on: {kind: postgres, environment: production}
    allow: [connect, read, write, alter, destroy]
    hold: [alter, destroy]
    lend: {longest: 2h, approvals: [{from: {group: dba}, count: 1}], mfa: true}
chains:
  release:
    duties: [develop, review, deploy]
    separate: all
    claims: {min_persons: 2}
"""


def read(policy: PolicyText) -> Configuration:
    return load_configuration(policy.yaml, "interlock.yaml", cedar=policy.cedar)


@dataclass
class Guarded(World):
    """A control plane's desk that lasts, so that it adopts what is activated."""

    configuration: Configuration = field(default_factory=lambda: load_configuration(POLICY, "interlock.yaml"))
    _desk: Desk | None = None

    @property
    def desk(self) -> Desk:
        if self._desk is None:
            self._desk = self.another_desk()
        return self._desk

    def another_desk(self, text: str = "") -> Desk:
        """As another control plane has, or the same one after a restart, with ``text`` as its file."""
        configuration = load_configuration(text, "interlock.yaml") if text else self.configuration
        return Desk(self.state, self.clock, configuration, read)

    async def start(self, text: str = "") -> Started:
        """A restart with ``text`` in the file."""
        self._desk = self.another_desk(text)
        return await start_policy(self._desk)

    async def propose(self, text: str, *, person: str = CHIEF, login: Login | None = None) -> Request:
        login = login or await self.sign_in(person)
        return await propose_policy(self.desk, login_id=login.id, yaml=text, cedar={}, reason="a change")

    async def activate(self, request: Request, *, person: str = CHIEF, login: Login | None = None) -> Activated:
        login = login or await self.sign_in(person)
        return await activate_policy(self.desk, login_id=login.id, request_id=request.id)

    async def change(self, text: str) -> Activated:
        """The whole chain, by the two administrators."""
        request = await self.propose(text)
        await self.approve(DEPUTY, request)
        return await self.activate(request)
