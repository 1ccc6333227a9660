"""The watch: detections over the ledger's entries, in their order. Pure, and the same entries give the same findings.

What it remembers is plain JSON. It may be thrown away: reading the ledger from its first entry makes it anew.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.domain.codec import to_plain
from interlock.domain.detections import Detection, Response
from interlock.ledger.canonical import canonical
from interlock.ledger.entries import Recorded
from interlock.ledger.watch_facts import Facts, Observed
from interlock.ledger.watch_rules import looking_for


@dataclass(frozen=True, slots=True)
class Finding:
    """A detection fired. ``session`` is the one to hold or to cut; without one, ``person`` says whose."""

    detection: str
    response: Response
    position: int
    sentence: str
    person: str = ""
    session: str = ""
    resource: str = ""
    grant: str = ""


class Watch:
    """``memory`` is what :meth:`memory` gave, for the same detections."""

    def __init__(self, detections: Sequence[Detection], memory: Mapping[str, Any] | None = None) -> None:
        given = memory or {}
        self._facts = Facts(given.get("facts"))
        self._rules = [(detection, looking_for(detection.rule)) for detection in detections]
        self._memories: dict[str, dict[str, Any]] = {
            detection.name: given.get("rules", {}).get(detection.name, {}) for detection in detections
        }
        # A grant that something was found about before anybody used it: its sessions are held or cut when they open.
        self._armed: dict[str, dict[str, str]] = dict(given.get("armed", {}))

    def memory(self) -> dict[str, Any]:
        return {"facts": self._facts.memory(), "rules": self._memories, "armed": self._armed}

    def take(self, recorded: Recorded) -> list[Finding]:
        """What is found at one entry, at most one finding for each detection."""
        seen = self._facts.observe(recorded)
        found: list[Finding] = []
        for detection, rule in self._rules:
            sentence = rule.look(seen, self._memories[detection.name]) or self._armed_by(detection, seen)
            if sentence is not None:
                found.append(_finding(detection, seen, sentence))
                if seen.grant and not seen.session and detection.response is not Response.NOTIFY:
                    self._armed.setdefault(seen.grant, {})[detection.name] = sentence
        for grant in seen.grants:
            self._armed.pop(grant, None)
        return found

    def _armed_by(self, detection: Detection, seen: Observed) -> str | None:
        return next(
            (
                self._armed[grant][detection.name]
                for grant in seen.grants
                if detection.name in self._armed.get(grant, {})
            ),
            None,
        )


def digest_of(detections: Sequence[Detection]) -> str:
    """SHA-256 (hex) over what is looked for: memory of others is of no use."""
    plain = [[one.name, type(one.rule).__name__, to_plain(one)] for one in sorted(detections, key=lambda d: d.name)]
    return hashlib.sha256(canonical(plain)).hexdigest()


def _finding(detection: Detection, seen: Observed, sentence: str) -> Finding:
    return Finding(
        detection=detection.name,
        response=detection.response,
        position=seen.recorded.position,
        sentence=sentence,
        person=seen.person,
        session=seen.session,
        resource=seen.resource,
        grant=seen.grant,
    )
