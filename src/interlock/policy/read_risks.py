"""What stands beside a conflict of roles: the risk, its owner, and a mitigation with its end."""

from interlock.policy.configuration import Control, Mitigation, Risk
from interlock.policy.draft import Section, dangling, shown
from interlock.policy.mistakes import did_you_mean
from interlock.policy.nodes import Node
from interlock.policy.scalars import read_list, read_moment, read_text


def read_risk(section: Section) -> Risk | None:
    """None when something of it cannot be read."""
    text, owner = _text(section, "risk"), _text(section, "owner")
    if text is None or owner is None:
        return None
    if owner and dangling(section.draft, section.at("owner"), "person", owner, section.draft.declared("people")):
        return None
    node = section.get("mitigation")
    if node is None:
        return Risk(text, owner)
    mitigation = _read_mitigation(section, node)
    if mitigation is not None and not (text and owner):
        section.draft.add(
            section.at("mitigation"), f"{section.where} is mitigated without a risk and an owner", "say both"
        )
    return None if mitigation is None else Risk(text, owner, mitigation)


def _text(section: Section, key: str) -> str | None:
    node = section.get(key)
    return "" if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")


def _read_mitigation(section: Section, node: Node) -> Mitigation | None:
    draft = section.draft
    where = f"mitigation of {section.where}"
    inner = Section(draft, node, section.at("mitigation"), "separations[].mitigation", where)
    control = kind = until = people = None
    if (value := inner.need("control", "write what stands in for the separation")) is not None:
        control = read_text(draft, value, inner.at("control"), f"control of {where}")
    if (value := inner.need("kind", "write preventive or detective")) is not None:
        kind = read_text(draft, value, inner.at("kind"), f"kind of {where}")
    words = [control.value for control in Control]
    if kind is not None and kind not in words:
        draft.add(inner.at("kind"), f"kind of {where} is {shown(kind)}", did_you_mean(kind, words))
        kind = None
    if (value := inner.need("until", "write the last day on which it mitigates")) is not None:
        until = read_moment(draft, value, inner.at("until"), f"until of {where}", last_day=True)
    if (value := inner.need("people", "write for whom: [NAME]")) is not None:
        items = read_list(draft, value, inner.at("people"), f"people of {where}", empty="name a person")
        declared = draft.declared("people")
        people = frozenset(name for path, name in items or () if not dangling(draft, path, "person", name, declared))
    if control is None or kind is None or until is None or not people:
        return None
    return Mitigation(control, Control(kind), until, people)
