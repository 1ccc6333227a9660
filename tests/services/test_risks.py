"""The matrix as the services see it: its states, who is in a conflict now, and who may look."""

from dataclasses import replace
from datetime import timedelta

from interlock.policy.configuration import Control, Mitigation, Risk, Separation, SeparationKind
from interlock.services.risks import list_risks
from tests.services.world import ADMIN, DBA, DEV, HOUR, LEAD, OPS, World, refused


async def test_states_and_who_is_inside(world: World) -> None:
    until = world.clock.now() + 2 * HOUR
    mitigation = Mitigation("weekly report", Control.DETECTIVE, until, frozenset({OPS}))
    risky = Separation(SeparationKind.CONFLICT, ("maker", "checker"), risk=Risk("pays themself", LEAD, mitigation))
    plain = Separation(SeparationKind.CONFLICT, ("maker", "reader"))
    await world.apply(replace(world.configuration, separations=(risky, plain), digest="with risks"))
    first, second = await list_risks(world.desk, person=ADMIN)
    assert (first.state, first.inside, second.state) == ("mitigated", (), "prevented")
    for role in ("maker", "checker"):
        await world.lend(role, DBA, person=OPS, duration=timedelta(hours=3))
    first, second = await list_risks(world.desk, person=LEAD)
    assert (first.state, first.inside, second.inside) == ("mitigated", (OPS,), ())
    world.clock.at = until
    (first, _) = await list_risks(world.desk, person=LEAD)
    assert (first.state, first.inside) == ("mitigation expired", (OPS,))


async def test_contractors_do_not_see_it(world: World) -> None:
    with refused("not-yours"):
        await list_risks(world.desk, person=DEV)
