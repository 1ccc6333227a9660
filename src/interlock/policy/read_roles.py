"""The section ``roles``, with the approval rules that lending and holding share."""

from dataclasses import replace
from datetime import timedelta

from interlock.domain.actions import Action
from interlock.domain.people import ADMINISTRATORS
from interlock.domain.resources import Selector
from interlock.domain.roles import ApprovalRule, BreakGlass, Hold, Lending, Role
from interlock.errors import Misuse
from interlock.policy.annotations import COLUMN
from interlock.policy.draft import Draft, Path, Section, dangling, named_entries, shown
from interlock.policy.mistakes import did_you_mean
from interlock.policy.nodes import Listing, Node, Table
from interlock.policy.scalars import (
    read_count,
    read_duration,
    read_flag,
    read_list,
    read_name,
    read_text,
)

_ACTIONS = {action.value: action for action in Action}
_UNUSUAL = timedelta(days=31)
LONGEST_GLASS = timedelta(hours=4)
REVIEWERS = 2
"""How many others must close the review of a broken glass."""
_MOST_LABELS = 16
"""Each label of a selector nests the role's Cedar condition one level deeper, and Cedar's JSON has a bound on that."""


def read_roles(draft: Draft, groups: frozenset[str]) -> dict[str, Role]:
    roles = {}
    for key, node in named_entries(draft, "roles", "role"):
        path = ("roles", key.text)
        read_name(draft, key, path, "the role's name")
        section = Section(draft, node, path, "roles.NAME", f"the role {key.text}")
        roles[key.text] = _read_role(section, key.text, groups)
    return roles


def _read_role(section: Section, name: str, groups: frozenset[str]) -> Role:
    selector = read_selector(section)
    allow = None
    if (node := section.need("allow", f"write some of {', '.join(Action)}")) is not None:
        allow = _read_actions(section.draft, node, section.at("allow"), f"allow of {section.where}")
    hold = None if (node := section.get("hold")) is None else _read_hold(section, node, groups)
    fence_rows = None if (node := section.get("fence")) is None else _read_fence(section, node)
    masks = None if (node := section.get("mask")) is None else _read_masks(section, node)
    lending = None
    if (node := section.need("lend", "write lend: {longest: 8h, approvals: [{from: {group: NAME}}]}")) is not None:
        lending = _read_lending(section, node, groups)
    glass = None if (node := section.get("break_glass")) is None else _read_break_glass(section, node, groups)
    lost = None in (selector, allow, lending) or (hold is None) is not (section.get("hold") is None)
    lost = lost or (fence_rows is None) is not (section.get("fence") is None)
    lost = lost or (masks is None) is not (section.get("mask") is None)
    lost = lost or (glass is None) is not (section.get("break_glass") is None)
    if lost and not section.draft.mistakes.any:
        raise Misuse(f"a part of {section.where} was lost without a mistake")
    # With a mistake noted the load fails whatever stands here; these stand-ins let the other checks go on.
    return Role(
        name,
        selector or Selector(names=section.draft.declared("resources")),
        allow or frozenset(Action),
        lending or Lending(timedelta(hours=1), ()),
        hold,
        fence_rows,
        glass,
        masks or (),
    )


def _read_actions(draft: Draft, node: Node, path: Path, what: str) -> frozenset[Action] | None:
    items = read_list(draft, node, path, what, empty=f"write some of {', '.join(Action)}")
    actions = []
    for place, word in items or ():
        if word in _ACTIONS:
            actions.append(_ACTIONS[word])
        else:
            draft.add(place, f"there is no action {shown(word)}", did_you_mean(word, Action))
    return frozenset(actions) or None


def read_selector(section: Section) -> Selector | None:
    node = section.need("on", "write which resources, such as on: {kind: postgres, environment: production}")
    if node is None:
        return None
    draft, path = section.draft, section.at("on")
    if not isinstance(node, Table) or not node.entries:
        draft.add(path, f"on of {section.where} names no resource", "write {kind: …}, {resources: […]} or a label")
        return None
    inner = Section(draft, node, path, "roles.NAME.on", f"on of {section.where}", extra=True)
    kind = None if (value := inner.get("kind")) is None else read_name(draft, value, inner.at("kind"), "kind")
    names: frozenset[str] = frozenset()
    if (value := inner.get("resources")) is not None:
        where = f"resources of {inner.where}"
        items = read_list(draft, value, inner.at("resources"), where, empty="name a resource, or leave it out")
        declared = draft.declared("resources")
        names = frozenset(name for place, name in items or () if not dangling(draft, place, "resource", name, declared))
        if not names:
            return None
    labels: dict[str, str] = {}
    for key in inner.extra():
        value = inner.get(key)
        text = None if value is None else read_text(draft, value, inner.at(key), f"label {shown(key)} of {inner.where}")
        if text is None:
            return None
        labels[key] = text
    if len(labels) > _MOST_LABELS:
        draft.add(path, f"{inner.where} asks for {len(labels)} labels", f"{_MOST_LABELS} are the most")
        return None
    return Selector(kind, names, labels)


def _read_hold(section: Section, node: Node, groups: frozenset[str]) -> Hold | None:
    """``[actions]``, or ``{actions: […], approvals: […]}``."""
    draft, path = section.draft, section.at("hold")
    where = f"hold of {section.where}"
    if not isinstance(node, Table):
        actions = _read_actions(draft, node, path, where)
        return None if actions is None else Hold(actions)
    inner = Section(draft, node, path, "roles.NAME.hold", where)
    actions_node = inner.need("actions", "write the actions to hold, such as [alter, destroy]")
    actions = None
    if actions_node is not None:
        actions = _read_actions(draft, actions_node, inner.at("actions"), f"actions of {where}")
    approvals: tuple[ApprovalRule, ...] | None = ()
    if (rules := inner.get("approvals")) is not None:
        right = "leave approvals out: then one person approves who could approve the role"
        approvals = read_rules(draft, rules, inner.at("approvals"), f"approvals of {where}", groups, right)
    return None if actions is None or approvals is None else Hold(actions, approvals)


def _read_fence(section: Section, node: Node) -> int | None:
    inner = Section(section.draft, node, section.at("fence"), "roles.NAME.fence", f"fence of {section.where}")
    rows = inner.need("rows", "write fence: {rows: 100}")
    return None if rows is None else read_count(section.draft, rows, inner.at("rows"), f"rows of {inner.where}")


def _read_masks(section: Section, node: Node) -> tuple[str, ...] | None:
    draft, what = section.draft, f"mask of {section.where}"
    items = read_list(draft, node, section.at("mask"), what, empty="name columns, or leave mask out")
    wrong = [(path, column) for path, column in items or () if COLUMN.fullmatch(column) is None]
    for path, column in wrong:
        draft.add(path, f"{what} names no column by {shown(column)}", "write schema.table.column, with * for any part")
    return None if items is None or wrong else tuple(column for _, column in items)


def _read_break_glass(section: Section, node: Node, groups: frozenset[str]) -> BreakGlass | None:
    """Who may take the role at once, for how long, who is told, and which two look at it afterwards."""
    draft, path = section.draft, section.at("break_glass")
    inner = Section(draft, node, path, "roles.NAME.break_glass", f"break_glass of {section.where}")
    longest = None
    if (value := inner.need("longest", "write how long at most, such as 30m")) is not None:
        longest = read_duration(draft, value, inner.at("longest"), f"longest of {inner.where}")
    if longest is not None and longest > LONGEST_GLASS:
        draft.add(inner.at("longest"), f"longest of {inner.where} is more than 4h", "an emergency is short: write less")
    found: dict[str, ApprovalRule | None] = {}
    for key in ("by", "tell", "review"):
        found[key] = None
        if (value := inner.need(key, "write {group: NAME} or {people: [NAME]}")) is not None:
            who = Section(draft, value, inner.at(key), "roles.NAME.break_glass.WHO", f"{key} of {inner.where}")
            found[key] = read_takers(who, groups)
    by, tell, review = found["by"], found["tell"], found["review"]
    if longest is None or by is None or tell is None or review is None:
        return None
    return BreakGlass(longest, by, tell, replace(review, count=REVIEWERS))


def _read_lending(section: Section, node: Node, groups: frozenset[str]) -> Lending | None:
    draft, path = section.draft, section.at("lend")
    inner = Section(draft, node, path, "roles.NAME.lend", f"lend of {section.where}")
    longest = None
    if (value := inner.need("longest", "write how long it is lent at most, such as 8h")) is not None:
        where = f"longest of {inner.where}"
        longest = read_duration(draft, value, inner.at("longest"), where)
        if longest is not None and longest > _UNUSUAL:
            draft.warn(
                inner.at("longest"), f"{where} is more than a month", "so long a grant is hardly looked at again"
            )
    rules = None
    if (
        value := inner.need("approvals", "write who must approve, such as [{from: {group: NAME}, count: 1}]")
    ) is not None:
        right = "name at least one rule: nobody takes a role without somebody else"
        rules = read_rules(draft, value, inner.at("approvals"), f"approvals of {inner.where}", groups, right)
    mfa: bool | None = False
    if (value := inner.get("mfa")) is not None:
        mfa = read_flag(draft, value, inner.at("mfa"), f"mfa of {inner.where}")
    return None if longest is None or rules is None or mfa is None else Lending(longest, rules, mfa)


def read_rules(
    draft: Draft, node: Node, path: Path, where: str, groups: frozenset[str], empty: str
) -> tuple[ApprovalRule, ...] | None:
    """A list of approval rules, none of which may be missing; None when any cannot be read."""
    if not isinstance(node, Listing):
        draft.add(path, f"{where} is no list", "write [{from: {group: NAME}, count: 1}]")
        return None
    if not node.items:
        draft.add(path, f"{where} is an empty list", empty)
        return None
    rules = []
    for number, item in enumerate(node.items):
        place = (*path, str(number))
        rules.append(_read_rule(Section(draft, item, place, "approvals[]", f"rule {number + 1} of {where}"), groups))
    found = tuple(rule for rule in rules if rule is not None)
    return found if len(found) == len(rules) else None


def _read_rule(section: Section, groups: frozenset[str]) -> ApprovalRule | None:
    draft = section.draft
    count: int | None = 1
    if (value := section.get("count")) is not None:
        count = read_count(draft, value, section.at("count"), f"count of {section.where}", most=100)
    same_vendor: bool | None = False
    if (value := section.get("same_vendor")) is not None:
        same_vendor = read_flag(draft, value, section.at("same_vendor"), f"same_vendor of {section.where}")
    node = section.need("from", "write who approves: {group: NAME}, {sponsor: true} or {people: [NAME]}")
    if node is None:
        return None
    inner = Section(draft, node, section.at("from"), "approvals[].from", f"from of {section.where}")
    group = _read_group(inner, groups)
    sponsor = None if (value := inner.get("sponsor")) is None else _read_sponsor(inner, value)
    people = _read_named(inner)
    if not any(inner.get(key) for key in ("group", "sponsor", "people")):
        draft.add(
            inner.path, f"{inner.where} describes nobody", "write {group: NAME}, {sponsor: true} or {people: [NAME]}"
        )
    if count is None or same_vendor is None or not (group or sponsor or people):
        return None
    return ApprovalRule(count, group, bool(sponsor), people, same_vendor)


def read_takers(section: Section, groups: frozenset[str]) -> ApprovalRule | None:
    """``{group: NAME}``, ``{people: […]}`` or both: who may carry a duty, told as a rule for one person."""
    group, people = _read_group(section, groups), _read_named(section)
    if section.get("group") is None and section.get("people") is None:
        section.draft.add(section.path, f"{section.where} describes nobody", "write {group: NAME} or {people: [NAME]}")
    return ApprovalRule(1, group, people=people) if group or people else None


def _read_named(inner: Section) -> frozenset[str]:
    value = inner.get("people")
    if value is None:
        return frozenset()
    draft, where = inner.draft, f"people of {inner.where}"
    items = read_list(draft, value, inner.at("people"), where, empty="name a person, or leave it out")
    declared = draft.declared("people")
    return frozenset(name for place, name in items or () if not dangling(draft, place, "person", name, declared))


def _read_group(inner: Section, groups: frozenset[str]) -> str | None:
    node = inner.get("group")
    group = None if node is None else read_text(inner.draft, node, inner.at("group"), f"group of {inner.where}")
    if group == ADMINISTRATORS:
        inner.draft.add(
            inner.at("group"), f"{ADMINISTRATORS} may end things, never give them", "name another group to approve"
        )
        return None
    if group is None or dangling(inner.draft, inner.at("group"), "group", group, groups, "put somebody into it"):
        return None
    return group


def _read_sponsor(inner: Section, node: Node) -> bool | None:
    flag = read_flag(inner.draft, node, inner.at("sponsor"), f"sponsor of {inner.where}")
    if flag is False:
        inner.draft.add(
            inner.at("sponsor"), f"sponsor of {inner.where} is false", "write sponsor: true, or leave it out"
        )
        return None
    return flag
