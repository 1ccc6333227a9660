"""The sections ``recordings`` and ``retention``: who reads their own, how long they are kept, who may delete them."""

from datetime import timedelta

from interlock.domain.retention import Retention, RetentionClass
from interlock.policy.draft import Draft, Section
from interlock.policy.nodes import Node, Table
from interlock.policy.read_roles import read_rules, read_selector
from interlock.policy.scalars import read_duration, read_name, read_text

_TWO = 2


def read_own_recordings(draft: Draft) -> bool:
    """Whether people may read the recordings of their own sessions."""
    section = _section(draft, "recordings")
    own = None if section is None else section.get("own")
    if section is None or own is None:
        return True
    text = read_text(draft, own, section.at("own"), "own of recordings")
    if text not in {"allow", "refuse"}:
        draft.add(section.at("own"), "own of recordings is neither allow nor refuse", "write allow or refuse")
    return text == "allow"


def read_retention(draft: Draft, groups: frozenset[str]) -> Retention:
    """How long recordings are kept, and whose approvals let them go: two persons at least."""
    section = _section(draft, "retention")
    if section is None:
        return Retention()
    right = "write approvals: [{from: {group: NAME}, count: 2}]"
    node = section.need("approvals", right)
    where = "approvals of retention"
    rules = None if node is None else read_rules(draft, node, section.at("approvals"), where, groups, right)
    if rules is not None and sum(rule.count for rule in rules) < _TWO:
        draft.add(
            section.at("approvals"),
            f"{where} asks for one person; two persons other than the requester let a recording go",
            right,
        )
    classes = section.get("classes")
    return Retention(rules or (), () if classes is None else _read_classes(draft, section, classes))


def _read_classes(draft: Draft, section: Section, node: Node) -> tuple[RetentionClass, ...]:
    right = "write classes: {NAME: {on: {environment: production}, keep: 400d}}"
    if not isinstance(node, Table) or not node.entries:
        draft.add(section.at("classes"), "classes of retention has no class", right)
        return ()
    found = []
    for key, value in node.entries:
        path = ("retention", "classes", key.text)
        read_name(draft, key, path, "the class's name")
        one = Section(draft, value, path, "retention.classes.NAME", f"the class {key.text}")
        keep = one.need("keep", "write how long, such as keep: 90d")
        kept = None if keep is None else read_duration(draft, keep, one.at("keep"), f"keep of {one.where}")
        on = None if one.get("on") is None else read_selector(one)
        found.append(RetentionClass(key.text, kept or timedelta(), on))
    return tuple(found)


def _section(draft: Draft, name: str) -> Section | None:
    node = next((value for key, value in draft.tree.entries if key.text == name), None)
    return None if node is None else Section(draft, node, (name,), name, name)
