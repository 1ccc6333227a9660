from datetime import timedelta

import pytest

from interlock.domain.actions import Action
from interlock.policy.annotations import Terms, read_terms

READ_WRITE = frozenset({Action.CONNECT, Action.READ, Action.WRITE})


def read(
    annotations: dict[str, str | None], *, permits: bool = True, actions: frozenset[Action] = READ_WRITE
) -> tuple[Terms, list[str]]:
    found: list[str] = []
    terms = read_terms(
        annotations,
        permits=permits,
        actions=actions,
        complain=lambda _, sentence, right: found.append(sentence + right),
    )
    return terms, found


def test_every_obligation_is_read() -> None:
    terms, found = read(
        {"id": "x", "hold": "write", "mfa": "5m", "mask": "card, a.b.c, *.*.d", "limit": "10", "fence": "20"}
    )
    assert not found
    assert terms == Terms(frozenset({Action.WRITE}), timedelta(minutes=5), ("card", "a.b.c", "*.*.d"), 10, 20)


def test_a_bare_hold_holds_everything_but_connect() -> None:
    assert read({"hold": None})[0].hold == {Action.READ, Action.WRITE}
    assert read({"hold": ""})[0].hold == {Action.READ, Action.WRITE}


def test_a_forbid_may_have_a_reason() -> None:
    assert read({"reason": "No."}, permits=False) == (Terms(reason="No."), [])


@pytest.mark.parametrize(
    ("annotations", "sentence"),
    [
        ({"hlod": ""}, "there is no annotation @hlod; did you mean hold?"),
        ({"hold": "wriet"}, "@hold names no action by 'wriet'"),
        ({"hold": "alter"}, "@hold names alter, which the policy does not permit"),
        ({"hold": "connect"}, "connect cannot be held"),
        ({"hold": "write,"}, "@hold names no action by ''"),
        ({"mfa": None}, "@mfa('') says no duration"),
        ({"mfa": "0s"}, "@mfa('0s') says no duration"),
        ({"mfa": "soon"}, "@mfa('soon') says no duration"),
        ({"mask": ""}, "@mask names no column by ''"),
        ({"mask": "a.b.c.d"}, "@mask names no column by 'a.b.c.d'"),
        ({"mask": "*"}, "@mask names no column by '*'"),
        ({"limit": "0"}, "@limit('0') says no number of rows"),
        ({"limit": "-1"}, "@limit('-1') says no number of rows"),
        ({"fence": "many"}, "@fence('many') says no number of rows"),
        ({"reason": "x"}, "@reason on a permit is never shown"),
    ],
)
def test_a_wrong_annotation_is_complained_of(annotations: dict[str, str | None], sentence: str) -> None:
    found = read(annotations)[1]
    assert any(sentence in "; did".join(line.split("did", 1)) for line in found), found


@pytest.mark.parametrize("name", ["limit", "mask", "fence"])
def test_an_annotation_without_effect_is_complained_of(name: str) -> None:
    value = {"limit": "1", "mask": "a", "fence": "1"}[name]
    found = read({name: value}, actions=frozenset({Action.ALTER}))[1]
    assert len(found) == 1
    assert "has no effect" in found[0]


@pytest.mark.parametrize("name", ["hold", "mfa", "limit", "mask", "fence"])
def test_an_obligation_on_a_forbid_is_complained_of(name: str) -> None:
    assert "on a forbid has no effect" in read({name: "1"}, permits=False)[1][0]
