"""What is decided on a statement, fitted to the machine that has to keep it; remembered as long as it stands."""

from dataclasses import dataclass, replace

from interlock.domain.actions import Action
from interlock.domain.decisions import Decision, Fence, Obligation
from interlock.domain.decisions import Effect as Allow
from interlock.domain.snapshot import Snapshot
from interlock.gateway.admission import GONE, Rights, question
from interlock.gateway.rules import Rules
from interlock.gateway.shared import Shared
from interlock.ports.protocol import Proceed
from interlock.ports.statement import Described, Effect, Statement

_REMEMBERED = 256
_PROCEED = Proceed()


@dataclass(frozen=True, slots=True)
class Party:
    """Whose statements they are, and what the machine can keep."""

    session: str
    rights: Rights
    honours: frozenset[type]


class Judged:
    """A decision, fitted to the machine.

    ``at_once``: the statement may go out when its record was written, before it is on disk. A machine that calls a
    change a read is not believed. ``yes`` is what it is told then.
    """

    def __init__(self, decision: Decision, described: Described) -> None:
        self.decision = decision
        changes = any(need.action.changes for need in described.needs)
        believed = described.effect is Effect.AT_COMMIT or (described.effect is Effect.NEVER and not changes)
        self.at_once = believed and decision.effect is Allow.ALLOW
        self.yes = Proceed(decision.obligations) if decision.obligations else _PROCEED


class Judge:
    """Decides the statements of one session, each by what is known when it is asked about."""

    def __init__(self, shared: Shared, party: Party) -> None:
        self._shared = shared
        self._session = party.session
        self._rights = party.rights
        self._honours = party.honours
        self._met: str | None = None
        # What holds as long as what is known stays, by what was described.
        self._judged: dict[Described, Judged] = {}
        self._judged_from: tuple[Snapshot | None, Rules | None] = (None, None)

    def find_precedent(self, described: Described, known: tuple[Snapshot, Rules]) -> Judged | None:
        """What was decided before on the same from the very same knowledge, if it lets a statement go out at once and
        with nothing to keep."""
        if known is not self._judged_from:
            return None
        judged = self._judged.get(described)
        return judged if judged is not None and judged.at_once and judged.yes is _PROCEED else None

    def meet(self, decision: Decision | None) -> None:
        """What people approved ends the alarm's hold that it was held for."""
        self._met = None if decision is None else decision.reason
        self._judged.clear()

    def judge(self, statement: Statement, known: tuple[Snapshot, Rules]) -> Judged:
        """Decide, or remember what was decided on the same needs from the same knowledge and holds at any moment."""
        snapshot, rules = known
        judged_from = self._judged_from
        if judged_from[0] is not snapshot or judged_from[1] is not rules:
            self._judged_from = known
            self._judged.clear()
        described = statement.described
        kept = self._judged.get(described)
        if kept is not None:
            return kept
        asked = question(self._rights, described.needs, known, self._shared.now())
        decision = GONE if asked is None else rules.decider.decide(asked)
        judged = Judged(self._fit(self._alarmed(decision, statement, snapshot), statement), described)
        if asked is not None and rules.decider.lasts(asked):
            if len(self._judged) >= _REMEMBERED:
                self._judged.clear()
            self._judged[described] = judged
        return judged

    def _alarmed(self, decision: Decision, statement: Statement, snapshot: Snapshot) -> Decision:
        """What a detection wants another person to approve first. Statements that reach nothing, such as a ROLLBACK,
        go on."""
        why = snapshot.alarms.get(self._session)
        if why is None or why == self._met or decision.effect is not Allow.ALLOW or not statement.needs:
            return decision
        return replace(decision, effect=Allow.HOLD, reason=why)

    def _fit(self, decision: Decision, statement: Statement) -> Decision:
        """What the machine cannot keep is not allowed: a write that it cannot count is held, all else refused."""
        if decision.effect is Allow.DENY:
            return decision
        foreign = [one for one in decision.obligations if type(one) not in self._honours]
        if foreign:
            return replace(decision, effect=Allow.DENY, reason=_explain_foreign(foreign, self._rights), obligations=())
        fenced = decision.effect is Allow.ALLOW and any(isinstance(one, Fence) for one in decision.obligations)
        if fenced and not statement.fenceable and any(need.action is Action.WRITE for need in statement.needs):
            reason = (
                "The rows that this would change cannot be counted while it runs, so another person must approve it."
            )
            return replace(decision, effect=Allow.HOLD, reason=reason)
        return decision


def _explain_foreign(foreign: list[Obligation], rights: Rights) -> str:
    names = " and ".join(type(one).__name__ for one in foreign)
    return (
        f"The policy allows this only with {names}, which the gateway cannot keep for {rights.resource.kind}, so it is "
        "refused. Whoever keeps the policy can change that."
    )
