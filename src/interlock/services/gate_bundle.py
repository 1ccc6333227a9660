"""A gate's answer to take along: the signed verdict with all evidence that it rests on, for who has no server."""

from datetime import timedelta
from typing import Any

from interlock.domain.codec import to_plain
from interlock.domain.delivery import Verdict
from interlock.services.delivery import Delivery, revision_of
from interlock.services.evidence_statements import verdict_statement

LASTS = timedelta(hours=1)


async def write_bundle(delivery: Delivery, verdict: Verdict) -> dict[str, Any]:
    """``{"verdict", "evidence"}``, envelopes all of them. ``verdict`` must be an open one."""
    revision = revision_of(verdict.artifact)
    chain = delivery.desk.configuration.chains[verdict.chain]
    rules = {
        "duties": list(chain.duties),
        "separations": [
            {"kind": s.kind.value, "names": list(s.names)} for s in chain.separations if s.kind.value == "separate"
        ],
    }
    until = to_plain(verdict.at + LASTS)
    statement = verdict_statement(verdict, revision.commit, revision.repository, until, rules)
    async with delivery.desk.state.reading() as reading:
        found = [await reading.evidence_one(one) for one in verdict.rests_on]
    return {
        "verdict": delivery.attestor.attest(statement),
        "evidence": {one.id: one.envelope for one in found if one is not None},
    }
