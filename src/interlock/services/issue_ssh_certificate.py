"""A short-lived SSH certificate for the key of a login, for one resource.

Holds to:

* it is issued to an active login of an active person who has an active grant on the resource, bound to that login's key
* it is for that key alone, whose possession the request proves, and names the login and the person
* it ends with the last of those grants, with the login, and after eight hours, whichever is first
"""

from dataclasses import dataclass
from datetime import datetime

from interlock.domain.work_events import SshCertificateIssued
from interlock.errors import NotFound, Refusal
from interlock.ports.identity import SshCertificateIssuing
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.logins import active_login


@dataclass(frozen=True, slots=True)
class IssuedSshCertificate:
    """``authority`` is the SSH authority's public key. ``authorities`` are all that may have certified the gateways'
    host keys: it, and those before it that are still trusted."""

    certificate: str
    authority: str
    person: str
    ends_at: datetime
    authorities: tuple[str, ...]


async def issue_ssh_certificate(
    desk: Desk, authority: SshCertificateIssuing, *, login_id: str, resource: str, csr: str
) -> IssuedSshCertificate:
    """Raises Refusal (``login-ended``, ``person-ended``, ``no-grant``, ``other-protocol``, ``bad-csr``) or NotFound."""
    async with desk.state.reading() as reading:
        actor = (await active_login(reading, login_id, desk.clock.now())).person
    found = desk.configuration.resources.get(resource)
    if found is None:
        raise NotFound(f"There is no resource named {resource}.", "See `interlock resources`.")
    if found.kind != "ssh":
        raise Refusal(
            "other-protocol", f"{resource} speaks {found.kind}, not ssh.", f"Type `interlock connect {resource}`."
        )
    async with desk.state.changing(actor) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await acting_person(work, login.person)
        grants = await work.grants(active_at=now, person=login.person)
        mine = [g for g in grants if g.resource == resource and g.key == login.key and g.active(now)]
        if not mine:
            raise Refusal(
                "no-grant",
                f"{login.person} has no active grant on {resource} for this key.",
                f"Type `interlock request {resource} --role ROLE --for 1h --reason …`.",
            )
        ends_at = min(login.ends_at, max(grant.ends_at for grant in mine))
        line = authority.issue_for_request(csr, login=login, ends_at=ends_at, at=now)
        work.record(SshCertificateIssued(person=login.person, login=login.id, resource=resource, ends_at=ends_at))
    return IssuedSshCertificate(line, authority.line, login.person, ends_at, authority.lines)
