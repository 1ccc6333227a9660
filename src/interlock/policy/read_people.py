"""The sections ``vendors``, ``people`` and ``contracts``."""

from datetime import datetime

from interlock.domain.people import Contract, Identity, Person, Vendor
from interlock.policy.draft import Draft, Section, dangling, named_entries, shown
from interlock.policy.nodes import Table
from interlock.policy.scalars import (
    is_name,
    read_duration,
    read_flag,
    read_list,
    read_moment,
    read_name,
    read_person_name,
    read_text,
)


def read_vendors(draft: Draft) -> dict[str, Vendor]:
    vendors = {}
    for key, node in named_entries(draft, "vendors", "vendor"):
        path = ("vendors", key.text)
        read_name(draft, key, path, "the vendor's name")
        Section(draft, node, path, "vendors.NAME", f"the vendor {key.text}")
        vendors[key.text] = Vendor(key.text)
    return vendors


def read_people(draft: Draft) -> tuple[dict[str, Person], tuple[Identity, ...]]:
    """The persons, and the identities by which they are known; no identity may lead to two persons."""
    people: dict[str, Person] = {}
    identities: dict[tuple[str, str], Identity] = {}
    folded: dict[str, str] = {}
    for key, node in named_entries(draft, "people", "person"):
        name, path = key.text, ("people", key.text)
        read_person_name(draft, key, path, "the person's name")
        twin = folded.setdefault(name.casefold(), name)
        if twin != name:
            draft.add(path, f"{name} and {twin} differ only in capitals", "separation counts persons: keep one of them")
        section = Section(draft, node, path, "people.NAME", f"the person {name}")
        people[name] = Person(name, _read_vendor(section), _read_groups(section))
        for identity in _read_identities(section, name):
            other = identities.setdefault((identity.kind, identity.subject.casefold()), identity)
            if other.person != name:
                draft.add(
                    section.at("identities"),
                    f"the {identity.kind} identity {shown(identity.subject)} belongs to {other.person} already",
                    "one identity leads to one person",
                )
    return people, tuple(identities.values())


def _read_vendor(section: Section) -> str | None:
    node = section.get("vendor")
    if node is None:
        return None
    vendor = read_name(section.draft, node, section.at("vendor"), f"vendor of {section.where}")
    if vendor is None:
        # A person must never pass as an employee because the vendor could not be read; the load fails anyway.
        return ""
    dangling(section.draft, section.at("vendor"), "vendor", vendor, section.draft.declared("vendors"))
    return vendor


def _read_groups(section: Section) -> frozenset[str]:
    node = section.get("groups")
    items = None if node is None else read_list(section.draft, node, section.at("groups"), f"groups of {section.where}")
    for path, group in items or ():
        if not is_name(group):
            section.draft.add(path, f"{shown(group)} is no name of a group", "use letters, digits, `.`, `_` and `-`")
    return frozenset(group for _, group in items or ())


def _read_identities(section: Section, person: str) -> list[Identity]:
    """Those written down, and the e-mail address that a person's name by custom is."""
    identities = [Identity("email", person, person)] if "@" in person else []
    node = section.get("identities")
    if node is None:
        return identities
    if not isinstance(node, Table):
        section.draft.add(
            section.at("identities"),
            f"identities of {section.where} are no mapping",
            "write {email: [name@example.com]}",
        )
        return identities
    for key, value in node.entries:
        path = (*section.path, "identities", key.text)
        kind = read_name(section.draft, key, path, "the kind of identity")
        subjects = read_list(section.draft, value, path, f"identities of {section.where}")
        if kind is not None:
            identities.extend(Identity(kind, subject, person) for _, subject in subjects or ())
    return identities


def read_contracts(draft: Draft, people: dict[str, Person]) -> tuple[dict[str, Contract], frozenset[str]]:
    """The contracts, and the names of those under which nobody is invited."""
    contracts, uninvited = {}, set()
    for key, node in named_entries(draft, "contracts", "contract"):
        path = ("contracts", key.text)
        read_name(draft, key, path, "the contract's name")
        section = Section(draft, node, path, "contracts.NAME", f"the contract {key.text}")
        contract = _read_contract(section, key.text, people)
        if contract is not None:
            contracts[key.text] = contract
        flag = section.get("invitations")
        if flag is not None:
            where = section.at("invitations")
            if read_flag(draft, flag, where, f"invitations of {section.where}") is not True:
                uninvited.add(key.text)
    return contracts, frozenset(uninvited)


def _read_contract(section: Section, name: str, people: dict[str, Person]) -> Contract | None:
    draft = section.draft
    vendor = _read_reference(section, "vendor", "vendors", "write the vendor whose people work under it")
    sponsor = _read_reference(section, "sponsor", "people", "write the employee who answers for it")
    if sponsor in people and not people[sponsor].is_employee:
        draft.add(section.at("sponsor"), f"the sponsor {sponsor} comes from a vendor", "a sponsor is an employee")
    window = _read_window(section)
    roles_node = section.need("roles", "write the roles in its scope: [NAME, …]")
    roles = None if roles_node is None else _read_references(section, "roles", "role", "name the roles in its scope")
    covered = _read_references(section, "people", "person", "leave people out to cover everyone of the vendor")
    for person in sorted(covered or ()):
        if vendor and person in people and people[person].vendor != vendor:
            place = (*section.at("people"), person)
            draft.add(place, f"{person} does not come from {vendor}", f"{section.where} covers people of {vendor}")
    rhythm = section.get("review")
    what = f"review of {section.where}"
    review = None if rhythm is None else read_duration(draft, rhythm, section.at("review"), what)
    if vendor is None or sponsor is None or window is None or not roles:
        return None
    return Contract(name, vendor, sponsor, *window, roles=roles, people=covered or frozenset(), review=review)


def _read_window(section: Section) -> tuple[datetime, datetime] | None:
    """The first moment inside and the first moment outside. A day given as the end is the last one inside."""
    moments: list[datetime | None] = []
    for key, what in (("start", "the first day inside"), ("end", "the last day inside")):
        node = section.need(key, f"write {what}, such as 2027-02-28")
        if node is None:
            moments.append(None)
            continue
        where = f"{key} of {section.where}"
        moments.append(read_moment(section.draft, node, section.at(key), where, last_day=key == "end"))
    start, end = moments
    if start is None or end is None:
        return None
    if end <= start:
        section.draft.add(section.at("end"), f"{section.where} ends before it starts", "end is its last day inside")
        return None
    return start, end


def _read_reference(section: Section, key: str, target: str, right: str) -> str | None:
    node = section.need(key, right)
    name = None if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")
    noun = {"vendors": "vendor", "people": "person"}[target]
    if name is None or dangling(section.draft, section.at(key), noun, name, section.draft.declared(target)):
        return None
    return name


def _read_references(section: Section, key: str, noun: str, empty: str) -> frozenset[str] | None:
    """The names under ``key`` that stand for something in the section of the same name. None when there are none."""
    node = section.get(key)
    where = f"{key} of {section.where}"
    items = None if node is None else read_list(section.draft, node, section.at(key), where, empty=empty)
    if items is None:
        return None
    known = section.draft.declared(key)
    return frozenset(name for path, name in items if not dangling(section.draft, path, noun, name, known))
