"""The sentences that a person sees with a decision: what was refused, why, and the exact command that would help."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from interlock.domain.actions import Action, Need
from interlock.domain.durations import format_duration
from interlock.domain.people import Contract, Person
from interlock.domain.resources import Resource
from interlock.domain.roles import Role
from interlock.policy.cedar_policy import Policy
from interlock.policy.configuration import Configuration

_SHOWN = 3


def explain_denial(
    configuration: Configuration,
    person: Person,
    resource: Resource,
    roles: frozenset[str],
    refused: Sequence[Need],
    forbidding: Sequence[Policy],
    at: datetime,
) -> str:
    """Why ``refused`` needs are denied: the roles held, the policy that forbids, or the role to ask for and how."""
    sentence = f"{_list_needs(refused)} on {resource.name} is not allowed."
    if forbidding:
        given = next((policy.terms.reason for policy in forbidding if policy.terms.reason), "")
        names = ", ".join(policy.id for policy in forbidding)
        return f"{sentence} {_ended(given)}" if given else f"{sentence} The policy {names} forbids it."
    held = _list_roles(configuration, roles)
    return f"{sentence} {held} {_way_out(configuration, person, resource, roles, refused, at)}"


def explain_hold(needs: Sequence[Need], resource: Resource, roles: Sequence[str]) -> str:
    asked = f"the role {roles[0]} asks" if len(roles) == 1 else f"the roles {' and '.join(roles)} ask"
    who = asked if roles else "a policy asks"
    return f"{_list_needs(needs)} on {resource.name} is held: {who} that another person approve this very statement."


def explain_presence(resource: Resource, within: timedelta, present_at: datetime | None) -> str:
    state = "there was none in this login" if present_at is None else "yours is older"
    return (
        f"This needs a proof of your presence from the last {format_duration(within)} on {resource.name}, and {state}. "
        "Type: interlock login"
    )


def explain_error(resource: Resource) -> str:
    return (
        f"The policy for {resource.name} could not be evaluated, so nothing is allowed. "
        "Whoever keeps the policy finds the error in this session's recording."
    )


def explain_leaving(person: Person, resource: Resource) -> str:
    return f"{person.name} has left, so nothing is allowed on {resource.name}."


def _list_needs(needs: Sequence[Need]) -> str:
    """'destroy of table public.orders and 2 more'."""
    texts = list(dict.fromkeys(f"{need.action} of {need.part}" if need.part else str(need.action) for need in needs))
    shown = " and ".join(texts[:_SHOWN])
    return shown if len(texts) <= _SHOWN else f"{shown} and {len(texts) - _SHOWN} more"


def _list_roles(configuration: Configuration, roles: frozenset[str]) -> str:
    if not roles:
        return "You hold no role here."
    shown = []
    for name in sorted(roles):
        role = configuration.roles.get(name)
        allowed = "" if role is None else f" ({', '.join(action for action in Action if action in role.allow)})"
        shown.append(f"{name}{allowed}")
    return f"You hold {' and '.join(shown)}."


def _way_out(
    configuration: Configuration,
    person: Person,
    resource: Resource,
    roles: frozenset[str],
    refused: Sequence[Need],
    at: datetime,
) -> str:
    """The least role that would allow it and can be asked for, as a command."""
    wanted = {need.action for need in refused}
    fitting = [
        role
        for role in configuration.roles.values()
        if role.name not in roles and wanted <= role.allow and role.on.matches(resource)
    ]
    if not fitting:
        return f"No role that is lent on {resource.name} allows {' and '.join(sorted(wanted))}."
    contracts = [c for c in configuration.contracts.values() if c.covers(person) and c.running(at)]
    in_scope = [role for role in fitting if person.is_employee or any(role.name in c.roles for c in contracts)]
    if not in_scope:
        return _out_of_scope(fitting, contracts)
    role = min(in_scope, key=lambda one: (len(one.allow), one.name))
    longest = format_duration(role.lending.longest)
    return f'To ask for it: interlock request {resource.name} --role {role.name} --for {longest} --reason "…"'


def _out_of_scope(fitting: Sequence[Role], contracts: Sequence[Contract]) -> str:
    names = " or ".join(sorted(role.name for role in fitting))
    if not contracts:
        return f"The role {names} would allow it, and you work under no contract that runs now."
    sponsors = " or ".join(sorted({contract.sponsor for contract in contracts}))
    return f"The role {names} would allow it and is not in your contract's scope: ask {sponsors}."


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
