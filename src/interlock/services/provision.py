"""A company's directory says who works here (SCIM): its users become persons, and leave when it says so.

Holds to:

* a user is a person of the same name (``userName``). A person whom the configuration names stays as it says there: of
  such a one the directory can only take away. A user whose ``organization`` is no vendor here, or whose name can be
  none of a person's, is kept and is nobody: it opens nothing
* the directory fills the groups that ``scim.groups`` names, and no other; ``administrators`` only if it is named there
* ``active: false`` ends in that moment what an offboarding ends; ``active: true`` lets the same person come again, with
  nothing of what they had, if it was the directory that took them away. Deleted is offboarded: nobody comes back
* the directory ends at most ``scim.most_ends`` persons in an hour, and never the last administrator: a directory that
  errs, or is in wrong hands, does not lock everybody out. What it asks beyond that is refused, and it asks again later
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from interlock.domain.event import Event
from interlock.domain.people import ADMINISTRATORS, Person
from interlock.domain.provisioning import GROUP, USER, Provisioned
from interlock.domain.rights_events import PersonAdded, PersonChanged, PersonReturned, ResourceProvisioned
from interlock.errors import Refusal
from interlock.policy.configuration import Configuration, Scim
from interlock.ports.state import UnitOfWork
from interlock.services.ending_rights import is_administrator
from interlock.services.endings import Ended, Endings

DIRECTORY = "directory"
"""The actor in the ledger."""
_HOUR = timedelta(hours=1)
_PERSON = re.compile(r"[\w.%+-]+(@[\w.-]+)?", re.ASCII)
_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass(frozen=True, slots=True)
class Provisioning:
    """The directory's writes within one unit of work, at one moment."""

    work: UnitOfWork
    configuration: Configuration
    scim: Scim
    at: datetime
    ended: list[tuple[Ended, Event]] = field(default_factory=list)
    """What it ended, in order."""

    async def save(self, before: Provisioned | None, after: Provisioned) -> Provisioned:
        """Keep ``after`` and do what follows from it. Raises Refusal (``too-many-ends``, ``last-administrator``)."""
        if after.kind == USER:
            after = await self._user(before, after)
        await self.work.save(after)
        self._record("changed" if before else "added", after)
        if after.kind == GROUP:
            await self._members_changed(before, after)
        return after

    async def delete(self, before: Provisioned) -> None:
        deleted = replace(before, deleted_at=self.at, version=before.version + 1, modified_at=self.at)
        await self.work.save(deleted)
        self._record("deleted", deleted)
        if before.kind == GROUP:
            await self._members_changed(before, deleted)
            return
        person = await self._person(before)
        if person is not None and person.active:
            await self._end(person, "the directory deleted them")

    async def _user(self, before: Provisioned | None, after: Provisioned) -> Provisioned:
        after = replace(after, person=before.person if before else None)
        wanted = await self._wanted(after)
        if before is not None and after.person not in (None, wanted.name if wanted else None):
            # Renamed, or no longer anybody's: the person of the old name leaves; a name is one person's for good.
            person = await self._person(after)
            if person is not None and person.active:
                await self._end(person, "the directory renamed them")
            after = replace(after, person=None, suspended_at=None)
        if wanted is None:
            return after
        person = await self.work.person(wanted.name)
        if person is None:
            if not _active(after):
                return after
            await self._add(wanted)
            return replace(after, person=wanted.name, suspended_at=None)
        after = replace(after, person=person.name)
        if not _active(after):
            if person.active:
                await self._end(person, "the directory says that they are no longer active")
                return replace(after, suspended_at=self.at)
            return after
        if not person.active:
            return await self._return(person, wanted, after)
        await self._change(person, wanted)
        return after

    async def _wanted(self, user: Provisioned) -> Person | None:
        """The person for whom the user stands; None when it can be nobody's."""
        name = str(user.content.get("userName", ""))
        if not _PERSON.fullmatch(name) or len(name) > 64:
            return None
        if any(p.name != name and p.name.lower() == name.lower() for p in await self.work.people()):
            # One human in two spellings would be two voices.
            return None
        extension = user.content.get(_ENTERPRISE)
        organization = extension.get("organization") if isinstance(extension, Mapping) else None
        if organization and organization not in self.configuration.vendors:
            return None
        return Person(name, vendor=str(organization) if organization else None)

    async def _add(self, wanted: Person) -> None:
        person = replace(wanted, groups=await self._groups_of(wanted.name))
        await self.work.save(person)
        self.work.record(PersonAdded(person=person.name, vendor=person.vendor, groups=tuple(sorted(person.groups))))

    async def _return(self, person: Person, wanted: Person, after: Provisioned) -> Provisioned:
        if after.suspended_at is None or person.ended_at != after.suspended_at:
            return after
        groups = await self._groups_of(person.name)
        back = replace(wanted, groups=groups) if person.name not in self.configuration.people else person
        await self.work.save(replace(back, ended_at=None))
        self.work.record(PersonReturned(person=person.name, vendor=back.vendor, groups=tuple(sorted(back.groups))))
        return replace(after, suspended_at=None)

    async def _change(self, person: Person, wanted: Person) -> None:
        if person.name in self.configuration.people:
            return
        changed = replace(person, vendor=wanted.vendor, groups=await self._groups_of(person.name))
        if changed == person:
            return
        if changed.vendor != person.vendor:
            # Grants, contracts and separation rest on where somebody comes from: whoever changes that starts anew.
            endings = self._endings("the directory changed where they come from")
            for grant in await self.work.grants(active_at=self.at, person=person.name):
                await endings.grant(grant)
            for login in await self.work.logins(active_at=self.at, person=person.name):
                await endings.login(login)
        await self.work.save(changed)
        self.work.record(PersonChanged(person=person.name, vendor=changed.vendor, groups=tuple(sorted(changed.groups))))

    async def _members_changed(self, before: Provisioned | None, after: Provisioned) -> None:
        touched = {*(_members(before) if before else ()), *_members(after)}
        for user in await self.work.provisioned(USER):
            if user.id not in touched or user.person is None or user.person in self.configuration.people:
                continue
            person = await self.work.person(user.person)
            if person is not None and person.active:
                await self._change(person, person)

    async def _groups_of(self, name: str) -> frozenset[str]:
        """The groups that the directory puts a person into, of those that it may fill."""
        mine = {
            user.id for user in await self.work.provisioned(USER) if user.person == name or user.name == name.lower()
        }
        groups = await self.work.provisioned(GROUP)
        return frozenset(
            str(group.content.get("displayName"))
            for group in groups
            if group.content.get("displayName") in self.scim.groups and mine & set(_members(group))
        )

    async def _end(self, person: Person, reason: str) -> None:
        await self._refuse_too_many(person)
        await self._endings(reason).person(person)

    def _endings(self, reason: str) -> Endings:
        return Endings(self.work, by=DIRECTORY, reason=reason, at=self.at, ended=self.ended)

    async def _refuse_too_many(self, person: Person) -> None:
        people = await self.work.people()
        if is_administrator(person) and not any(is_administrator(p) for p in people if p.name != person.name):
            raise Refusal(
                "last-administrator",
                f"{person.name} is the last of {ADMINISTRATORS}: the directory does not end them.",
                "Name another administrator first.",
            )
        users: Sequence[Provisioned] = await self.work.provisioned(USER, deleted=True)
        theirs = {user.person for user in users if user.person is not None}
        recent = [p for p in people if p.name in theirs and p.ended_at is not None and p.ended_at > self.at - _HOUR]
        if len(recent) >= self.scim.most_ends:
            raise Refusal(
                "too-many-ends",
                f"The directory has ended {len(recent)} persons within an hour, which is as many as it may.",
                "If that is right, raise scim.most_ends, or use `interlock offboard`. Else look at the directory.",
            )

    async def _person(self, user: Provisioned) -> Person | None:
        return None if user.person is None else await self.work.person(user.person)

    def _record(self, what: str, resource: Provisioned) -> None:
        self.work.record(
            ResourceProvisioned(
                resource=resource.id, resource_kind=resource.kind, name=resource.name, what=what, person=resource.person
            )
        )


def _active(user: Provisioned) -> bool:
    return user.content.get("active", True) is not False


def _members(group: Provisioned) -> tuple[str, ...]:
    if group.deleted_at is not None:
        return ()
    members: Any = group.content.get("members") or ()
    return tuple(str(member.get("value")) for member in members if isinstance(member, Mapping))
