"""Pictures are well-formed, name everybody, and carry nothing of what names may contain."""

import random
from xml.etree import ElementTree

from interlock.domain.codec import to_plain
from interlock.proof.model import Goal, Lend, Member, Model, Rule, Takeover
from interlock.proof.picture import draw, panels_of_proof, panels_of_why
from interlock.proof.prove import prove
from interlock.proof.verdicts import Claim, Counted
from interlock.proof.why import explain_why
from tests.proof.policies import GOALS, RELEASE, make_policy


def _texts(svg: str) -> set[str]:
    # Made by ourselves the line before.
    root = ElementTree.fromstring(svg)  # noqa: S314
    return {text for element in root.iter() for text in [element.text] if text}


def test_counterexamples_and_cuts_are_drawn_with_everybody_who_has_a_part() -> None:
    for seed in range(40):
        claims = [Claim(goal, counted, 2) for goal in GOALS for counted in (Counted.PERSONS, Counted.VENDORS)]
        claims.append(Claim(RELEASE, Counted.ABSENCES, 1))
        proof = prove(make_policy(random.Random(seed)), claims)
        verdicts = to_plain(proof.verdicts)
        texts = _texts(draw(panels_of_proof(verdicts, {number: f"claim {number}" for number in range(len(claims))})))
        for verdict in proof.verdicts:
            assert {step.person for step in verdict.steps} <= texts
            assert verdict.never or {name for cut in verdict.cuts[:6] for name in cut.names} <= texts
            if verdict.steps:
                goal = verdict.claim.goal
                assert (goal.chain or f"{goal.action} on {goal.resource}") in texts


def test_every_way_is_a_panel_and_no_way_says_why() -> None:
    model = Model(
        {"ann": Member(), "ben": Member(), "cid": Member("acme")},
        {"dba": ("ann", "ben")},
        lends=(Lend("fix", ("orders",), frozenset({"alter"}), (Rule(group="dba"),), holds=frozenset()),),
    )
    texts = _texts(draw(panels_of_why(to_plain(explain_why(model, "ann", "alter", "orders")))))
    assert {"ann", "ben", "fix on orders", "alter on orders"} <= texts
    none = _texts(draw(panels_of_why(to_plain(explain_why(model, "cid", "alter", "orders")))))
    assert any("may not ask" in text for text in none)


def test_as_whom_others_come_in_is_seen() -> None:
    model = Model(
        {"ann": Member(), "ben": Member(), "cid": Member()},
        {"dba": ("cid",), "helpers": ("ann", "ben")},
        lends=(Lend("fix", ("orders",), frozenset({"alter"}), (Rule(group="dba"), Rule(people=frozenset({"ben"})))),),
        takeovers=(Takeover("helpers", 2),),
    )
    ways = explain_why(model, "ann", "alter", "orders").ways
    assert [(way.how, way.team) for way in ways] == [("recovery", ("ann", "ben")), ("", ("ann", "ben", "cid"))]
    svg = draw(panels_of_why(to_plain(explain_why(model, "ann", "alter", "orders"))))
    assert {"others come in as them", "lets in cid", "1. ann by fix, 2 persons in all, by recovery"} <= _texts(svg)
    assert svg.count("stroke-dasharray") == 1


def test_names_are_text_and_nothing_else() -> None:
    name = '<script>alert(1)</script>"&\x1b[31m'
    model = Model(
        {name: Member(), "ben": Member()},
        {"dba": ("ben",)},
        lends=(Lend("fix", ("orders",), frozenset({"alter"}), (Rule(group="dba"),)),),
    )
    svg = draw(
        panels_of_proof(
            to_plain(prove(model, [Claim(Goal("alter", "orders"), Counted.PERSONS, 3)]).verdicts), {0: name}
        )
    )
    assert "<script" not in svg
    assert "\x1b" not in svg
    assert any("alert(1)" in text for text in _texts(svg))
