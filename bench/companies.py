"""Companies and relations of users and permissions for the benchmarks, by chance and always the same."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from interlock.proof.model import Duties, Invitation, Lend, Member, Model, Power, Rule, Separated

RESOURCES, ROLES, GROUPS, VENDORS = 1_000, 500, 400, 40
ACTIONS = ("alter", "destroy", "grant")
SHAPES = {
    # users, permissions, assignments: as the public relations of that name have them
    "domino": (79, 231, 730),
    "fire1": (365, 709, 31_951),
    "fire2": (325, 590, 36_428),
    "emea": (35, 3_046, 7_220),
    "hc": (46, 46, 1_486),
    "customer": (10_021, 277, 45_427),
    "americas_small": (3_477, 1_587, 105_205),
}
CHAINS, DUTIES = 20, 4


def make_company(dice: random.Random, persons: int) -> Model:
    """``persons`` persons; 500 roles on 100 resources each, with 2 actions: 100,000 permissions."""
    names = [f"p{number:05}" for number in range(persons)]
    people = {
        name: Member(f"vendor{dice.randrange(VENDORS)}" if dice.random() < 0.3 else None, dice.random() < 0.95)
        for name in names
    }
    groups = {f"group{number}": tuple(dice.sample(names, dice.randint(3, 60))) for number in range(GROUPS)}
    nested = {f"group{number}": (f"group{number + 1}",) for number in range(0, GROUPS - 1, 7)}
    powers = tuple(
        Power(f"group{dice.randrange(GROUPS)}", f"group{dice.randrange(GROUPS)}", (_rule(dice),)) for _ in range(20)
    )
    contractors = [name for name in names if people[name].vendor is not None]
    lends = tuple(
        Lend(
            role=f"role{number}",
            resources=tuple(f"resource{place}" for place in dice.sample(range(RESOURCES), 100)),
            actions=frozenset(dice.sample(ACTIONS, 2)),
            rules=tuple(_rule(dice) for _ in range(dice.randint(1, 2))),
            contractors=frozenset(dice.sample(contractors, min(200, len(contractors)))),
            holds=frozenset({"destroy"}),
            hold_rules=(_rule(dice),),
        )
        for number in range(ROLES)
    )
    return Model(people, groups, nested, {}, lends, powers)


def open_contracts(model: Model, dice: random.Random, contracts: int = 5) -> Model:
    """``model`` with open contracts of the first vendors, each with a role in three in its scope: four who are nobody
    yet could be brought in under each, and fifty who are known and have not come in yet."""
    people, lends, invitations = dict(model.people), list(model.lends), []
    employees = sorted(name for name, member in model.people.items() if member.vendor is None)
    for number in range(contracts):
        vendor = f"vendor{number}"
        guests = tuple(f"guest-{one}@{vendor}" for one in range(4))
        known = sorted(name for name, member in model.people.items() if member.vendor == vendor)
        people |= dict.fromkeys(guests, Member(vendor, guest=True))
        invitations.append(Invitation(vendor, (dice.choice(employees),), (*known[:50], *guests)))
        for place in range(number % 3, len(lends), 3):
            lends[place] = replace(lends[place], contractors=lends[place].contractors.union(guests))
    return replace(model, people=people, lends=tuple(lends), invitations=tuple(invitations))


def _rule(dice: random.Random) -> Rule:
    return Rule(dice.choice((1, 1, 2)), group=f"group{dice.randrange(GROUPS)}")


Holders = Mapping[str, Sequence[str]]
"""For each permission the users who have it."""


def read_relation(path: Path) -> Holders:
    """A file with ``user permission`` on each line."""
    holders: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        parts = line.split()
        if len(parts) >= 2:
            holders.setdefault(parts[1], set()).add(parts[0])
    return {permission: sorted(names) for permission, names in holders.items()}


def make_relation(dice: random.Random, users: int, permissions: int, assignments: int) -> Holders:
    """Users in roles, roles with permissions, until there are as many assignments; every permission has somebody."""
    holders: dict[str, set[str]] = {f"r{number}": {f"u{dice.randrange(users)}"} for number in range(permissions)}
    left = assignments - permissions
    while left > 0:
        members = [f"u{user}" for user in dice.sample(range(users), min(users, dice.randint(1, 1 + users // 8)))]
        for permission in dice.sample(sorted(holders), min(permissions, dice.randint(1, 12))):
            fresh = [name for name in members if name not in holders[permission]][:left]
            holders[permission].update(fresh)
            left -= len(fresh)
    return {permission: sorted(names) for permission, names in holders.items()}


def model_relation(holders: Holders, dice: random.Random) -> Model:
    """Chains of four duties, each for the holders of one permission, taken by chance; every third user, by chance too,
    is of one of five vendors. The relations say nothing of vendors and of duties."""
    users = sorted({name for names in holders.values() for name in names})
    people = {name: Member(dice.choice((None, None, f"vendor{dice.randrange(5)}"))) for name in users}
    groups = {permission: tuple(names) for permission, names in holders.items()}
    chains = []
    for number in range(CHAINS):
        chosen = dice.sample(sorted(groups), DUTIES)
        chains.append(Duties(f"chain{number}", tuple(chosen), {duty: Rule(group=duty) for duty in chosen}))
    return Model(people, groups, chains=tuple(chains))


def make_workflow(
    dice: random.Random, steps: int, users: int, limits: int
) -> tuple[Duties, list[str], list[list[str]]]:
    """A workflow as the literature has them: each user may take up to half of the steps, a tenth of all pairs are
    separate, and each of ``limits`` says that some five steps are carried by three persons at most."""
    names = [f"u{number:05}" for number in range(users)]
    takers: list[list[str]] = [[] for _ in range(steps)]
    for name in names:
        for step in dice.sample(range(steps), dice.randint(1, steps // 2)):
            takers[step].append(name)
    duties = tuple(f"step{number}" for number in range(steps))
    pairs = [(one, other) for number, one in enumerate(duties) for other in duties[number + 1 :]]
    separations = [Separated("separate", pair) for pair in dice.sample(pairs, len(pairs) // 10)]
    separations += [Separated("at_most", tuple(dice.sample(duties, 5)), count=3) for _ in range(limits)]
    return Duties("workflow", duties, {}, tuple(separations)), names, takers
