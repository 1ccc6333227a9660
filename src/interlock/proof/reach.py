"""What a team could come to do: the least fixed point of what its members can ask for, approve and administer.

Only what a goal can depend on is looked at: the roles that lead to it, the groups in their rules, and the rights to
administer those. INVARIANT: more persons never reach less; all of the search rests on it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from interlock.proof.approving import Approving, Asked, Place
from interlock.proof.chains import Carriers
from interlock.proof.groups import Groups, Open
from interlock.proof.index import Index, Team
from interlock.proof.joining import Joining, Rights
from interlock.proof.model import OURS, THE_POLICY, WIDEST, Duties, Goal, Lend, Model, Rule
from interlock.proof.steps import Step, What
from interlock.proof.ways import Way, compile_way

_MOST_FACTS = 100_000


@dataclass
class Memory:
    """What stays true from one model to the next one with the same people: facts are known by what they rest on."""

    index: Index | None = None
    facts: dict[object, object] = field(default_factory=dict)
    tokens: dict[object, int] = field(default_factory=dict)
    lends: dict[int, tuple[Lend, int, tuple[str, ...]]] = field(default_factory=dict)
    _resources: tuple[list[tuple[str, ...]], dict[str, list[int]]] | None = None

    def index_of(self, model: Model) -> Index:
        known = self.index
        if known is None or known.people != model.people or known.accounts != model.accounts:
            known = self.index = Index(model.people, model.accounts)
            self._forget()
        if len(self.facts) + len(self.tokens) + len(self.lends) > _MOST_FACTS:
            self._forget()
        return known

    def token(self, content: object) -> int:
        """A number for ``content``, the same for what is equal."""
        return self.tokens.setdefault(content, len(self.tokens))

    def content_of(self, lend: Lend) -> tuple[int, tuple[str, ...]]:
        """A number for what a lend says, and the groups that it names."""
        known = self.lends.get(id(lend))
        if known is None or known[0] is not lend:
            rules = (*lend.rules, *lend.hold_rules)
            names = tuple(rule.group for some in rules for rule in some.flat() if rule.group is not None)
            said = tuple(rule.said() for rule in lend.rules), tuple(rule.said() for rule in lend.hold_rules)
            given = tuple(lend.given.items())
            own = (
                lend.role,
                lend.actions,
                lend.employees,
                lend.contractors,
                lend.holds,
                lend.held,
                lend.glass,
                given,
                said,
                lend.lent_for,
            )
            # The lend is kept, so that no other can come to have its identity.
            known = self.lends[id(lend)] = (lend, self.token(own), names)
        return known[1], known[2]

    def by_resource(self, lends: Sequence[Lend]) -> Mapping[str, Sequence[int]]:
        """For each resource the numbers of the lends on it."""
        resources = [lend.resources for lend in lends]
        if self._resources is None or self._resources[0] != resources:
            found: dict[str, list[int]] = defaultdict(list)
            for number, names in enumerate(resources):
                for name in names:
                    found[name].append(number)
            self._resources = resources, found
        return self._resources[1]

    def _forget(self) -> None:
        # All: a number that is given anew must not be one that a fact still rests on.
        self.facts.clear()
        self.tokens.clear()
        self.lends.clear()


@dataclass(frozen=True, slots=True)
class Lead:
    """A way to a goal by ``action``, with the rights to administer that matter to it; by the lend of that number."""

    number: int
    way: Way
    action: str
    rights: Rights


class Reach:
    """One model, compiled as far as it is asked about. Raises Misuse for a rule set too large to decide."""

    def __init__(self, model: Model, memory: Memory | None = None) -> None:
        self.model = model
        self.memory = memory or Memory()
        self.index = self.memory.index_of(model)
        self.everybody = self.index.persons
        self.groups = Groups(model, self.index)
        self.approving = Approving(self.index, self.groups)
        self.joining = Joining(model, self.index, self.groups, self.approving)
        self._lends = self.memory.by_resource(model.lends)
        self._chains = {chain.name: chain for chain in model.chains}
        self._carriers: dict[str, Carriers] = {}
        self._compiled: dict[int, tuple[tuple[Place, ...], tuple[Place, ...]]] = {}
        self._tokens: list[int] | None = None
        self._leads: tuple[Goal, list[Lead]] | None = None
        self._ways: dict[tuple[int, bool], tuple[Way, Rights]] = {}
        self._known_leads: dict[tuple[int, str], Lead | None] = {}
        self._rests: dict[str, tuple[int, ...]] = {}

    def mask(self, names: Iterable[str]) -> Team:
        """The persons behind ``names``; a name that is nobody's is left out."""
        return self.index.mask(names)

    def members(self, team: Team) -> Iterator[str]:
        return self.index.members(team)

    def chain(self, goal: Goal) -> Duties:
        return self._chains[goal.chain]

    def carriers(self, goal: Goal) -> Carriers:
        known = self._carriers.get(goal.chain)
        if known is None:
            known = self._carriers[goal.chain] = Carriers(self._chains[goal.chain], self.index, self.groups)
        return known

    def works(self, team: Team, goal: Goal) -> bool:
        """Whether ``team`` alone could do ``goal``; nobody else says yes to anything any more."""
        if goal.chain:
            return self.plan(team, goal) is not None
        return self.can(team, self.leads(goal))

    def can(self, team: Team, leads: Sequence[Lead]) -> bool:
        """Whether ``team`` alone could go one of ``leads``."""
        known: dict[Rights, Open] = {}
        for lead in leads:
            if lead.rights not in known:
                known[lead.rights] = self.joining.join(team, lead.rights)[0]
            if lead.way.find(self.approving, team, known[lead.rights]) is not None:
                return True
        return False

    def plan(self, team: Team, goal: Goal) -> tuple[Step, ...] | None:
        """How ``team`` could do ``goal``, step by step, nobody joining a group in vain; None when it cannot."""
        if goal.chain:
            return self._plan_chain(team, goal)
        found = self.plan_by(team, goal)
        return None if found is None else found[1]

    def plan_by(self, team: Team, goal: Goal) -> tuple[Lead, tuple[Step, ...]] | None:
        """As ``plan`` for an action, with the way that is gone."""
        leads = self.leads(goal)
        for lead in leads:
            found = lead.way.find(self.approving, team, frozenset())
            if found is not None:
                return lead, self._tell(lead, goal, *found)
        for lead in leads:
            if lead.rights:
                opened, moves = self.joining.join(team, lead.rights)
                found = lead.way.find(self.approving, team, opened)
                if found is not None:
                    return lead, (*self.joining.tell(team, moves), *self._tell(lead, goal, *found))
        return None

    def tell_way(self, lead: Lead, goal: Goal, team: Team) -> tuple[Step, ...]:
        """The steps by which ``team`` goes one way, nobody joining a group in vain; none when it cannot."""
        for opened, moves in ((frozenset[str](), ()), self.joining.join(team, lead.rights)):
            found = lead.way.find(self.approving, team, opened)
            if found is not None:
                return (*self.joining.tell(team, moves), *self._tell(lead, goal, *found))
        return ()

    def tell_changed_for(self, lead: Lead, goal: Goal, team: Team, proposer: Team, who: Team) -> tuple[Step, ...]:
        """How ``team`` changes the policy so that it lends ``who``, who proposes nothing, what they then do."""
        found = replace(lead.way, askers=proposer).find(self.approving, team, frozenset())
        if found is None:
            return ()
        (asked, _, _), by, name = found, self.index.name(proposer), self.index.name(who)
        role, another = f"{lead.way.role} on {goal.resource}", next((yes for yes in asked.yes if yes != name), by)
        steps = [Step(by, What.ASK, role, "" if goal.resource == OURS else name)]
        steps += [Step(yes, What.APPROVE, role, by) for yes in asked.yes]
        steps.append(Step(by, What.ACTIVATE, goal.resource))
        if goal.resource != OURS:
            steps.append(Step(name, What.ASK_CHANGED, goal.resource))
            steps.append(Step(another, What.APPROVE, f"the role on {goal.resource}", name))
            steps.append(Step(name, What.RUN, f"{goal.action} on {goal.resource}"))
        return tuple(steps)

    def leads(self, goal: Goal) -> list[Lead]:
        """The ways to ``goal``."""
        if self._leads is None or self._leads[0] != goal:
            numbers = self._lends.get(goal.resource, ())
            found = [lead for number in numbers if (lead := self.lead(number, goal)) is not None]
            self._leads = goal, found
        return self._leads[1]

    def lead(self, number: int, goal: Goal) -> Lead | None:
        """The way to ``goal`` by one lend; if it allows it with and without a second yes the latter."""
        key = number, goal.action
        if key not in self._known_leads:
            self._known_leads[key] = self._lead(number, goal.action)
        return self._known_leads[key]

    def _lead(self, number: int, wanted: str) -> Lead | None:
        lend = self.model.lends[number]
        able = [action for action in (wanted, WIDEST) if action in lend.actions]
        if not able:
            return None
        action = able[0] if len(able) == 1 or able[0] not in lend.holds else able[1]
        way, rights = self._way(number, held=action in lend.holds)
        return Lead(number, way, action, rights)

    def lends_on(self, resource: str) -> Sequence[int]:
        return self._lends.get(resource, ())

    def rests_on(self, resource: str) -> tuple[int, ...]:
        """What the verdicts on ``resource`` depend on, as numbers: equal as long as nothing of it has changed."""
        if self._tokens is None:
            self._tokens = [self._token(number) for number in range(len(self.model.lends))]
        known = self._rests.get(resource)
        if known is None:
            tokens = self._tokens
            known = self._rests[resource] = tuple([tokens[number] for number in self._lends.get(resource, ())])
        return known

    def _token(self, number: int) -> int:
        own, names = self.memory.content_of(self.model.lends[number])
        groups = tuple([self.groups.mask(name) for name in names])
        rights = self.joining.rights_for(names) if self.model.powers else ()
        return self.memory.token((own, groups, self.joining.rests_on(rights, self.memory.token)))

    def _places(self, number: int) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
        if number not in self._compiled:
            lend, approving = self.model.lends[number], self.approving
            self._compiled[number] = (approving.compile(lend.rules), approving.compile(lend.hold_rules))
        return self._compiled[number]

    def takers(self, goal: Goal, opened: Open) -> list[Team]:
        """Who may take each duty of a chain; of ``opened`` groups everybody is a member."""
        chain = self._chains[goal.chain]
        return [self._takers(chain.takers.get(duty), opened) & self.index.approvers for duty in chain.duties]

    def chain_rights(self, goal: Goal) -> Rights:
        rules = self._chains[goal.chain].takers.values()
        return self.joining.rights_for({rule.group for rule in rules if rule.group is not None})

    def _way(self, number: int, *, held: bool) -> tuple[Way, Rights]:
        known = self._ways.get((number, held))
        if known is None:
            lend = self.model.lends[number]
            rules, holds = self._places(number)
            way = compile_way(lend, rules, holds if held else None, self.index)
            known = self._ways[number, held] = way, self.joining.rights_for(way.groups())
        return known

    def _tell(self, lead: Lead, goal: Goal, asked: Asked, held: bool, given: bool) -> tuple[Step, ...]:
        name, lend = self.index.name(asked.asker), self.model.lends[lead.number]
        role, deed = f"{lead.way.role} on {goal.resource}", f"{lead.action} on {goal.resource}"
        steps = [] if held or given else [Step(name, What.ASK, role, length=lend.lent_for)]
        if held and asked.asker & self.index.named(lend.glass):
            steps = [Step(name, What.BREAK_GLASS, role, length=lend.glass_for)]
        if not held:
            steps += [Step(yes, What.APPROVE, role, name) for yes in asked.yes]
        if lead.way.role == THE_POLICY:
            return (*steps, *self._tell_changed(name, goal, asked))
        # The statement is sent first, and waits: what is approved is the very statement.
        return (
            *steps,
            Step(name, What.RUN, deed),
            *(Step(yes, What.APPROVE_STATEMENT, deed, name) for yes in asked.more),
        )

    @staticmethod
    def _tell_changed(name: str, goal: Goal, asked: Asked) -> Iterator[Step]:
        """The policy that they changed lends one of them a role, at a yes of another's."""
        yield Step(name, What.ACTIVATE, goal.resource)
        if goal.resource != OURS:
            yield Step(name, What.ASK_CHANGED, goal.resource)
            yield from (Step(yes, What.APPROVE, f"the role on {goal.resource}", name) for yes in asked.yes[:1])
            yield Step(name, What.RUN, f"{goal.action} on {goal.resource}")

    def _plan_chain(self, team: Team, goal: Goal) -> tuple[Step, ...] | None:
        chain, carriers = self._chains[goal.chain], self.carriers(goal)
        steps: tuple[Step, ...] = ()
        found = carriers.assign([mask & team for mask in self.takers(goal, frozenset())])
        rights = self.chain_rights(goal)
        if found is None and rights:
            opened, moves = self.joining.join(team, rights)
            steps = self.joining.tell(team, moves)
            found = carriers.assign([mask & team for mask in self.takers(goal, opened)])
        if found is None:
            return None
        duties = zip(chain.duties, found, strict=True)
        return (
            *steps,
            *(Step(self.index.name(person), What.DUTY, f"{duty} of {chain.name}") for duty, person in duties),
        )

    def _takers(self, rule: Rule | None, opened: Open) -> Team:
        mask = self.index.everybody
        if rule is None:
            return mask
        if rule.group is not None and rule.group not in opened:
            mask &= self.groups.mask(rule.group)
        if rule.people:
            mask &= self.index.named(rule.people)
        return mask
