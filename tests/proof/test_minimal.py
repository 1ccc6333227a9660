"""The number of persons is the one that trying all teams gives, for persons, vendors and absences."""

import random
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from interlock.domain.codec import from_plain, to_plain
from interlock.proof.certificate import write_certificate
from interlock.proof.check import check_certificate
from interlock.proof.model import EMPLOYEES, Goal, Lend, Member, Model, Rule
from interlock.proof.prove import Prover, prove
from interlock.proof.verdicts import Claim, Counted, Outcome, Proof
from tests.proof.policies import GOALS, PEOPLE, RELEASE, make_policy
from tests.proof.simulator import Simulator, least_team

SEEDS = range(150)


def _units(model: Model) -> dict[str, tuple[str, ...]]:
    units: dict[str, list[str]] = {}
    for name, member in model.people.items():
        if member.guest:
            units.setdefault(member.vendor or EMPLOYEES, [])
            continue
        units.setdefault(member.vendor or EMPLOYEES, []).append(name)
    return {unit: tuple(names) for unit, names in units.items()}


def test_smallest_teams_are_those_that_trying_all_of_them_gives() -> None:
    sizes: dict[int | None, int] = {}
    for seed in SEEDS:
        model = make_policy(random.Random(seed))
        plain: dict[str, Any] = to_plain(model)
        for goal in GOALS:
            expected = least_team(plain, to_plain(goal), len(PEOPLE))
            claim = Claim(goal, Counted.PERSONS, len(PEOPLE))
            prover = Prover(model)
            verdicts = [one.judge(claim, most=len(PEOPLE)) for one in (prover, Prover(model, many=0))]
            size = None if expected is None else len(expected)
            for found in verdicts:
                assert (None if found.never else found.least) == size, (seed, goal)
                if found.team:
                    assert len(found.team) == size
                    assert Simulator(plain, found.team).can(to_plain(goal)), (seed, goal)
            sizes[size] = sizes.get(size, 0) + 1
    # Neither all can nor none: the comparison says something.
    assert all(sizes.get(size, 0) > 10 for size in (None, 1, 2, 3)), sizes


def test_smallest_numbers_of_vendors() -> None:
    for seed in SEEDS:
        model = make_policy(random.Random(seed))
        plain: dict[str, Any] = to_plain(model)
        units = _units(model)
        for goal in GOALS:
            verdict = Prover(model).judge(Claim(goal, Counted.VENDORS, 1), most=4)
            sizes = [
                size
                for size in range(len(units) + 1)
                for chosen in combinations(units, size)
                if Simulator(plain, tuple(name for unit in chosen for name in units[unit])).can(to_plain(goal))
            ]
            assert verdict.never == (not sizes)
            assert verdict.never or verdict.least == sizes[0]


def test_smallest_numbers_of_absences() -> None:
    for seed in SEEDS:
        model = make_policy(random.Random(seed))
        # Nobody plans to be impersonated: taking over is no resilience.
        plain: dict[str, Any] = {**to_plain(model), "takeovers": [], "invitations": []}
        verdict = Prover(model).judge(Claim(RELEASE, Counted.ABSENCES, 4), most=4)
        people = sorted(name for name, member in model.people.items() if not member.guest)
        stops = next(
            size
            for size in range(len(people) + 1)
            for away in combinations(people, size)
            if not Simulator(plain, tuple(p for p in people if p not in away)).can(to_plain(RELEASE))
        )
        assert verdict.least == stops, seed
        if verdict.outcome is Outcome.PROVEN:
            assert stops > 4


def test_every_member_of_a_counterexample_is_needed() -> None:
    for seed in SEEDS:
        model = make_policy(random.Random(seed))
        plain: dict[str, Any] = to_plain(model)
        for goal in GOALS:
            team = Prover(model).judge(Claim(goal, Counted.PERSONS, len(PEOPLE) + 1), most=5).team
            for name in team:
                rest = tuple(other for other in team if other != name)
                assert not Simulator(plain, rest).can(to_plain(goal)), (seed, goal)


def test_adding_a_right_never_raises_the_number_and_renaming_changes_nothing() -> None:
    for seed in SEEDS:
        dice = random.Random(seed)
        model = make_policy(dice)
        more = Lend("more", ("orders",), frozenset({"alter"}), model.lends[0].rules)
        plain = to_plain(model)
        text = repr(plain)
        for name in (*PEOPLE, *model.groups):
            text = text.replace(f"'{name}", f"'z-{name[::-1]}")
        renamed = from_plain(Model, eval(text, {"__builtins__": {}}))  # noqa: S307 -- the repr of plain JSON of our own
        extended = Model(
            model.people, model.groups, model.nested, model.accounts, (*model.lends, more), model.powers, model.chains
        )
        for goal in GOALS:
            before, after = Prover(model).smallest(goal), Prover(extended).smallest(goal)
            assert after.never <= before.never
            assert before.never or after.least <= before.least
            other = Prover(renamed).smallest(goal)
            assert (other.never, other.least) == (before.never, before.least)


def test_removing_a_person_never_raises_resilience() -> None:
    for seed in SEEDS:
        model = make_policy(random.Random(seed))
        claim = Claim(RELEASE, Counted.ABSENCES, 4)
        before = Prover(model).judge(claim, most=4).least
        for name in PEOPLE:
            assert Prover(model, away=[name]).judge(claim, most=4).least <= before


@pytest.mark.parametrize("seed", range(40))
def test_every_proof_is_accepted_by_the_checker_and_no_stronger_one(seed: int) -> None:
    model = make_policy(random.Random(seed))
    claims = [
        Claim(goal, counted, least)
        for goal in GOALS
        for counted in (Counted.PERSONS, Counted.VENDORS)
        for least in (1, 2, 3)
    ]
    claims += [Claim(RELEASE, Counted.ABSENCES, least) for least in (0, 1, 2)]
    proof = prove(model, claims, most=4)
    among_many = Prover(model, many=0)
    for verdict in (among_many.judge(claim, most=4) for claim in claims):
        ((_, proven, why),) = check_certificate(write_certificate(model, Proof((verdict,), ()))).claims
        assert proven == (verdict.outcome is Outcome.PROVEN), (verdict, why)
        assert verdict.outcome is not Outcome.UNKNOWN
    certificate = write_certificate(model, proof)
    accepted = [proven for _, proven, _ in check_certificate(certificate).claims]
    assert accepted == [verdict.outcome is Outcome.PROVEN for verdict in proof.verdicts]
    forged = certificate.replace('"outcome": "refuted"', '"outcome": "proven"')
    assert [proven for _, proven, _ in check_certificate(forged).claims] == accepted


def test_a_chain_that_nobody_can_do_is_no_success() -> None:
    model = Model({"ann": Member()}, chains=(make_policy(random.Random(0)).chains[0],))
    proof = prove(model, [Claim(Goal(chain="release"), Counted.ABSENCES, 0)])
    assert proof.verdicts[0].outcome is Outcome.REFUTED
    assert not proof.holds
    assert not prove(model, []).holds


def test_a_sponsor_who_is_named_by_another_account_is_no_stranger() -> None:
    """``ann`` and ``cid`` have the sponsor ``ann-2`` both, who is ``ann``: only for ``cid`` is that somebody else."""
    rule = Rule(sponsors={"ann": ("ann-2",), "cid": ("ann-2",)})
    lend = Lend("fix", ("orders",), frozenset({"alter"}), (rule,))
    model = Model({"ann": Member(), "cid": Member()}, accounts={"ann-2": "ann"}, lends=(lend,))
    prover = Prover(model)
    assert prover.smallest(GOALS[0]).team == prover.reach.mask({"ann", "cid"})


def test_of_what_is_not_counted_or_done_nothing_is_proven() -> None:
    """An action in capitals is no action: nothing leads to it, and that is no proof of anything."""
    model = make_policy(random.Random(3))
    verdict = prove(model, [Claim(GOALS[0], Counted.PERSONS, 2)]).verdicts[0]
    certificate = write_certificate(model, Proof((replace(verdict, outcome=Outcome.PROVEN, cuts=()),), ()))
    action = GOALS[0].action
    for old, new in ((f'"action": "{action}"', f'"action": "{action.upper()}"'), ('"persons"', '"heads"')):
        assert old in certificate
        assert not check_certificate(certificate.replace(old, new)).claims[0][1]
