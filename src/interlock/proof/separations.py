"""Whether a separation holds over duties that are carried by known persons, or still can."""

from collections.abc import Mapping

from interlock.proof.model import Duties, Member, Separated


def holds(
    chain: Duties,
    separation: Separated,
    done: Mapping[str, str],
    people: Mapping[str, Member],
    teams: Mapping[str, frozenset[str]],
) -> bool:
    """Whether ``separation`` holds, or still can, when the duties in ``done`` are carried by these persons."""
    if separation.kind == "independent":
        return _independent(chain, separation, done, people, teams)
    own = [done[name] for name in separation.names if name in done]
    persons = len(set(own))
    if separation.kind == "separate":
        return persons == len(own)
    if separation.kind == "bind":
        return persons <= 1
    if separation.kind == "at_most":
        return separation.count is not None and persons <= separation.count
    if separation.kind == "at_least":
        open_ = len(separation.names) - len(own)
        return separation.count is not None and persons + open_ >= separation.count
    return False


def _independent(
    chain: Duties,
    separation: Separated,
    done: Mapping[str, str],
    people: Mapping[str, Member],
    teams: Mapping[str, frozenset[str]],
) -> bool:
    """Who does the duty differs, by vendor or by every team, from who did the one before. Employees are one house."""
    for duty in separation.names:
        before = chain.duties[chain.duties.index(duty) - 1]
        if duty not in done or before not in done:
            continue
        one, other = done[duty], done[before]
        if separation.by == "vendor" and people[one].vendor == people[other].vendor:
            return False
        if separation.by == "team" and (one == other or teams.get(one, frozenset()) & teams.get(other, frozenset())):
            return False
        if separation.by not in ("vendor", "team"):
            return False
    return True
