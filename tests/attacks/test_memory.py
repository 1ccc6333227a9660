"""A worker that has seen much decides the next statement like one that has seen nothing.

The whole of Interlock is asked, several times and in several orders, and what it wrote down is compared with what an
adapter asks that has met nothing of the kind, and what a policy decides that remembers nothing.
"""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from interlock.policy.decide import Decider, Question
from interlock.policy.load import load_configuration
from tests.attacks.conftest import Scene
from tests.attacks.wire import wire
from tests.fuzz.cached_decisions import choose, keeps_state
from tests.support.asking import Manner, asked_apart
from tests.support.recorded import recordings_of, wait_for_recordings
from tests.support.regression_sql import shape

_READER = Manner(extended=False, read_only=True)
_EVERY = 60
_LONGEST = 4000


def test_what_a_worker_wrote_down_is_what_would_be_decided_anew(scene: Scene) -> None:
    texts = [text for text in choose(_EVERY, seed=2) if _is_fit(text)]
    before = recordings_of(scene.stack.data)
    with scene.unchanged():
        for seed in (1, 2):
            random.Random(seed).shuffle(texts)
            with wire(scene.variables("reader"), options="-c statement_timeout=500") as client:
                for text in texts + texts[::-1]:
                    assert client.query(text).status == "I", text
    new = wait_for_recordings(scene.stack.data, before, 2)
    written = [record for records in new.values() for record in records if record["type"] == "statement"]
    expected = _decide_anew(scene, {str(record["text"]) for record in written})
    wrong = [record for record in written if _shown(record) != expected[record["text"]]]
    assert wrong == []
    assert {record["effect"] for record in written} == {"allow", "deny"}
    assert len(written) >= 4 * len(texts) > 2000


def _is_fit(text: str) -> bool:
    return bool(text.strip(" ;\n")) and len(text) < _LONGEST and not keeps_state(text) and "pg_sleep" not in text


def _decide_anew(scene: Scene, texts: set[str]) -> dict[str, Mapping[str, Any]]:
    configuration = load_configuration(scene.stack.config, "interlock.yaml")
    decider = Decider(configuration, remember=0)
    person, resource = configuration.people[scene.reader.name], configuration.resources["shop"]
    found: dict[str, Mapping[str, Any]] = {}
    for text, asked in asked_apart(sorted(texts), shape, _READER).items():
        (statement,) = asked
        needs, now = statement.needs, datetime.now(UTC)
        decision = decider.decide(Question(person, resource, frozenset({"reader"}), needs, now, None))
        found[text] = {
            "needs": [str(need) for need in needs],
            "effect": decision.effect.value,
            "reason": decision.reason,
            "policies": list(decision.policies),
        }
    return found


def _shown(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: record[name] for name in ("needs", "effect", "reason", "policies")}
