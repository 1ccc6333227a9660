"""What a grant rests on, and whether that still holds."""

from collections.abc import Mapping
from datetime import datetime

from interlock.domain.grants import Grant
from interlock.domain.people import Contract, Person
from interlock.policy.configuration import Configuration


def why_grant_fell(
    grant: Grant,
    people: Mapping[str, Person],
    contracts: Mapping[str, Contract],
    configuration: Configuration,
    at: datetime,
) -> str | None:
    """Why ``grant`` could not be carried any more at ``at``, or None.

    Its window is not looked at: who shortens how long a role is lent does not end what was lent before.
    """
    person = people.get(grant.person)
    if person is None or not person.active:
        return f"{grant.person} has left"
    role = configuration.roles.get(grant.role)
    resource = configuration.resources.get(grant.resource)
    if role is None or resource is None or not role.on.matches(resource):
        return f"the policy no longer lends {grant.role} on {grant.resource}"
    if grant.contract is None:
        return None if person.is_employee else f"{person.name} now comes from {person.vendor}, and it had no contract"
    contract = contracts.get(grant.contract)
    if contract is None or not contract.running(at):
        return f"the contract {grant.contract} does not run"
    if not contract.covers(person):
        return f"the contract {grant.contract} does not cover {person.name}"
    if grant.role not in contract.roles:
        return f"the role {grant.role} is not in the scope of {grant.contract}"
    return None
