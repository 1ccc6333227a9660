"""What a proof speaks of: who there is, what they could come to, and by whose yes. Plain, and whole in itself.

A model is what goes into a certificate, so it holds nothing but names and numbers. It errs to one side only: where the
real rules depend on the moment (conflicts of roles, windows, presence), the model lets people do more than they can.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Member:
    """A person. ``vendor`` None is an employee; ``approves`` says whether their yes can ever count.

    ``guest``: nobody yet, who could be brought in by an invitation, and is in no team.
    """

    vendor: str | None = None
    approves: bool = True
    guest: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """``count`` persons, none of them the one who asks. All that is given must hold for each.

    ``sponsors`` maps who asks to those who sponsor them; None means the rule does not ask for a sponsor.
    ``same_vendor`` lets persons of the asker's vendor count. ``any_of``: one of these must hold besides.
    ``nobody`` describes nobody: such a rule is never met.
    """

    count: int = 1
    group: str | None = None
    people: frozenset[str] = frozenset()
    sponsors: Mapping[str, tuple[str, ...]] | None = None
    same_vendor: bool = False
    any_of: tuple["Rule", ...] = ()
    nobody: bool = False

    def flat(self) -> tuple["Rule", ...]:
        """This rule and those within it."""
        return (self, *(inner for rule in self.any_of for inner in rule.flat()))

    def said(self) -> tuple[object, ...]:
        """All that it says, to be compared by."""
        sponsors = None if self.sponsors is None else frozenset(self.sponsors.items())
        inner = tuple(rule.said() for rule in self.any_of)
        return (self.count, self.group, self.people, sponsors, self.same_vendor, inner, self.nobody)

    def everybody_sponsoring(self) -> tuple[str, ...]:
        """Who sponsors or is sponsored, in this rule or within."""
        return tuple(
            name
            for rule in self.flat()
            for asker, sponsors in (rule.sponsors or {}).items()
            for name in (asker, *sponsors)
        )


@dataclass(frozen=True, slots=True)
class Lend:
    """A role on some resources, and how one comes to it.

    Names of persons here may be any of their accounts. Employees may ask when ``employees`` says so, and these
    ``contractors``. ``rules`` empty: nobody can be lent it any more. ``held`` have it already; ``given`` maps who has
    asked to those who have said yes already. The actions in ``holds`` run only when ``hold_rules`` are met for the
    very statement. ``glass``: those of ``held`` who do not have it, but may take it whenever they like.
    ``lent_for`` and ``glass_for`` are times that may be asked for.
    """

    role: str
    resources: tuple[str, ...]
    actions: frozenset[str]
    rules: tuple[Rule, ...]
    employees: bool = True
    contractors: frozenset[str] = frozenset()
    holds: frozenset[str] = frozenset()
    hold_rules: tuple[Rule, ...] = ()
    held: frozenset[str] = frozenset()
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    glass: frozenset[str] = frozenset()
    lent_for: str = "1h"
    glass_for: str = "10m"

    @property
    def sponsored(self) -> bool:
        return any(rule.everybody_sponsoring() for rule in (*self.rules, *self.hold_rules))


@dataclass(frozen=True, slots=True)
class Power:
    """Who is in ``holder`` can make anybody a member of ``group``, once ``rules`` are met; none means alone."""

    holder: str
    group: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Takeover:
    """``count`` employees in ``group`` together can come in as anybody else: they can do what everybody can."""

    group: str
    count: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """One of ``sponsors``, all employees, and another employee together bring in ``guests`` on ``contract``, and could
    come in as them. A guest is nobody yet, or a contractor who is known here and has not come in yet: that one may be
    in a team as well."""

    contract: str
    sponsors: tuple[str, ...]
    guests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outsider:
    """Somebody outside of the model who is taken to be honest: of what ``kind``, over what."""

    kind: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Separated:
    """A separation between duties of one chain, as in the configuration."""

    kind: str
    names: tuple[str, ...]
    count: int | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Duties:
    """A chain: its duties in order, and for some of them who may take it (None: everybody)."""

    name: str
    duties: tuple[str, ...]
    takers: Mapping[str, Rule] = field(default_factory=dict)
    separations: tuple[Separated, ...] = ()

    @property
    def by_team(self) -> bool:
        return any(separation.by == "team" for separation in self.separations)


@dataclass(frozen=True, slots=True)
class Model:
    """``accounts`` maps an account to its person; a name that is no account is the person of that name.

    ``groups`` are direct members, ``nested`` maps a group to the groups whose members belong to it too. ``takeovers``
    and ``invitations`` are not counted where the question is who may be absent. ``outsiders`` are told, not counted.
    """

    people: Mapping[str, Member]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    lends: tuple[Lend, ...] = ()
    powers: tuple[Power, ...] = ()
    chains: tuple[Duties, ...] = ()
    takeovers: tuple[Takeover, ...] = ()
    outsiders: tuple[Outsider, ...] = ()
    invitations: tuple[Invitation, ...] = ()


@dataclass(frozen=True, slots=True)
class Goal:
    """What is not to be done alone: an action on a resource, or, with ``chain``, every duty of that chain."""

    action: str = ""
    resource: str = ""
    chain: str = ""

    def __str__(self) -> str:
        return f"the chain {self.chain}" if self.chain else f"{self.action} on {self.resource}"


WIDEST = "execute"
"""Who may do this may do everything: it is what a statement needs that nobody understands."""
OURS = "the policy"
"""What a goal calls the policy itself; no resource can have that name. Whoever changes it can change every chain."""
THE_POLICY = "a changed policy"
"""Stands for the role that whoever may change the policy can give themselves."""
EMPLOYEES = "(employees)"
"""The unit that all employees are together where vendors are counted."""
