"""The ways that ``--why`` tells are all minimal ones, and no others: against trying every team."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from typing import Any

from interlock.domain.codec import to_plain
from interlock.proof.model import OURS, THE_POLICY, Lend, Member, Model, Rule
from interlock.proof.steps import What
from interlock.proof.why import Why, explain_why
from tests.proof.policies import PEOPLE, let_in_again, make_policy
from tests.proof.simulator import Simulator, State

Teams = set[frozenset[str]]


class OnlyOneAsks(Simulator):
    """Of the team one person asks and runs, as themselves or as whom they help to come in; the others only say yes."""

    def __init__(self, plain: dict[str, Any], team: tuple[str, ...], who: str) -> None:
        super().__init__(plain, team)
        self.who = who
        self.real = frozenset(team)

    def lend_moves(self, person: str, number: str, lend: dict[str, Any], state: State) -> Iterator[tuple[str, ...]]:
        return super().lend_moves(person, number, lend, state) if self.does(person, state) else iter(())

    def does(self, person: str, state: State) -> bool:
        if person == self.who or person in self.real or self.people[self.who]["vendor"] is not None:
            return person == self.who
        hosts = [name for name in self.team if self.people[name]["vendor"] is None]
        real = [name for name in hosts if name in self.real]
        for takeover in self.plain["takeovers"]:
            helpers = [name for name in real if self.belongs(name, takeover["group"], state)]
            if len(helpers) >= max(1, takeover["count"]) and self.who in helpers:
                return True
        return any(
            person in map(self.person, one["guests"])
            and self.people[person]["vendor"] is not None
            and len(hosts) > 1
            and any(self.listed(host, one["sponsors"]) for host in hosts)
            for one in self.plain["invitations"]
        )


def _tried(model: Model, who: str, action: str) -> Teams:
    plain: dict[str, Any] = to_plain(model)
    goal = {"chain": "", "action": action, "resource": "orders"}
    others = [name for name, one in sorted(model.people.items()) if name != who and not one.guest]
    found: Teams = set()
    for size in range(len(others) + 1):
        for some in combinations(others, size):
            team = frozenset((who, *some))
            if not any(less <= team for less in found) and OnlyOneAsks(plain, tuple(team), who).can(goal):
                found.add(team)
    return found


def _told(why: Why) -> Teams:
    teams = {
        frozenset((why.person, *(name for some in chosen for name in some)))
        for way in why.ways
        for chosen in product(*(combinations(other.names, other.count) for other in way.others))
    }
    return {team for team in teams if not any(less < team for less in teams)}


def test_the_ways_are_all_minimal_teams_and_no_others() -> None:
    sizes: set[tuple[int, str]] = set()
    for seed in range(300):
        dice = random.Random(seed)
        model = replace(make_policy(dice), powers=())
        model = let_in_again(model, dice) if seed % 3 == 0 else model
        for who in PEOPLE[:2]:
            why = explain_why(model, who, "alter", "orders")
            assert why.complete
            assert _told(why) == _tried(model, who, "alter"), (seed, who)
            assert bool(why.ways or why.reasons)
            sizes.update((len(way.team), way.how) for way in why.ways)
    assert {(1, ""), (2, ""), (3, ""), (2, "recovery"), (3, "recovery"), (2, "invitation"), (3, "invitation")} <= sizes


def test_the_steps_of_a_way_are_of_its_team_alone_and_the_person_runs() -> None:
    for seed in range(60):
        model = make_policy(random.Random(seed))
        for who in PEOPLE:
            for way in explain_why(model, who, "alter", "orders").ways:
                entered = {step.target.partition(" on ")[0] for step in way.steps if step.what in ("come-in", "stay")}
                assert bool(entered) == bool(way.how)
                assert {step.person for step in way.steps} <= {*way.team, *entered}
                (runs,) = [step.person for step in way.steps if step.what == "run"]
                assert runs == who or (way.how and runs in entered)
                # What is held is approved after it was sent: nothing else comes after that.
                sent = [step.what for step in way.steps].index(What.RUN)
                assert {step.what for step in way.steps[sent + 1 :]} <= {"approve-statement"}


def test_where_there_is_no_way_each_role_says_what_is_missing() -> None:
    lend = Lend("fix", ("orders",), frozenset({"alter"}), (Rule(2, group="dba"), Rule(group="ops")))
    people = {"ann": Member(), "ben": Member("acme"), "cid": Member()}
    model = Model(people, {"dba": ("ann", "cid"), "ops": ("ann",)}, lends=(lend,))
    assert explain_why(model, "ann", "alter", "orders").reasons == (
        (
            "fix: to be lent it, 2 persons of the group dba would have to say yes, and there is only 1 who could; "
            "to be lent it, one person of the group ops would have to say yes, and there is nobody who could."
        ),
    )
    assert explain_why(model, "ben", "alter", "orders").reasons == (
        "fix: ben may not ask for it, and does not have it.",
    )
    assert explain_why(model, "ann", "destroy", "orders").reasons == ("No role allows destroy on orders.",)


def test_where_a_group_is_joined_first_it_is_said_that_there_may_be_more() -> None:
    for seed in range(200):
        model = replace(make_policy(random.Random(seed)), takeovers=(), invitations=())
        for who in PEOPLE:
            why = explain_why(model, who, "alter", "orders")
            assert bool(why.ways) == bool(_tried(model, who, "alter")) or not model.powers
            if any(step.what == "join" for way in why.ways for step in way.steps):
                assert not why.complete
                return
    raise AssertionError("no policy of these lets anybody join")


def test_a_changed_policy_lends_whom_it_names_whoever_proposes_it() -> None:
    """All teams by which somebody comes to it: who proposes, who say yes, and the one who is lent it, who may be one of
    them or not. Of the policy itself: of all teams that change it those that need the person."""
    people = {"ann": Member(), "ben": Member(), "cid": Member(), "eve": Member("acme"), "fay": Member("acme")}
    for rules, groups in (
        ((Rule(group="board"),), {"board": ("ann", "ben")}),
        ((Rule(group="board"),), {"board": ("ann", "fay")}),
        ((Rule(group="board"),), {"board": ("ann",)}),
        ((Rule(2, group="board"),), {"board": ("ann", "ben", "cid")}),
        ((Rule(group="board"), Rule(group="ops")), {"board": ("ann", "ben"), "ops": ("cid", "fay")}),
        ((Rule(group="board"),), {}),
    ):
        lend = Lend(THE_POLICY, ("orders",), frozenset({"execute"}), rules)
        model = Model(people, groups, lends=(lend, Lend(THE_POLICY, (OURS,), frozenset({"execute"}), rules)))
        plain, goal = to_plain(model), {"chain": "", "action": "alter", "resource": "orders"}
        able = {
            frozenset(team)
            for size in range(len(people) + 1)
            for team in combinations(people, size)
            if Simulator(plain, team).can(goal)
        }
        for who in people:
            lent = {team | {who} for team in able}
            why = explain_why(model, who, "alter", "orders")
            assert _told(why) == {team for team in lent if not any(less < team for less in lent)}, (groups, who)
            for way in why.ways:
                assert {step.person for step in way.steps} == set(way.team)
                assert (way.steps[-1].person, way.steps[-1].what) == (who, "run")
                assert all(step.person != who for step in way.steps if step.target == "the role on orders")
            needed = {team for team in able if who in team and not any(less < team for less in able)}
            assert _told(explain_why(model, who, "alter", OURS)) == needed, (groups, who)
