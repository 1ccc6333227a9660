"""The model against the engine's own rules, on companies by chance: as few as can do a thing by them, the prover names.

The rules are those that the services ask (``domain.approving``, ``domain.requesting``, the decider), on every team of
up to four persons; nothing of the proof is used. With neither conflicts nor windows in play the numbers are the same.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations

from interlock.domain.actions import Action, Need
from interlock.domain.approving import Ask, count_approvals, rules_for_hold
from interlock.domain.decisions import Effect
from interlock.domain.people import ADMINISTRATORS, Contract, Person
from interlock.domain.requesting import Circumstances, Wish, refuse_at_once
from interlock.domain.roles import ApprovalRule, BreakGlass, Hold, Lending, Role
from interlock.policy.configuration import Configuration
from interlock.policy.decide import Decider, Question
from interlock.proof.model import OURS, Goal
from interlock.proof.prove import Prover
from interlock.proof.verdicts import Claim, Counted
from interlock.services.judging import rules_for_policy
from interlock.services.proof_model import LiveState, build_model
from tests.services.world import company

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
GROUPS = ("dba", "ops", ADMINISTRATORS)
GOALS = (Goal("alter", "orders"), Goal("destroy", "orders"))
HOUR = timedelta(hours=1)
MOST = 4


def make_company(dice: random.Random) -> Configuration:
    names = ("ann", "ben", "cid", "dot@acme", "eve@acme", "fay@globex")
    people = {
        name: Person(name, name.partition("@")[2] or None, frozenset(dice.sample(GROUPS, dice.randint(0, 2))))
        for name in names
    }
    roles = {f"role{number}": _role(dice, number, tuple(people)) for number in range(dice.randint(1, 3))}
    start, end = AT - timedelta(days=9), AT + timedelta(days=9)
    contracts = {
        vendor: Contract(
            vendor, vendor, dice.choice(("ann", "ben")), start, end, frozenset(dice.sample(sorted(roles), 1))
        )
        for vendor in ("acme", "globex")
        if dice.random() < 0.8
    }
    approvals = (_rule(dice, tuple(people)),) if dice.random() < 0.7 else ()
    return company(people=people, roles=roles, contracts=contracts, separations=(), policy_approvals=approvals)


def _rule(dice: random.Random, names: tuple[str, ...], *, deep: bool = True) -> ApprovalRule:
    kind, count = dice.random(), dice.choice((1, 1, 2))
    if kind < 0.5 or not deep:
        return ApprovalRule(count, dice.choice(GROUPS), same_vendor=dice.random() < 0.3)
    if kind < 0.7:
        return ApprovalRule(count, sponsor=True)
    if kind < 0.85:
        return ApprovalRule(count, people=frozenset(dice.sample(names, 2)))
    return ApprovalRule(count, any_of=(_rule(dice, names, deep=False), _rule(dice, names, deep=False)))


def _role(dice: random.Random, number: int, names: tuple[str, ...]) -> Role:
    allow = frozenset(
        {Action.CONNECT, *dice.sample((Action.ALTER, Action.DESTROY, Action.EXECUTE), dice.randint(1, 2))}
    )
    rules = tuple(_rule(dice, names) for _ in range(dice.randint(1, 2)))
    role = Role(f"role{number}", company().roles["reader"].on, allow, Lending(2 * HOUR, rules))
    if dice.random() < 0.5:
        held = frozenset(dice.sample(sorted(allow - {Action.CONNECT}), 1))
        role = replace(role, hold=Hold(held, (_rule(dice, names),) if dice.random() < 0.6 else ()))
    if dice.random() < 0.15:
        group = ApprovalRule(1, dice.choice(("dba", "ops")))
        role = replace(role, break_glass=BreakGlass(HOUR, group, group, replace(group, count=2)))
    return role


class _Engine:
    """What a team can do by the engine's rules alone."""

    def __init__(self, configuration: Configuration, come_in: frozenset[str]) -> None:
        self.configuration = configuration
        self.come_in = come_in
        self.contracts = tuple(configuration.contracts.values())
        self.guests = {
            contract.name: Person(f"new@{contract.name}.example", contract.vendor) for contract in self.contracts
        }
        self.people = {**configuration.people, **{guest.name: guest for guest in self.guests.values()}}
        self.decider = Decider(configuration)

    def least(self, goal: Goal) -> int | None:
        for size in range(1, MOST + 1):
            for few in combinations(self.configuration.people.values(), size):
                team = (*few, *self._brought_in(few))
                if any(self._runs(team, asker, goal) for asker in team):
                    return size
        return None

    def _brought_in(self, team: tuple[Person, ...]) -> Iterator[Person]:
        """Whom two of a team bring in and come in as: another employee gives the link, the sponsor confirms."""
        for contract in self.contracts:
            sponsors = [person for person in team if person.name == contract.sponsor]
            if sponsors and any(person.is_employee and person not in sponsors for person in team):
                yield self.guests[contract.name]
                for person in self.configuration.people.values():
                    if contract.covers(person) and person.name not in self.come_in and person not in team:
                        yield person

    def _runs(self, team: tuple[Person, ...], asker: Person, goal: Goal) -> bool:
        rules = rules_for_policy(self.configuration, tuple(self.configuration.people.values()))
        if asker.is_employee and self._enough(Ask(asker, frozenset()), rules, team):
            return True
        return goal.resource != OURS and any(self._by(role, team, asker, goal) for role in self._lent(team, asker))

    def _lent(self, team: tuple[Person, ...], asker: Person) -> Iterator[Role]:
        for role in self.configuration.roles.values():
            for emergency in (False, True):
                now = Circumstances(
                    AT,
                    self.people,
                    self.configuration.resources,
                    self.configuration.roles,
                    self.contracts,
                )
                if refuse_at_once(Wish(asker.name, "orders", role.name, HOUR), now, emergency=emergency):
                    continue
                if emergency or self._enough(Ask(asker, frozenset({role.name})), role.lending.approvals, team):
                    yield role

    def _by(self, role: Role, team: tuple[Person, ...], asker: Person, goal: Goal) -> bool:
        # What is not understood needs the widest action, which stands for every other.
        for action in (Action(goal.action), Action.EXECUTE):
            question = Question(
                person=asker,
                resource=self.configuration.resources["orders"],
                roles=frozenset({role.name}),
                needs=(Need(action),),
                at=AT,
                present_at=AT,
            )
            effect = self.decider.decide(question).effect
            held = effect is Effect.HOLD and self._enough(
                Ask(asker, frozenset({role.name})), rules_for_hold((role,)), team
            )
            if effect is Effect.ALLOW or held:
                return True
        return False

    def _enough(self, ask: Ask, rules: tuple[ApprovalRule, ...], team: tuple[Person, ...]) -> bool:
        return count_approvals(ask, rules, team, self.contracts, AT).complete


def test_what_a_team_can_do_by_the_engines_rules_the_prover_says_it_can() -> None:
    sizes: dict[int | None, int] = {}
    guests = 0
    for seed in range(250):
        configuration = make_company(random.Random(seed))
        people, contracts = tuple(configuration.people.values()), tuple(configuration.contracts.values())
        come_in = frozenset(name for name in configuration.people if random.Random(f"{seed} {name}").random() < 0.6)
        prover = Prover(build_model(LiveState(configuration, people, contracts, AT, come_in=come_in)))
        engine = _Engine(configuration, come_in)
        for goal in (*GOALS, Goal("alter", OURS)):
            found = prover.judge(Claim(goal, Counted.PERSONS, MOST + 1), most=MOST)
            expected = engine.least(goal)
            guests += any(step.what == "invite" for step in found.steps)
            least = None if found.never or found.least > MOST else found.least
            assert least == expected, (seed, goal, configuration.roles, configuration.contracts)
            sizes[expected] = sizes.get(expected, 0) + 1
    assert all(sizes.get(size, 0) > 10 for size in (None, 1, 2, 3)), sizes
    assert guests > 5
