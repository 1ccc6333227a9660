"""The operator lets a person in: a one-time code, made on the control plane's own machine."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from interlock.app.front import open_front, open_tokens
from interlock.app.installation import Adapters, running_state
from interlock.app.plan import kept_plan
from interlock.identity.authority import Authority
from interlock.policy.configuration import CONSOLE
from interlock.ports.clock import SystemClock
from interlock.services.desk import Desk
from interlock.services.enrol import issue_enrolment

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Code:
    """``text`` is ``CODE.FINGERPRINT``; ``server`` where to sign in with it."""

    person: str
    text: str = field(repr=False)
    server: str
    expires_at: datetime


def make_code(person: str, data: Path | None) -> Code:
    """A code for ``person``. Raises Failure when nothing runs here, NotFound or Refusal for the person."""
    return asyncio.run(_make_code(person, data))


async def _make_code(person: str, data: Path | None) -> Code:
    clock = SystemClock()
    async with running_state(data) as (folder, state):
        plan = kept_plan(folder, Adapters())
        authority = Authority.open(folder.keys, clock.now())
        front, passwords = open_front(Desk(state, clock, plan.configuration), authority, open_tokens(plan, clock))
        try:
            issued = await issue_enrolment(front, person=person, by=OPERATOR)
        finally:
            passwords.close()
    return Code(person, issued.text, f"https://{plan.listen[CONSOLE]}", issued.enrolment.expires_at)
