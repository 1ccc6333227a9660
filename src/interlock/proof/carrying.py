"""May this person take this duty now: every separation over what was done before, and whether the rest could be done.

Pure. ``carried`` maps the duties that somebody has to that person; persons are those who may carry anything at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interlock.proof.assign import Assigner, holds
from interlock.proof.model import Duties, Member, Separated

STEPS = 2000
"""How long the look-ahead searches: it runs while others wait to decide."""
_TRIED = 10


@dataclass(frozen=True, slots=True)
class Standing:
    """A chain with the persons who could carry its duties: ``groups`` are each person's."""

    chain: Duties
    people: Mapping[str, Member]
    groups: Mapping[str, frozenset[str]]

    def may_carry(self, person: str, duty: str) -> bool:
        """Whether the chain lets ``person`` carry ``duty``, whatever was done before."""
        member, rule = self.people.get(person), self.chain.takers.get(duty)
        if member is None or not member.approves:
            return False
        if rule is None:
            return True
        in_group = rule.group is None or rule.group in self.groups.get(person, frozenset())
        return in_group and (not rule.people or person in rule.people)

    def broken(self, carried: Mapping[str, str], duty: str, person: str) -> Separated | None:
        """The first separation that would not hold if ``person`` took ``duty``."""
        then = {**carried, duty: person}
        for separation in self.chain.separations:
            if not holds(self.chain, separation, then, self.people, self.groups):
                return separation
        return None

    def instead(self, carried: Mapping[str, str], duty: str) -> tuple[str, ...]:
        """Who may take ``duty`` with no separation broken, sorted; those first with whom the chain can be finished."""
        able = [
            name for name in sorted(self.people) if self.may_carry(name, duty) and not self.broken(carried, duty, name)
        ]
        assigner = self.assigner()
        finishing = [
            name for name in able[:_TRIED] if assigner.assign({**carried, duty: name}, steps=STEPS) is not None
        ]
        return tuple(finishing or able)

    def assigner(self) -> Assigner:
        """The look-ahead, made ready once."""
        takers: Sequence[Sequence[str]] = [
            [name for name in self.people if self.may_carry(name, duty)] for duty in self.chain.duties
        ]
        groups = self.groups if self.chain.by_team else {}
        return Assigner(self.chain, takers, self.people, groups)


def blamed(separation: Separated, chain: Duties, carried: Mapping[str, str], duty: str) -> str | None:
    """The duty carried earlier that stands against ``duty`` under ``separation``; None when it is no single one."""
    if separation.kind == "independent":
        place = chain.duties.index(duty)
        near = [chain.duties[place - 1]] if duty in separation.names and place else []
        after = chain.duties[place + 1 : place + 2]
        return next((name for name in (*near, *after) if name in carried), None)
    return next((name for name in separation.names if name in carried and name != duty), None)


def describe(separation: Separated) -> str:
    """The rule as a person reads it."""
    names = ", ".join(separation.names)
    if separation.kind == "separate":
        return f"{names} are separate: no person carries two of them"
    if separation.kind == "bind":
        return f"{names} are bound to one person"
    if separation.kind == "independent":
        return f"{names} is independent by {separation.by} of the duty before it"
    word = "at least" if separation.kind == "at_least" else "at most"
    return f"{names} take {word} {separation.count} persons"
