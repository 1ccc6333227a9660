"""What a change does to chains, in sentences: who approves it sees which duty may now be whose."""

from collections.abc import Iterator, Mapping

from interlock.domain.roles import ApprovalRule
from interlock.policy.configuration import Chain, Separation, SeparationKind


def chain_changes(old: Mapping[str, Chain], new: Mapping[str, Chain]) -> Iterator[str]:
    """One sentence for each chain that came, went or changed; what is claimed of it is said elsewhere."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if after is None:
            yield f"The chain {name} is gone."
            continue
        word = "is new" if before is None else "has changed"
        details = "; ".join(_details(before or Chain(name, ()), after))
        yield f"The chain {name} {word}{f': {details}' if details else ''}."


def _details(old: Chain, new: Chain) -> Iterator[str]:
    if old.duties != new.duties:
        before = f" (was {', '.join(old.duties)})" if old.duties else ""
        yield f"its duties are {', '.join(new.duties)}{before}"
    for one in old.separations:
        if one not in new.separations:
            yield f"no longer {_said(one)}"
    for one in new.separations:
        if one not in old.separations:
            yield f"{'now ' if old.duties else ''}{_said(one)}"
    for duty in sorted(old.takers.keys() | new.takers.keys()):
        before, after = _who(old.takers.get(duty)), _who(new.takers.get(duty))
        if before != after:
            yield f"{duty} may be carried by {after}" + (f" (was {before})" if old.duties else "")
    for duty in sorted(old.roles.keys() | new.roles.keys()):
        if old.roles.get(duty) != new.roles.get(duty):
            before = f" (was {old.roles.get(duty, 'under none')})" if old.duties else ""
            yield f"{duty} is carried under {new.roles.get(duty, 'no role')}{before}"
    if old.refuses_dead_ends != new.refuses_dead_ends:
        yield f"dead ends are {'refused' if new.refuses_dead_ends else 'warned of'}"


def _who(rule: ApprovalRule | None) -> str:
    return "anybody" if rule is None else f"anybody {rule.who}"


def _said(separation: Separation) -> str:
    names = ", ".join(separation.names)
    if separation.kind is SeparationKind.SEPARATE:
        return f"separate persons for {names}"
    if separation.kind is SeparationKind.BIND:
        return f"one person for {names}"
    if separation.kind is SeparationKind.INDEPENDENT:
        return f"another {separation.by} for {names} than for the duty before"
    return f"{separation.kind.value.replace('_', ' ')} {separation.count} persons for {names}"
