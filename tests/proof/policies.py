"""Small policies of every kind by chance, and mutants of them: the smallest changes that could let somebody through."""

import random
from collections.abc import Callable
from dataclasses import replace

from interlock.proof.model import Duties, Goal, Invitation, Lend, Member, Model, Power, Rule, Separated, Takeover

PEOPLE = ("ann", "ben", "cid", "dot", "eve")
GUESTS = ("guest-1", "guest-2", "guest-3")
GROUPS = ("dba", "ops", "leads")
VENDORS = (None, None, "acme", "globex")
ALTER = Goal("alter", "orders")
RELEASE = Goal(chain="release")
GOALS = (ALTER, Goal("destroy", "orders"), RELEASE)


def make_policy(dice: random.Random) -> Model:
    people = {name: Member(dice.choice(VENDORS), dice.random() < 0.9) for name in PEOPLE}
    accounts = {f"{name}-2": name for name in PEOPLE if dice.random() < 0.3}
    everyone = [*PEOPLE, *accounts]
    groups = {group: tuple(dice.sample(everyone, dice.randint(0, 3))) for group in GROUPS}
    nested = {"leads": ("dba",)} if dice.random() < 0.4 else {}
    powers = tuple(
        Power(dice.choice(GROUPS), dice.choice(GROUPS), tuple(make_rule(dice) for _ in range(dice.randint(0, 2))))
        for _ in range(dice.choice((0, 0, 1, 2)))
    )
    lends = tuple(make_lend(dice, number, everyone) for number in range(dice.randint(1, 2)))
    groups["helpers"] = tuple(dice.sample(everyone, dice.randint(0, 3)))
    takeovers = (Takeover("helpers", dice.choice((1, 2, 2))),) if dice.random() < 0.15 else ()
    model = Model(people, groups, nested, accounts, lends, powers, (make_chain(dice),), takeovers)
    return bring_guests(model, dice) if dice.random() < 0.3 else model


def make_rule(dice: random.Random, *, deep: bool = True) -> Rule:
    count = dice.choice((1, 1, 1, 2))
    kind = dice.random()
    if kind < 0.6 or not deep:
        return Rule(count, group=dice.choice(GROUPS), same_vendor=dice.random() < 0.2)
    if kind < 0.75:
        return Rule(count, people=frozenset(dice.sample(PEOPLE, 2)))
    if kind < 0.9:
        return Rule(count, sponsors={name: (dice.choice(PEOPLE),) for name in dice.sample(PEOPLE, 3)})
    return Rule(count, any_of=(make_rule(dice, deep=False), make_rule(dice, deep=False)))


def make_lend(dice: random.Random, number: int, everyone: list[str]) -> Lend:
    actions = frozenset(dice.sample(("alter", "destroy", "execute", "read"), dice.randint(1, 3)))
    holds = frozenset(action for action in sorted(actions) if dice.random() < 0.5)
    return Lend(
        role=f"role{number}",
        resources=("orders",),
        actions=actions,
        rules=tuple(make_rule(dice) for _ in range(dice.randint(1, 2))),
        employees=dice.random() < 0.8,
        contractors=frozenset(dice.sample(everyone, 2)),
        holds=holds,
        hold_rules=tuple(make_rule(dice) for _ in range(dice.randint(1, 2))),
        held=frozenset(dice.sample(everyone, 1)) if dice.random() < 0.3 else frozenset(),
        given={dice.choice(everyone): tuple(dice.sample(everyone, 1))} if dice.random() < 0.3 else {},
    )


def make_chain(dice: random.Random) -> Duties:
    duties = ("develop", "review", "deploy")
    takers = {duty: Rule(group=dice.choice(GROUPS)) for duty in duties if dice.random() < 0.5}
    separations = [Separated("separate", ("develop", "review"))]
    more = (
        Separated("bind", ("develop", "deploy")),
        Separated("at_least", duties, count=2),
        Separated("at_most", duties, count=2),
        Separated("independent", ("review",), by="vendor"),
        Separated("independent", ("deploy",), by="team"),
    )
    separations += [separation for separation in more if dice.random() < 0.3]
    return Duties("release", duties, takers, tuple(separations))


def add_member(model: Model, dice: random.Random) -> Model:
    group = dice.choice(GROUPS)
    names = (*model.groups[group], dice.choice(PEOPLE))
    return replace(model, groups={**model.groups, group: names})


def nest_once_more(model: Model, dice: random.Random) -> Model:
    outer, inner = dice.sample(GROUPS, 2)
    return replace(model, nested={**model.nested, outer: (*model.nested.get(outer, ()), inner)})


def let_administer(model: Model, dice: random.Random) -> Model:
    rules = (make_rule(dice),) if dice.random() < 0.5 else ()
    return replace(model, powers=(*model.powers, Power(dice.choice(GROUPS), dice.choice(GROUPS), rules)))


def lower_count(model: Model, dice: random.Random) -> Model:
    def lower(rule: Rule) -> Rule:
        return replace(rule, count=max(1, rule.count - 1))

    lends = tuple(
        replace(lend, rules=tuple(map(lower, lend.rules)), hold_rules=tuple(map(lower, lend.hold_rules)))
        for lend in model.lends
    )
    return replace(model, lends=lends)


def drop_rule(model: Model, dice: random.Random) -> Model:
    place = dice.randrange(len(model.lends))
    lend = model.lends[place]
    fewer = replace(lend, rules=lend.rules[:1], hold_rules=lend.hold_rules[:1])
    return replace(model, lends=(*model.lends[:place], fewer, *model.lends[place + 1 :]))


def second_account(model: Model, dice: random.Random) -> Model:
    """What was another person turns out to be an account of somebody."""
    owner, other = dice.sample(_persons(model), 2)
    people = {name: member for name, member in model.people.items() if name != other}
    accounts = {account: owner if person == other else person for account, person in model.accounts.items()}
    return replace(model, people=people, accounts={**accounts, other: owner})


def change_vendor(model: Model, dice: random.Random) -> Model:
    name = dice.choice(_persons(model))
    return replace(model, people={**model.people, name: Member(dice.choice(VENDORS))})


def hand_out(model: Model, dice: random.Random) -> Model:
    """A grant that overlaps with what is there."""
    place = dice.randrange(len(model.lends))
    lend = model.lends[place]
    more = replace(lend, held=lend.held | {dice.choice(PEOPLE)})
    return replace(model, lends=(*model.lends[:place], more, *model.lends[place + 1 :]))


def approve_ahead(model: Model, dice: random.Random) -> Model:
    place = dice.randrange(len(model.lends))
    lend = model.lends[place]
    asker, *yes = dice.sample(PEOPLE, 3)
    more = replace(lend, given={**lend.given, asker: tuple(yes)})
    return replace(model, lends=(*model.lends[:place], more, *model.lends[place + 1 :]))


def stop_holding(model: Model, dice: random.Random) -> Model:
    return replace(model, lends=tuple(replace(lend, holds=frozenset()) for lend in model.lends))


def new_bot(model: Model, dice: random.Random) -> Model:
    """An agent in a group, whose owner is a person."""
    group = dice.choice(GROUPS)
    groups = {**model.groups, group: (*model.groups[group], "bot")}
    return replace(model, groups=groups, accounts={**model.accounts, "bot": dice.choice(_persons(model))})


def drop_separation(model: Model, dice: random.Random) -> Model:
    (chain,) = model.chains
    if not chain.separations:
        return model
    place = dice.randrange(len(chain.separations))
    rest = (*chain.separations[:place], *chain.separations[place + 1 :])
    return replace(model, chains=(replace(chain, separations=rest),))


def let_anybody_take(model: Model, dice: random.Random) -> Model:
    (chain,) = model.chains
    kept = {duty: rule for duty, rule in chain.takers.items() if dice.random() < 0.5}
    return replace(model, chains=(replace(chain, takers=kept),))


def let_in_again(model: Model, dice: random.Random) -> Model:
    """Some can come in as anybody, by letting them in again."""
    group = dice.choice((*GROUPS, "helpers"))
    return replace(model, takeovers=(Takeover(group, dice.choice((1, 2))),))


def bring_guests(model: Model, dice: random.Random) -> Model:
    """A contract whose sponsor, with another employee, can bring in guests, who may ask for some roles, and some of its
    persons, who have not come in yet."""
    vendor, guests = dice.choice(("acme", "globex")), GUESTS[: dice.choice((1, 2, 3))]

    def known(rule: Rule) -> Rule:
        inner = tuple(map(known, rule.any_of))
        if rule.sponsors is None:
            return replace(rule, any_of=inner)
        return replace(rule, any_of=inner, sponsors={**rule.sponsors, **dict.fromkeys(guests, (sponsor,))})

    waiting = [name for name in _persons(model) if model.people[name].vendor == vendor and dice.random() < 0.6]
    sponsor = dice.choice(_persons(model))
    lends = tuple(
        replace(
            lend,
            contractors=lend.contractors | (set(guests) if dice.random() < 0.6 else set()),
            rules=tuple(map(known, lend.rules)),
            hold_rules=tuple(map(known, lend.hold_rules)),
        )
        for lend in model.lends
    )
    groups = dict(model.groups)
    if dice.random() < 0.2:
        group = dice.choice(GROUPS)
        groups[group] = (*groups[group], guests[0])
    return replace(
        model,
        people={**model.people, **{name: Member(vendor, guest=True) for name in guests}},
        groups=groups,
        lends=lends,
        invitations=(*model.invitations, Invitation(f"{vendor}-orders", (sponsor,), (*waiting, *guests))),
    )


def _persons(model: Model) -> list[str]:
    return sorted(name for name, member in model.people.items() if not member.guest)


MUTATIONS: tuple[Callable[[Model, random.Random], Model], ...] = (
    add_member,
    nest_once_more,
    let_administer,
    lower_count,
    drop_rule,
    second_account,
    change_vendor,
    hand_out,
    approve_ahead,
    stop_holding,
    new_bot,
    drop_separation,
    let_anybody_take,
    let_in_again,
    bring_guests,
)
