"""A job of a CI system is let in as the workload that the configuration describes, and counts as its owner.

Holds to:

* the job's token was taken (``identity.workload_tokens``), and is taken once
* the owner is here, and a contractor's contract runs: looked at when the job is let in and at every call after
* a key is one's own: a job is not let in with a key with which a person has signed in, or which is an agent's
* what it is given lasts as long as its provider's token, an hour at most, and ends when the configuration no longer has
  the workload as it was, or when the owner leaves
* it opens what concerns duties and gates, with what a gate lends for a deployment, and nothing else: no
  approval, no other grant, no end of anything
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from interlock.domain.codec import to_plain
from interlock.domain.identity_events import WorkloadAdmitted
from interlock.domain.people import Person
from interlock.errors import Refusal
from interlock.policy.configuration import Workload
from interlock.ports.state import Reading
from interlock.services.desk import Desk
from interlock.services.endings import may_be_signed_in
from interlock.services.logins import active_login
from interlock.services.requests import digest_of

LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Acting:
    """Who carries a duty: a person in a login, or a workload of theirs. One of the two is empty."""

    login: str = ""
    workload: str = ""


def find_workload(desk: Desk, name: str) -> Workload:
    """Raises Refusal (``invalid_grant``): who is not let in learns nothing of what there is."""
    workload = desk.configuration.workloads.get(name)
    if workload is None:
        raise Refusal(
            "invalid_grant", "There is no such workload.", "Name one that stands under workloads in interlock.yaml."
        )
    return workload


async def admit_workload(
    desk: Desk, *, workload: Workload, subject: str, token_ends_at: datetime, key: str, address: str
) -> datetime:
    """Until when it is let in. Raises Refusal (``key-taken``, ``no-owner``)."""
    async with desk.deciding(f"workload:{workload.name}") as work:
        now = desk.clock.now()
        await owner_of(desk, work, workload.name)
        others = [one for one in await work.logins(key=key) if one.workload != workload.name]
        if others or await work.oauth_client(f"agent-{key}") is not None:
            raise Refusal("key-taken", "This key is a person's or an agent's.", "Make a key for this job alone.")
        # A token is read with two minutes of difference between clocks; what it gives is never over already.
        ends_at = min(max(token_ends_at, now + timedelta(minutes=1)), now + LONGEST)
        work.record(
            WorkloadAdmitted(
                workload=workload.name,
                owner=workload.owner,
                subject=subject,
                key=key,
                ends_at=ends_at,
                address=address,
            )
        )
    return ends_at


def rule_of_login(workload: Workload) -> str:
    """What a login of one of its jobs rests on: everything that the configuration says of it."""
    return digest_of(to_plain(workload))


async def owner_of(desk: Desk, reading: Reading, name: str) -> Person:
    """The person as whom the workload counts now. Raises Refusal (``no-owner``)."""
    workload = desk.configuration.workloads.get(name)
    person = None if workload is None else await reading.person(workload.owner)
    if person is None or not may_be_signed_in(person, await reading.contracts(), desk.clock.now()):
        raise Refusal(
            "no-owner",
            f"The workload {name} has no owner who is here.",
            "Name another owner in interlock.yaml.",
        )
    return person


async def acting_as(desk: Desk, reading: Reading, acting: Acting, now: datetime) -> str:
    """The name of the person as whom ``acting`` counts at ``now``. Raises Refusal."""
    if acting.workload:
        return (await owner_of(desk, reading, acting.workload)).name
    return (await active_login(reading, acting.login, now)).person
