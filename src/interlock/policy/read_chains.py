"""The sections ``separations`` and ``chains``, read and checked for sense."""

from interlock.domain.roles import ApprovalRule
from interlock.policy.configuration import Chain, Claims, ConflictKind, Separation, SeparationKind
from interlock.policy.draft import Draft, Path, Section, dangling, named_entries, shown
from interlock.policy.mistakes import did_you_mean
from interlock.policy.nodes import Listing, Node, Scalar, Table
from interlock.policy.read_risks import read_risk
from interlock.policy.read_roles import read_takers
from interlock.policy.scalars import is_name, read_count, read_list, read_name, read_text

_INDEPENDENT_BY = ("vendor", "team")


def read_separations(draft: Draft) -> tuple[Separation, ...]:
    node = next((value for key, value in draft.tree.entries if key.text == "separations"), None)
    if node is None or (isinstance(node, Scalar) and node.empty):
        return ()
    if not isinstance(node, Listing):
        draft.add(("separations",), "separations is no list", "write - {conflict: [role, other-role]}")
        return ()
    separations = []
    for number, item in enumerate(node.items):
        section = Section(draft, item, ("separations", str(number)), "separations[]", f"separation {number + 1}")
        value = section.need("conflict", "write {conflict: [role, other-role]}")
        if value is None:
            continue
        items = read_list(draft, value, section.at("conflict"), f"conflict of {section.where}", empty="name two roles")
        if items is None:
            continue
        known = draft.declared("roles")
        roles = tuple(name for path, name in items if not dangling(draft, path, "role", name, known))
        if len(items) < 2:
            draft.add(section.at("conflict"), f"conflict of {section.where} names one role", "a conflict needs two")
        kind, risk = _read_kind(section), read_risk(section)
        if len(roles) >= 2 and kind is not None and risk is not None:
            separations.append(Separation(SeparationKind.CONFLICT, roles, conflict=kind, risk=risk))
    _warn_of_repetition(draft, separations)
    return tuple(separations)


def _read_kind(section: Section) -> ConflictKind | None:
    node = section.get("kind")
    if node is None:
        return ConflictKind.STATIC
    word = read_text(section.draft, node, section.at("kind"), f"kind of {section.where}")
    words = [kind.value for kind in ConflictKind]
    if word is not None and word not in words:
        section.draft.add(section.at("kind"), f"kind of {section.where} is {shown(word)}", did_you_mean(word, words))
    return ConflictKind(word) if word in words else None


def _warn_of_repetition(draft: Draft, separations: list[Separation]) -> None:
    for number, separation in enumerate(separations):
        for other in separations[:number]:
            if separation.conflict is other.conflict and set(separation.names) <= set(other.names):
                names = ", ".join(separation.names)
                draft.warn(("separations",), f"the conflict of {names} is said twice", "leave one out")


def read_chains(draft: Draft, groups: frozenset[str]) -> dict[str, Chain]:
    chains = {}
    for key, node in named_entries(draft, "chains", "chain"):
        path = ("chains", key.text)
        read_name(draft, key, path, "the chain's name")
        chain = _read_chain(Section(draft, node, path, "chains.NAME", f"the chain {key.text}"), key.text, groups)
        if chain is not None:
            chains[key.text] = chain
    return chains


def _read_chain(section: Section, name: str, groups: frozenset[str]) -> Chain | None:
    draft = section.draft
    node = section.need("duties", "write the duties in their order: [develop, review, deploy]")
    if node is None:
        return None
    items = read_list(draft, node, section.at("duties"), f"duties of {section.where}", empty="name the duties in order")
    if items is None:
        return None
    for path, duty in items:
        if not is_name(duty):
            draft.add(path, f"{shown(duty)} is no name of a duty", "use letters, digits, `.`, `_` and `-`")
    duties = tuple(duty for _, duty in items)
    separations = [
        *_read_sets(section, "separate", SeparationKind.SEPARATE, duties),
        *_read_sets(section, "bind", SeparationKind.BIND, duties),
        *_read_independent(section, duties),
        *_read_persons(section, "at_least", SeparationKind.AT_LEAST, duties),
        *_read_persons(section, "at_most", SeparationKind.AT_MOST, duties),
    ]
    _refuse_contradictions(section, separations)
    takers = _read_takers(section, duties, groups)
    claims, refuses = _read_claims(section, duties), _read_dead_ends(section)
    return Chain(name, duties, tuple(separations), claims, takers, refuses, _read_duty_roles(section, duties))


def _read_duty_roles(section: Section, duties: tuple[str, ...]) -> dict[str, str]:
    """``roles: {deploy: deployer}``: who is lent the role for an artifact carries the duty over it."""
    node = section.get("roles")
    if node is None:
        return {}
    draft, path = section.draft, section.at("roles")
    if not isinstance(node, Table):
        draft.add(path, f"roles of {section.where} is no mapping", "write {deploy: NAME}")
        return {}
    roles: dict[str, str] = {}
    for key, value in node.entries:
        place = (*path, key.text)
        name = read_text(draft, value, place, f"roles of {section.where}")
        if dangling(draft, place, "duty", key.text, duties) or name is None:
            continue
        if dangling(draft, place, "role", name, draft.declared("roles")):
            continue
        if name in roles.values():
            draft.add(place, f"{name} stands for two duties of {section.where}", "one role, one duty")
        roles[key.text] = name
    return roles


def _read_sets(section: Section, key: str, kind: SeparationKind, duties: tuple[str, ...]) -> list[Separation]:
    """``all``, a list of duties, or a list of such lists."""
    node = section.get(key)
    if node is None:
        return []
    if isinstance(node, Scalar) and node.text == "all":
        return [Separation(kind, duties)]
    path = section.at(key)
    lists: list[tuple[Path, Node]] = [(path, node)]
    if isinstance(node, Listing) and any(isinstance(item, Listing) for item in node.items):
        lists = [((*path, str(number)), item) for number, item in enumerate(node.items)]
    found = []
    for place, inner in lists:
        names = _read_duties(section, inner, place, f"{key} of {section.where}", duties)
        if names is not None and len(names) < 2:
            section.draft.add(place, f"{key} of {section.where} names one duty", "name two duties or more, or all")
        elif names is not None:
            found.append(Separation(kind, names))
    return found


def _read_duties(
    section: Section, node: Node, path: Path, what: str, duties: tuple[str, ...]
) -> tuple[str, ...] | None:
    items = read_list(section.draft, node, path, what, empty="name duties of the chain")
    if items is None:
        return None
    names = tuple(name for place, name in items if not dangling(section.draft, place, "duty", name, duties))
    return names if len(names) == len(items) else None


def _read_independent(section: Section, duties: tuple[str, ...]) -> list[Separation]:
    """``{duty: vendor}``: who does the duty comes from another vendor (or team) than whoever did the one before."""
    node = section.get("independent")
    if node is None:
        return []
    path = section.at("independent")
    if not isinstance(node, Table):
        section.draft.add(path, f"independent of {section.where} is no mapping", "write {review: vendor}")
        return []
    found = []
    for key, value in node.entries:
        place = (*path, key.text)
        by = read_text(section.draft, value, place, f"independent of {section.where}")
        if dangling(section.draft, place, "duty", key.text, duties) or by is None:
            continue
        if by not in _INDEPENDENT_BY:
            section.draft.add(place, f"nothing is independent by {shown(by)}", did_you_mean(by, _INDEPENDENT_BY))
        elif key.text == duties[0]:
            section.draft.add(place, f"{key.text} is the first duty, so nothing comes before it", "name a later duty")
        else:
            found.append(Separation(SeparationKind.INDEPENDENT, (key.text,), by=by))
    return found


def _read_persons(section: Section, key: str, kind: SeparationKind, duties: tuple[str, ...]) -> list[Separation]:
    """``{persons: N, duties: […]}``; without ``duties`` it is about all of them."""
    node = section.get(key)
    if node is None:
        return []
    inner = Section(section.draft, node, section.at(key), f"chains.NAME.{key}", f"{key} of {section.where}")
    value = inner.need("persons", f"write {key}: {{persons: 2}}")
    names: tuple[str, ...] | None = duties
    if (listed := inner.get("duties")) is not None:
        names = _read_duties(section, listed, inner.at("duties"), f"duties of {inner.where}", duties)
    if value is None or names is None:
        return []
    count = read_count(section.draft, value, inner.at("persons"), f"persons of {inner.where}", most=len(names))
    return [] if count is None else [Separation(kind, names, count=count)]


def _refuse_contradictions(section: Section, separations: list[Separation]) -> None:
    apart = [set(s.names) for s in separations if s.kind is SeparationKind.SEPARATE]
    for separation in separations:
        names = set(separation.names)
        if separation.kind is SeparationKind.BIND and any(len(names & other) > 1 for other in apart):
            both = ", ".join(separation.names)
            section.draft.add(
                section.at("bind"), f"{both} are bound to one person and kept separate", "take one of the two away"
            )
        if separation.kind is SeparationKind.AT_MOST and separation.count is not None:
            most = max((len(names & other) for other in apart), default=0)
            if separation.count < most:
                section.draft.add(
                    section.at("at_most"),
                    f"at most {separation.count} persons contradicts separate, which needs {most}",
                    "take one of the two away",
                )


def _read_takers(section: Section, duties: tuple[str, ...], groups: frozenset[str]) -> dict[str, ApprovalRule]:
    """``by: {review: {group: dba}}``: who may carry a duty."""
    node = section.get("by")
    if node is None:
        return {}
    path = section.at("by")
    if not isinstance(node, Table):
        section.draft.add(path, f"by of {section.where} is no mapping", "write {review: {group: NAME}}")
        return {}
    takers = {}
    for key, value in node.entries:
        place = (*path, key.text)
        if dangling(section.draft, place, "duty", key.text, duties):
            continue
        where = f"{key.text} of by of {section.where}"
        rule = read_takers(Section(section.draft, value, place, "chains.NAME.by.DUTY", where), groups)
        if rule is not None:
            takers[key.text] = rule
    return takers


def _read_dead_ends(section: Section) -> bool:
    """``refuse`` or ``warn``; what cannot be read is a mistake, and refuses."""
    node = section.get("dead_ends")
    if node is None:
        return False
    path = section.at("dead_ends")
    word = read_text(section.draft, node, path, f"dead_ends of {section.where}")
    if word is not None and word not in ("refuse", "warn"):
        section.draft.add(path, f"dead_ends of {section.where} is {shown(word)}", "write refuse or warn")
    return word != "warn"


def _read_claims(section: Section, duties: tuple[str, ...]) -> Claims | None:
    node = section.get("claims")
    if node is None:
        return None
    inner = Section(section.draft, node, section.at("claims"), "chains.NAME.claims", f"claims of {section.where}")
    found: dict[str, int] = {}
    for key, least, most in (
        ("min_persons", 1, len(duties)),
        ("min_vendors", 1, len(duties)),
        ("survives_absences", 0, 1000),
    ):
        value = inner.get(key)
        count = None
        if value is not None:
            where = f"{key} of {inner.where}"
            count = read_count(section.draft, value, inner.at(key), where, least=least, most=most)
        if count is not None:
            found[key] = count
    return Claims(**found)
