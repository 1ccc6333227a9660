"""Who may open a session, under which grants, and what ends it. Pure: a snapshot, the rules and the time go in.

Conditions of an admission, each a sentence when it fails: the login is known, active and of the key that was shown;
the person is active; the resource exists and speaks this protocol; at least one grant of this person, resource and key
is active and carried by its person, role and contract; the policy lets its roles connect. Where it asks for presence
(``mfa``) a proof of it is spent on this very connection: that somebody was there in the login is not enough.

A session opens under all such grants, and ends with the first of them. Its rights never grow.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from interlock.domain.actions import Action, Need
from interlock.domain.decisions import Decision, Effect
from interlock.domain.durations import format_duration
from interlock.domain.grants import Grant, Login
from interlock.domain.people import Person
from interlock.domain.resources import Resource
from interlock.domain.snapshot import Snapshot, UpstreamCredential
from interlock.gateway.feed_messages import Key
from interlock.gateway.rules import Rules
from interlock.identity.authority import login_of
from interlock.identity.keys import UnusableKeyError, thumbprint, usable_public_key
from interlock.identity.ssh_authority import BadCertificateError, read_user_certificate
from interlock.policy.configuration import ConflictKind
from interlock.policy.decide import Question
from interlock.ports.control import PassTaken, SessionStart
from interlock.ports.protocol import Admission, Refused
from interlock.services.resting import why_grant_fell

_SHOWN_NEEDS = (Need(Action.CONNECT),)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a session rests on. ``ends_at`` is the first end among the windows of grants, login and contracts.

    ``wants_pass``: they open nothing before a proof of presence was spent on this very connection. ``presence`` is the
    pass that was, None where none is asked for.
    """

    person: str
    login: str
    key: str
    resource: Resource
    credential: UpstreamCredential | None
    grants: tuple[Grant, ...]
    roles: frozenset[str]
    contracts: frozenset[str]
    ends_at: datetime
    read_only: bool
    may_execute: bool
    wants_pass: bool = False
    presence: PassTaken | None = None

    @property
    def rests_on(self) -> frozenset[Key]:
        """The rows of the snapshot whose change may end the session."""
        return frozenset(
            {("people", self.person), ("logins", self.login)}
            | {("grants", grant.id) for grant in self.grants}
            | {("contracts", name) for name in self.contracts}
        )

    def admission(self, session: str) -> Admission:
        """What the machine is told of them."""
        return Admission(
            session=session,
            person=self.person,
            resource=self.resource,
            credential=self.credential,
            read_only=self.read_only,
            may_execute=self.may_execute,
        )

    def start(self, session: str, *, address: str, client: str, at: datetime) -> SessionStart:
        """What the control plane is told of a session that opens under them. ``client`` names its program."""
        return SessionStart(
            id=session,
            person=self.person,
            resource=self.resource.name,
            login=self.login,
            grants=tuple(grant.id for grant in self.grants),
            address=address,
            client=client,
            opened_at=at,
            presence="" if self.presence is None else self.presence.id,
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a client certificate says, whoever shows it and whenever: ``key`` is its thumbprint."""

    login: str | None
    key: str
    starts_at: datetime
    ends_at: datetime


@lru_cache(maxsize=1024)
def _read_certificate(der: bytes) -> _Shown:
    """A client shows the same one at each connection. Raises ValueError, UnusableKeyError."""
    certificate = x509.load_der_x509_certificate(der)
    key = thumbprint(usable_public_key(certificate.public_key()))
    return _Shown(login_of(certificate), key, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def read_login(der: bytes, snapshot: Snapshot, now: datetime) -> Login | Refused:
    """The login that a client certificate stands for. TLS has checked that our authority issued it."""
    again = "Type: interlock login"
    try:
        shown = _read_certificate(der)
    except (ValueError, UnusableKeyError):
        return Refused(f"The client certificate cannot be read. {again}", "bad-certificate")
    if not shown.starts_at <= now < shown.ends_at:
        when = f"{shown.ends_at:%Y-%m-%d %H:%M} UTC"
        return Refused(f"Your client certificate is valid until {when}, and it is {now:%H:%M}. {again}", "expired")
    if shown.login is None:
        return Refused(f"The client certificate names no login. {again}", "bad-certificate")
    return _login_with(shown.login, shown.key, snapshot, now)


def read_key_certificate(blob: bytes, authority: str, snapshot: Snapshot, now: datetime) -> Login | Refused:
    """The login that an SSH certificate stands for, of whose key the client proved possession."""
    again = "Type: interlock connect RESOURCE"
    try:
        shown = read_user_certificate(blob, authority)
    except BadCertificateError as error:
        return Refused(f"The SSH certificate is not taken: {error}. {again}", "bad-certificate")
    if not shown.starts_at <= now < shown.ends_at:
        when = f"{shown.ends_at:%Y-%m-%d %H:%M} UTC"
        return Refused(f"Your SSH certificate is valid until {when}, and it is {now:%H:%M}. {again}", "expired")
    login = _login_with(shown.login, shown.key, snapshot, now)
    if isinstance(login, Login) and login.person != shown.person:
        return Refused(f"The SSH certificate names another person than the login {login.id}. {again}", "wrong-person")
    return login


def _login_with(login_id: str, key: str, snapshot: Snapshot, now: datetime) -> Login | Refused:
    again = "Type: interlock login"
    login = snapshot.logins.get(login_id)
    if login is None or not login.active(now):
        return Refused(f"Your login {login_id} is over. {again}", "login-ended")
    if login.key != key:
        return Refused(f"The client certificate has another key than the login {login_id}. {again}", "wrong-key")
    return login


PENDING = "account-pending"
"""The code of a refusal that a moment's wait may lift: the account of the grant is being made."""


def admit(
    login_id: str,
    resource_name: str,
    kind: str,
    known: tuple[Snapshot, Rules],
    now: datetime,
    user: str = "",
    presence: PassTaken | None = None,
) -> Rights | Refused:
    """The rights under which a session may open, or why none may. ``presence`` is a pass that was spent on it.

    Where each grant has an account of its own, a session rests on one grant: that of the role which ``user`` names, or
    of the one that allows the most.
    """
    snapshot, rules = known
    login = snapshot.logins.get(login_id)
    if login is None or not login.active(now):
        return Refused(f"Your login {login_id} is over. Type: interlock login", "login-ended")
    person = snapshot.people.get(login.person)
    if person is None or not person.active:
        return Refused(f"{login.person} has left, so no session is opened.", "person-ended")
    resource = rules.configuration.resources.get(resource_name)
    if resource is None:
        return Refused(f"There is no resource {resource_name}. What there is: interlock resources", "unknown-resource")
    if resource.kind != kind:
        return Refused(f"{resource.name} speaks {resource.kind}, not {kind}. Type: interlock connect {resource.name}")
    mine = [g for g in snapshot.grants.values() if g.person == person.name and g.resource == resource.name]
    carried = [grant for grant in mine if _why_not_carried(grant, login, known, now) is None]
    if not carried:
        return _explain_no_grant(mine, login, person, resource, known, now)
    if resource.personal:
        chosen = _choose(carried, rules, user)
        own = snapshot.accounts.get(chosen.id)
        if own is None:
            return Refused(
                f"Your account on {resource.name} for the grant {chosen.id} is not made yet. Try again in a moment; "
                "if it stays so, tell the operator: interlock doctor",
                PENDING,
            )
        return _open_rights(login, person, resource, own, [chosen], known, now, presence)
    for conflict in rules.configuration.conflicts_for(ConflictKind.DYNAMIC, person.name, now):
        both = sorted(conflict & {grant.role for grant in carried})
        if len(both) > 1:
            return Refused(
                f"{' and '.join(both)} are not used at one time, and your grants give you both on {resource.name}. "
                "Give one up first: interlock grants, interlock end GRANT",
                "conflict",
            )
    credential = snapshot.credentials.get(resource.name)
    if resource.credential is not None and credential is None:
        return Refused(
            f"The gateway has no secret for {resource.name}, so it cannot sign in there. Tell the operator: "
            "interlock doctor",
            "no-credential",
        )
    return _open_rights(login, person, resource, credential, carried, known, now, presence)


def _choose(carried: list[Grant], rules: Rules, user: str) -> Grant:
    named = [grant for grant in carried if grant.role == user]
    roles = rules.configuration.roles
    return max(named or carried, key=lambda grant: (len(roles[grant.role].allow), grant.ends_at, grant.id))


def _open_rights(
    login: Login,
    person: Person,
    resource: Resource,
    credential: UpstreamCredential | None,
    grants: list[Grant],
    known: tuple[Snapshot, Rules],
    now: datetime,
    presence: PassTaken | None,
) -> Rights | Refused:
    snapshot, rules = known
    roles = frozenset(grant.role for grant in grants)
    # Asked as if a proof were given now: whoever may not come in with one spends none.
    question = Question(person, resource, roles, _SHOWN_NEEDS, now, now if presence is None else presence.present_at)
    decision = rules.decider.decide(question)
    if presence is None and decision.mfa is None:
        decision = rules.decider.decide(replace(question, present_at=login.present_at))
    wants_pass = presence is None and decision.mfa is not None
    if wants_pass and login.workload:
        return Refused(
            f"{' and '.join(sorted(roles))} on {resource.name} asks for a person who is there at each connection, and "
            f"{login.workload} is a job. Lend jobs a role without mfa, or have its owner connect: "
            f"interlock connect {resource.name}",
            "job",
        )
    if presence is not None and not {grant.id for grant in grants} <= set(presence.grants):
        return Refused("What you may do changed while you connected. Connect again.", "changed-meanwhile")
    if decision.effect is Effect.DENY:
        return Refused(decision.reason, "denied")
    if decision.effect is Effect.HOLD:
        return Refused(f"{decision.reason} A connection cannot be held; only statements can.", "denied")
    contracts = frozenset(grant.contract for grant in grants if grant.contract is not None)
    ends = [login.ends_at, *(g.ends_at for g in grants), *(snapshot.contracts[name].end for name in contracts)]
    reach = rules.decider.reach(roles, resource)
    return Rights(
        person=person.name,
        login=login.id,
        key=login.key,
        resource=resource,
        credential=credential,
        grants=tuple(sorted(grants, key=lambda grant: grant.id)),
        roles=roles,
        contracts=contracts,
        ends_at=min(ends),
        read_only=not any(action.changes for action in reach),
        may_execute=Action.EXECUTE in reach,
        wants_pass=wants_pass,
        presence=presence,
    )


def _why_not_carried(grant: Grant, login: Login, known: tuple[Snapshot, Rules], now: datetime) -> str | None:
    """Why ``grant`` gives nothing to ``login`` now, or None when it does."""
    snapshot, rules = known
    if grant.ended_at is not None or now >= grant.ends_at:
        return f"the grant {grant.id} ({grant.role}) has ended"
    if now < grant.starts_at:
        return f"the grant {grant.id} ({grant.role}) starts at {grant.starts_at:%Y-%m-%d %H:%M} UTC"
    if grant.key != login.key:
        return f"the grant {grant.id} ({grant.role}) is bound to another key than this login's"
    return why_grant_fell(grant, snapshot.people, snapshot.contracts, rules.configuration, now)


def _explain_no_grant(
    mine: list[Grant],
    login: Login,
    person: Person,
    resource: Resource,
    known: tuple[Snapshot, Rules],
    now: datetime,
) -> Refused:
    whys = [why for why in (_why_not_carried(grant, login, known, now) for grant in mine) if why]
    why = (
        f"You have no grant on {resource.name} that you may use now: {whys[0]}."
        if whys
        else (f"You have no grant on {resource.name}.")
    )
    return Refused(f"{why} {_how_to_ask(person, resource, known, now)}", "no-grant")


def _how_to_ask(person: Person, resource: Resource, known: tuple[Snapshot, Rules], now: datetime) -> str:
    """The command for the least role that the person may ask for."""
    snapshot, rules = known
    running = [c for c in snapshot.contracts.values() if c.covers(person) and c.running(now)]
    if not person.is_employee and not running:
        return "You work under no contract that runs now: ask your sponsor."
    fitting = [
        role
        for role in rules.configuration.roles.values()
        if role.on.matches(resource) and (person.is_employee or any(role.name in c.roles for c in running))
    ]
    if not fitting:
        return "No role is lent to you on it. What there is: interlock resources"
    role = min(fitting, key=lambda one: (len(one.allow), one.name))
    longest = format_duration(role.lending.longest)
    return f'To ask for one: interlock request {resource.name} --role {role.name} --for {longest} --reason "…"'


def why_ended(session: str, rights: Rights, known: tuple[Snapshot, Rules], now: datetime) -> str | None:
    """Why the session may not go on, as a clause such as ``the grant g-… (reader) has ended``; None when it may."""
    snapshot, rules = known
    cut = snapshot.cuts.get(session)
    if cut is not None:
        return cut.rstrip(".") or "somebody cut it"
    person = snapshot.people.get(rights.person)
    if person is None or not person.active:
        return f"{rights.person} has left"
    for name in sorted(rights.contracts):
        contract = snapshot.contracts.get(name)
        if contract is None or not contract.running(now):
            return f"the contract {name} is over"
    login = snapshot.logins.get(rights.login)
    if login is None or not login.active(now) or login.key != rights.key:
        return f"the login {rights.login} is over"
    for opened_under in rights.grants:
        grant = snapshot.grants.get(opened_under.id)
        if grant is None or grant.role != opened_under.role or grant.resource != opened_under.resource:
            return f"the grant {opened_under.id} ({opened_under.role}) has ended"
        why = _why_not_carried(grant, login, known, now)
        if why is not None:
            return why
    resource = rules.configuration.resources.get(rights.resource.name)
    if resource is None or replace(resource, labels=rights.resource.labels) != rights.resource:
        return f"the resource {rights.resource.name} is another one since the policy changed"
    return None


def window_end(rights: Rights, snapshot: Snapshot) -> datetime:
    """The first end among the windows as they are now; that of the opening for what is there no more."""
    ends = [rights.ends_at]
    ends.extend(snapshot.grants[g.id].ends_at for g in rights.grants if g.id in snapshot.grants)
    if rights.login in snapshot.logins:
        ends.append(snapshot.logins[rights.login].ends_at)
    ends.extend(snapshot.contracts[name].end for name in rights.contracts if name in snapshot.contracts)
    return min(ends)


def question(rights: Rights, needs: tuple[Need, ...], known: tuple[Snapshot, Rules], now: datetime) -> Question | None:
    """What to ask the policy about a statement of the session; None when its person or login is gone."""
    snapshot, rules = known
    person = snapshot.people.get(rights.person)
    login = snapshot.logins.get(rights.login)
    resource = rules.configuration.resources.get(rights.resource.name)
    if person is None or login is None or resource is None:
        return None
    given = (login.present_at, None if rights.presence is None else rights.presence.present_at)
    present_at = max((at for at in given if at is not None), default=None)
    return Question(person, resource, rights.roles, needs, now, present_at)


GONE = Decision(Effect.DENY, "What this session rests on has ended.")
