"""The section ``groups``: groups within groups. Who is in an inner one is in the outer one, in everything."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from interlock.domain.people import ADMINISTRATORS, Person
from interlock.policy.draft import Draft, Section, named_entries
from interlock.policy.scalars import read_list, read_name


def read_groups(draft: Draft, people: Mapping[str, Person], outside: Collection[str]) -> dict[str, Person]:
    """``people``, each in all groups that contain one of theirs. ``outside`` are groups that the directory fills."""
    contains: dict[str, frozenset[str]] = {}
    known = {group for person in people.values() for group in person.groups}
    entries = tuple(named_entries(draft, "groups", "group"))
    known |= {key.text for key, _ in entries}
    for key, node in entries:
        path = ("groups", key.text)
        read_name(draft, key, path, "the group's name")
        section = Section(draft, node, path, "groups.NAME", f"the group {key.text}")
        named = section.need("contains", "write contains: [GROUP, …]")
        items = () if named is None else read_list(draft, named, section.at("contains"), f"contains of {section.where}")
        for where, group in ((path, key.text), *(items or ())):
            if group == ADMINISTRATORS:
                draft.add(where, f"{ADMINISTRATORS} is neither in a group nor contains one", "name each of them")
            elif group in outside:
                draft.add(where, f"the directory fills {group}", "let the directory say who is in it")
            elif group not in known:
                draft.add(where, f"nobody is in the group {group}", "a group exists when somebody is in it")
        contains[key.text] = frozenset(group for _, group in items or ())
    for group in contains:
        if group in _within(contains[group], contains):
            draft.add(("groups", group), f"the group {group} contains itself", "take it out of what it contains")
    outer = {group: frozenset(o for o in contains if group in _within(contains[o], contains)) for group in known}
    return {
        name: replace(person, groups=person.groups.union(*(outer.get(group, frozenset()) for group in person.groups)))
        for name, person in people.items()
    }


def _within(groups: Collection[str], contains: Mapping[str, frozenset[str]]) -> set[str]:
    """``groups`` and all that is within them."""
    found, waiting = set[str](), list(groups)
    while waiting:
        group = waiting.pop()
        if group not in found:
            found.add(group)
            waiting += contains.get(group, ())
    return found
