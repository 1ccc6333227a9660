"""The model of a proof from the policy and the state as they are.

It lets people do more than the engine does and never less: a contract that has not started counts as running, and so
does a grant that has not; conflicts of roles, windows and presence are no obstacle. What a Cedar file forbids is not
believed, and what it permits is counted without the hold it may ask for. Whoever could be brought in by an invitation
under a contract is in it as a guest, with what that contract gives them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count, islice

from interlock.domain.actions import Action
from interlock.domain.approving import rules_for_hold
from interlock.domain.durations import format_duration
from interlock.domain.grants import Approval, Grant, Request
from interlock.domain.people import Contract, Identity, Person
from interlock.domain.roles import ApprovalRule, Role
from interlock.policy.configuration import Chain, Configuration
from interlock.policy.decide import Decider
from interlock.proof.model import (
    OURS,
    THE_POLICY,
    WIDEST,
    Duties,
    Goal,
    Invitation,
    Lend,
    Member,
    Model,
    Outsider,
    Rule,
    Separated,
    Takeover,
)
from interlock.proof.verdicts import Claim, Counted
from interlock.services.judging import confirming, rules_for_policy
from interlock.services.recover import HELPERS

GUARDED = (Action.ALTER, Action.DESTROY, Action.GRANT)
"""What no single person may be able to do to a resource."""


@dataclass(frozen=True, slots=True)
class LiveState:
    """What the model is made from, at ``at``. ``asked`` are the open requests for grants, ``yeses`` their approvals.

    ``alone`` may change the policy without anybody's yes: the first administrator, before a second person signs in.
    ``come_in`` are those who have come in, so that nobody is invited as them; None where that cannot be known: then
    everybody is taken to have.
    """

    configuration: Configuration
    people: Sequence[Person]
    contracts: Sequence[Contract]
    at: datetime
    identities: Sequence[Identity] = ()
    grants: Sequence[Grant] = ()
    asked: Sequence[Request] = ()
    yeses: Sequence[Approval] = field(default_factory=tuple)
    alone: frozenset[str] = frozenset()
    come_in: frozenset[str] | None = None


def build_model(state: LiveState, *, looked_at: frozenset[Action] = frozenset(GUARDED)) -> Model:
    """``looked_at`` are the actions that are asked about; a role that allows none of them is left out."""
    known = {person.name: person for person in state.people if person.active}
    lasting = [c for c in state.contracts if c.ended_at is None and c.end > state.at]
    guests = _guests(state, lasting)
    invited = {name: Person(name, vendor=c.vendor) for c, names in guests for name in names if name not in known}
    people = {**known, **invited}
    members = {
        name: Member(person.vendor, person.is_employee or any(c.covers(person) for c in lasting), guest=name in invited)
        for name, person in people.items()
    }
    groups: dict[str, list[str]] = {}
    for name, person in sorted(people.items()):
        for group in sorted(person.groups):
            groups.setdefault(group, []).append(name)
    return Model(
        people=members,
        groups={group: tuple(names) for group, names in groups.items()},
        accounts={f"{i.kind}:{i.subject}": i.person for i in state.identities if i.person in people},
        lends=(*_lends(state, people, lasting, looked_at), *_by_policy(state, people)),
        chains=tuple(duties_of(chain) for chain in state.configuration.chains.values()),
        takeovers=_takeovers(state.configuration),
        outsiders=tuple(_outsiders(state, people, lasting)),
        invitations=tuple(Invitation(c.name, tuple(sorted(_sponsors(c, people))), names) for c, names in guests),
    )


def _guests(state: LiveState, lasting: Sequence[Contract]) -> list[tuple[Contract, tuple[str, ...]]]:
    """Who could be brought in under each contract (``services.invite``): those whom it covers who have not come in
    yet, and as many who are nobody yet as there are duties in the longest chain, or one to ask for a role: their yes
    counts in no rule, for they are in no group."""
    wanted = max([1, *(len(chain.duties) for chain in state.configuration.chains.values())])
    # One human in two spellings would be two voices: no guest has a name that is another's in other letters.
    taken = {person.name.lower() for person in state.people}
    taken |= {f"{identity.kind}:{identity.subject}".lower() for identity in state.identities}
    found: list[tuple[Contract, tuple[str, ...]]] = []
    for contract in sorted(lasting, key=lambda one: one.name):
        if contract.name in state.configuration.uninvited:
            continue
        waiting = [] if state.come_in is None else [p for p in state.people if p.active and contract.covers(p)]
        known = tuple(sorted(person.name for person in waiting if person.name not in (state.come_in or ())))
        named = sorted(contract.people) or (f"guest-{number}@{contract.name}" for number in count(1))
        free = (name for name in named if name.lower() not in taken)
        names = tuple(islice(free, wanted))
        taken |= {name.lower() for name in names}
        if known or names:
            found.append((contract, (*known, *names)))
    return found


def _takeovers(configuration: Configuration) -> tuple[Takeover, ...]:
    """Who let somebody in again could come in as them (``services.recover``)."""
    if not configuration.recovery or not configuration.passwords:
        return ()
    return (Takeover(configuration.recovery, HELPERS),)


def _outsiders(state: LiveState, people: Mapping[str, Person], lasting: Sequence[Contract]) -> Iterable[Outsider]:
    """Who could let persons in, make them others, or act as them, and is taken not to; and which roles may do much harm
    by an action that is not asked about."""
    configuration = state.configuration
    unknown = [] if state.come_in is not None else [c for c in lasting if c.name not in configuration.uninvited]
    orphaned = sorted(contract.name for contract in lasting if contract.sponsor not in people)
    named = {
        "provider": sorted(configuration.providers),
        "directory": [] if configuration.scim is None else sorted(configuration.scim.groups) or ["the people"],
        "forge": sorted(configuration.forges),
        "workload": sorted(configuration.workloads),
        "vault": [] if configuration.openbao is None else [configuration.openbao.address],
        "contract": orphaned,
        "unfenced": sorted(name for name, role in configuration.roles.items() if _writes_unfenced(role)),
        "sponsor": sorted(contract.name for contract in lasting if contract.sponsor in people),
        "newcomer": sorted(c.name for c in unknown if any(c.covers(person) for person in state.people)),
    }
    return [Outsider(kind, tuple(names)) for kind, names in named.items() if names]


def _writes_unfenced(role: Role) -> bool:
    held = role.hold is not None and Action.WRITE in role.hold.actions
    return Action.WRITE in role.allow and role.fence_rows is None and not held


def _lends(
    state: LiveState, people: Mapping[str, Person], lasting: Sequence[Contract], looked_at: frozenset[Action]
) -> Iterable[Lend]:
    """For each role one entry for all resources on which nobody has it or has asked for it, and one for each other.

    Resources on which a role lets different things be done, by a Cedar file, are kept apart too.
    """
    decider = Decider(state.configuration, remember=0)
    held = _held(state)
    given = _given(state)
    gates = _gates(state, people)
    for name, role in sorted(state.configuration.roles.items()):
        common = _lend(role, people, lasting)
        breakers = _breakers(role, people, common.contractors)
        apart: dict[frozenset[str], list[str]] = {}
        for resource in state.configuration.resources.values():
            actions = frozenset(action.value for action in decider.reach((name,), resource))
            if not actions & {WIDEST, *(action.value for action in looked_at)}:
                continue
            key = (name, resource.name)
            # Who may break the glass of a role has it whenever they like, alone; where a gate lends it, two of them do,
            # and where the gate lends it by itself, whoever may deploy has it as soon as an honest change is there.
            alone = () if key in gates else breakers
            have = frozenset((*held.get(key, ()), *alone, *gates.get(key, ())))
            lend = replace(common, resources=(resource.name,), actions=actions)
            if key in gates and breakers and role.break_glass is not None:
                yield replace(lend, rules=(_rule(confirming(role.break_glass), {}),))
            if have or key in given:
                glass = frozenset(alone) - frozenset(held.get(key, ()))
                yield replace(lend, held=have, given=given.get(key, {}), glass=glass)
            else:
                apart.setdefault(actions, []).append(resource.name)
        for actions, resources in apart.items():
            yield replace(common, resources=tuple(resources), actions=actions)


def _by_policy(state: LiveState, people: Mapping[str, Person]) -> Iterable[Lend]:
    """A change of the policy is a way to everything: any employee proposes, and whom it names approve."""
    rules = rules_for_policy(state.configuration, people.values())
    told = tuple(_rule(rule, {}) for rule in rules)
    if rules:
        yield Lend(THE_POLICY, tuple(sorted(state.configuration.resources)), frozenset({WIDEST}), told)
    # Who acts alone still comes to no resource: a change that breaks a claim cannot be activated.
    alone = frozenset(name for name in state.alone if name in people)
    if rules or alone:
        yield Lend(THE_POLICY, (OURS,), frozenset({WIDEST}), told, held=alone)


def _lend(role: Role, people: Mapping[str, Person], lasting: Sequence[Contract]) -> Lend:
    scope = [contract for contract in lasting if role.name in contract.roles]
    covered = [p for p in people.values() if not p.is_employee and any(c.covers(p) for c in scope)]
    sponsors = {
        person.name: tuple(sorted({name for c in scope if c.covers(person) for name in _sponsors(c, people)}))
        for person in covered
    }
    hold = role.hold
    return Lend(
        role=role.name,
        resources=(),
        actions=frozenset(),
        rules=tuple(_rule(rule, sponsors) for rule in role.lending.approvals),
        contractors=frozenset(person.name for person in covered),
        # What only a Cedar file permits is not held by the role.
        holds=frozenset() if hold is None else frozenset(action.value for action in hold.actions & role.allow),
        hold_rules=() if hold is None else tuple(_rule(rule, sponsors) for rule in rules_for_hold((role,))),
        lent_for=_length(role.lending.longest),
        glass_for=_length(role.break_glass.longest if role.break_glass is not None else role.lending.longest),
    )


def _sponsors(contract: Contract, people: Mapping[str, Person]) -> Iterable[str]:
    """Who answers for it; when that person has left any employee may take it (``services.contract_life``)."""
    if contract.sponsor in people:
        return (contract.sponsor,)
    return (name for name, person in people.items() if person.is_employee)


def _gates(state: LiveState, people: Mapping[str, Person]) -> dict[tuple[str, str], frozenset[str]]:
    """The roles, with their resources, that gates lend, and to whom by themselves."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for repository in state.configuration.repositories.values():
        chain = state.configuration.chains[repository.chain]
        takers = chain.takers.get(chain.duties[-1])
        for environment in repository.environments.values():
            if environment.role:
                able = () if environment.lend is None else (n for n, p in people.items() if _takes(takers, p))
                key = (environment.role, environment.resource)
                found[key] = found.get(key, frozenset()) | frozenset(able)
    return found


def _takes(rule: ApprovalRule | None, person: Person) -> bool:
    if rule is None:
        return True
    return (rule.group is None or rule.group in person.groups) and (not rule.people or person.name in rule.people)


def _breakers(role: Role, people: Mapping[str, Person], contractors: frozenset[str]) -> frozenset[str]:
    glass = role.break_glass
    if glass is None:
        return frozenset()
    named = (p for p in people.values() if not glass.by.people or p.name in glass.by.people)
    able = (p for p in named if glass.by.group is None or glass.by.group in p.groups)
    return frozenset(p.name for p in able if p.is_employee or p.name in contractors)


def _length(longest: timedelta) -> str:
    return format_duration(min(longest, timedelta(hours=1)))


def _rule(rule: ApprovalRule, sponsors: Mapping[str, tuple[str, ...]]) -> Rule:
    return Rule(
        count=max(1, rule.count),
        group=rule.group,
        people=rule.people,
        sponsors=sponsors if rule.sponsor else None,
        same_vendor=rule.same_vendor,
        any_of=tuple(_rule(inner, sponsors) for inner in rule.any_of),
    )


def _held(state: LiveState) -> dict[tuple[str, str], list[str]]:
    held: dict[tuple[str, str], list[str]] = {}
    for grant in state.grants:
        if grant.ended_at is None and grant.ends_at > state.at:
            held.setdefault((grant.role, grant.resource), []).append(grant.person)
    return held


def _given(state: LiveState) -> dict[tuple[str, str], dict[str, tuple[str, ...]]]:
    given: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for request in state.asked:
        yeses = tuple(y.person for y in state.yeses if y.request == request.id and y.digest == request.digest)
        if yeses and request.expires_at > state.at:
            own = given.setdefault((request.role, request.resource), {})
            own[request.person] = tuple(sorted({*own.get(request.person, ()), *yeses}))
    return given


def duties_of(chain: Chain) -> Duties:
    """A chain as the proof and the look-ahead take it."""
    return Duties(
        chain.name,
        chain.duties,
        {duty: _rule(rule, {}) for duty, rule in chain.takers.items()},
        tuple(Separated(s.kind.value, s.names, s.count, s.by) for s in chain.separations),
    )


def claims_of(
    configuration: Configuration, *, persons: int | None = None, chains: Iterable[str] | None = None
) -> list[Claim]:
    """What is to be proved: what each chain claims, and that every guarded action takes ``persons``, by default two.

    A change of the policy is to take as many as the strictest chain: it can change that chain. ``chains`` names the
    only chains to prove; then no resource is looked at, nor the policy.
    """
    wanted = configuration.chains if chains is None else {name: configuration.chains[name] for name in chains}
    found: list[Claim] = []
    for name, chain in wanted.items():
        goal, said = Goal(chain=name), chain.claims
        found.append(Claim(goal, Counted.PERSONS, persons or (said.min_persons if said else 2)))
        if said is not None and said.min_vendors > 1:
            found.append(Claim(goal, Counted.VENDORS, said.min_vendors))
        # That it can be done at all is always part of it: an impossible chain would keep every other claim.
        found.append(Claim(goal, Counted.ABSENCES, said.survives_absences if said else 0))
    if chains is None:
        policy, claimed = Goal(Action.ALTER.value, OURS), [c.claims for c in wanted.values() if c.claims is not None]
        least = persons or max([2, *(claims.min_persons for claims in claimed)])
        found.append(Claim(policy, Counted.PERSONS, least))
        vendors = max([1, *(claims.min_vendors for claims in claimed)])
        if vendors > 1:
            found.append(Claim(policy, Counted.VENDORS, vendors))
        found += [
            Claim(Goal(action.value, resource), Counted.PERSONS, persons or 2)
            for resource in configuration.resources
            for action in GUARDED
        ]
    return found
