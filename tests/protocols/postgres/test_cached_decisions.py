"""What is remembered of a statement is what would be found anew, over a part of PostgreSQL's own regression tests.

The whole of them: ``python -m tests.fuzz.cached_decisions``.
"""

import random

from tests.fuzz.cached_decisions import BY_HAND, choose, compare
from tests.support.regression_sql import shape, statements, varied

_EVERY = 25


def test_what_is_remembered_is_what_would_be_found_anew() -> None:
    outcome = compare(choose(_EVERY, seed=1))
    assert outcome.faults == []
    assert outcome.texts > 1500
    assert outcome.decided > 1000
    assert len(outcome.torn) >= 10, "hardly a literal decides here, so this would not notice a memory that drops them"


def test_the_corpus_is_what_it_is_taken_for() -> None:
    texts = statements()
    assert len(texts) > 30_000
    assert not any(text.lstrip().startswith("\\") for text in texts)
    assert sum(text.lower().startswith("select") for text in texts) > 10_000
    assert any("MERGE INTO" in text for text in texts)


def test_a_variant_differs_in_literals_alone() -> None:
    dice = random.Random(3)
    text = "select note from orders where id = 17 and note = 'seventeen' and true"
    variants = {varied(text, dice) for _ in range(30)}
    assert len(variants) > 10
    assert {shape(variant) for variant in variants if "true" in variant} == {shape(text)}
    assert varied("select note from orders", dice) == "select note from orders"
    assert varied("select 'open", dice) == "select 'open"
    assert len(set(BY_HAND)) == len(BY_HAND)
