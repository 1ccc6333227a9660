"""Decides statements: Cedar is asked for each need, and the answers are joined.

Deny wins. An error in any policy denies, whichever policy it was: Cedar itself leaves out a ``forbid`` that errors,
and so would allow. The schema is always given, an empty policy set denies, and so does holding no role. The
obligations of all policies that permitted are joined, the strictest of each kind.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

import cedarpy

from interlock.domain.actions import Action, Need
from interlock.domain.decisions import Decision, Effect
from interlock.domain.people import Person
from interlock.domain.resources import Resource
from interlock.policy.ask_cedar import Ruling, ask_cedar, describe_entities
from interlock.policy.cedar import compile_policies
from interlock.policy.cedar_expressions import ANYTHING
from interlock.policy.cedar_policy import RESERVED_ID
from interlock.policy.configuration import Configuration
from interlock.policy.explain import (
    explain_denial,
    explain_error,
    explain_hold,
    explain_leaving,
    explain_presence,
)
from interlock.policy.join import join_terms

_TIMED: Final = frozenset({"at", "present_at", ANYTHING})
"""What a policy may read that makes its answer a matter of the moment, so that nothing may be remembered."""

_SKEW: Final = timedelta(minutes=1)
"""How far the clock of the control plane, which writes the proof down, may be ahead of the one that decides."""


@dataclass(frozen=True, slots=True)
class Question:
    """May ``person``, holding ``roles`` on ``resource``, do what a statement needs, at ``at``?

    ``roles`` are those of the active grants for this person, resource and key. ``present_at`` is the time of the
    person's last proof of presence in this login, None when there was none. No needs at all are taken as ``connect``.
    """

    person: Person
    resource: Resource
    roles: frozenset[str]
    needs: tuple[Need, ...]
    at: datetime
    present_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A decision apart from the freshness of presence (``Decision.mfa``), which is looked at each time."""

    resource: Resource
    decision: Decision


_Key = tuple[Person, str, frozenset[str]]
_Kept = TypeVar("_Kept")
_Name = TypeVar("_Name")


class Decider:
    """Answers questions from one configuration. Not for use by several threads at once.

    What was decided is remembered for each (person, resource, roles, needs), unless a policy reads the time or the
    proof of presence. INVARIANT: a remembered answer is the one that would be given anew. ``remember`` bounds how
    many are kept; 0 keeps none. Raises ConfigurationError when a Cedar file of the configuration is wrong.
    """

    def __init__(self, configuration: Configuration, *, remember: int = 4096) -> None:
        self.configuration = configuration
        self._policies = compile_policies(configuration)
        self._remember = 0 if self._policies.reads & _TIMED else remember
        self._describe_most = remember
        self._by_part = bool(self._policies.reads & {"part", ANYTHING})
        self._verdicts: OrderedDict[tuple[_Key, tuple[Need, ...]], _Verdict] = OrderedDict()
        self._rulings: OrderedDict[tuple[_Key, Need], tuple[Resource, Ruling]] = OrderedDict()
        self._entities: OrderedDict[tuple[Person, str], tuple[Resource, cedarpy.Entities]] = OrderedDict()

    def decide(self, question: Question) -> Decision:
        """The decision, with its reason. An error in deciding is a deny that carries it in ``errors``."""
        key = ((question.person, question.resource.name, question.roles), question.needs)
        verdict = self._verdicts.get(key)
        if verdict is None or verdict.resource != question.resource:
            verdict = self._find(question)
            # A denial's sentence speaks of contracts that run now, so it is written anew each time.
            if verdict.decision.effect is not Effect.DENY:
                _keep(self._verdicts, key, verdict, self._remember)
        mfa = verdict.decision.mfa
        if mfa is not None and not _present(question, mfa):
            reason = explain_presence(question.resource, mfa, question.present_at)
            return replace(verdict.decision, effect=Effect.DENY, reason=reason, obligations=(), roles=())
        return verdict.decision

    def lasts(self, question: Question) -> bool:
        """Whether ``question`` has been decided, and gets the same answer at every other moment."""
        key = ((question.person, question.resource.name, question.roles), question.needs)
        verdict = self._verdicts.get(key)
        return verdict is not None and verdict.resource == question.resource and verdict.decision.mfa is None

    def reach(self, roles: Iterable[str], resource: Resource) -> frozenset[Action]:
        """Every action that some policy might permit to who holds ``roles`` on ``resource``.

        Never less than what will be permitted; it may be more. It tells whether a session could change anything.
        """
        held = frozenset(roles)
        found: set[Action] = set()
        for policy in self._policies.policies.values():
            if not policy.permits or not policy.roles & held:
                continue
            if policy.id.startswith(RESERVED_ID):
                (role,) = policy.roles
                if not self.configuration.roles[role].on.matches(resource):
                    continue
            found |= policy.actions
        return frozenset(found)

    def _find(self, question: Question) -> _Verdict:
        person, resource = question.person, question.resource
        if not person.active:
            reason = explain_leaving(person, resource)
            return _Verdict(resource, Decision(Effect.DENY, reason, needs=question.needs))
        needs = question.needs or (Need(Action.CONNECT),)
        try:
            rulings = self._rule(question, needs)
        except ValueError as error:
            decision = Decision(Effect.DENY, explain_error(resource), errors=(str(error),), needs=question.needs)
            return _Verdict(resource, decision)
        answers = [(need, rulings[self._class_of(need)]) for need in needs]
        if not all(ruling.permits for _, ruling in answers):
            return _Verdict(resource, self._deny(question, answers))
        terms = join_terms(answers, self._policies.policies, question.roles)
        roles = tuple(sorted(terms.holding_roles))
        decision = Decision(
            Effect.HOLD if terms.held else Effect.ALLOW,
            explain_hold(tuple(terms.held), resource, roles) if terms.held else "",
            policies=tuple(sorted({name for _, ruling in answers for name in ruling.policies})),
            obligations=terms.obligations,
            roles=roles,
            needs=question.needs,
            mfa=terms.mfa,
        )
        return _Verdict(resource, decision)

    def _deny(self, question: Question, answers: list[tuple[Need, Ruling]]) -> Decision:
        refused = [(need, ruling) for need, ruling in answers if not ruling.permits]
        errors = tuple(dict.fromkeys(error for _, ruling in refused for error in ruling.errors))
        forbidding = sorted({name for _, ruling in refused if not ruling.errors for name in ruling.policies})
        if errors:
            reason = explain_error(question.resource)
        else:
            reason = explain_denial(
                self.configuration,
                question.person,
                question.resource,
                question.roles,
                [need for need, _ in refused],
                [self._policies.policies[name] for name in forbidding],
                question.at,
            )
        return Decision(Effect.DENY, reason, policies=tuple(forbidding), errors=errors, needs=question.needs)

    def _class_of(self, need: Need) -> Need:
        """Needs on several parts are one need to policies that never look at the part."""
        return need if self._by_part else Need(need.action)

    def _rule(self, question: Question, needs: tuple[Need, ...]) -> dict[Need, Ruling]:
        """A ruling for the class of each need. Raises ValueError when Cedar cannot take the question."""
        key = (question.person, question.resource.name, question.roles)
        rulings: dict[Need, Ruling] = {}
        missing = []
        for need in dict.fromkeys(map(self._class_of, needs)):
            resource, ruling = self._rulings.get((key, need), (None, None))
            if ruling is not None and resource == question.resource:
                rulings[need] = ruling
            else:
                missing.append(need)
        if not missing:
            return rulings
        found = ask_cedar(
            self._policies,
            self._describe(question.person, question.resource),
            question.person,
            question.resource,
            question.roles,
            missing,
            question.at,
            question.present_at,
        )
        for need, ruling in zip(missing, found, strict=True):
            rulings[need] = ruling
            _keep(self._rulings, (key, need), (question.resource, ruling), self._remember)
        return rulings

    def _describe(self, person: Person, resource: Resource) -> cedarpy.Entities:
        known = self._entities.get((person, resource.name))
        if known is not None and known[0] == resource:
            return known[1]
        entities = describe_entities(person, resource)
        _keep(self._entities, (person, resource.name), (resource, entities), self._describe_most)
        return entities


def _keep(memory: OrderedDict[_Name, _Kept], name: _Name, kept: _Kept, most: int) -> None:
    """Remember ``kept``, and forget the oldest past ``most``."""
    if most <= 0:
        return
    memory[name] = kept
    memory.move_to_end(name)
    if len(memory) > most:
        memory.popitem(last=False)


def _present(question: Question, within: timedelta) -> bool:
    """Whether the proof of presence is fresh enough. One from the future is so only within the clocks' difference."""
    if question.present_at is None:
        return False
    return -_SKEW <= question.at - question.present_at <= within
