"""Rows of a held statement: for who decides and may read them, while it waits, and for nobody else."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text as sql_text

from interlock.domain.codec import to_plain
from interlock.domain.grants import Grant, Login
from interlock.ports.control import HoldOpened, HoldOpening
from interlock.ports.sample import MOST_BYTES, Cell, Sample, SampledPart
from interlock.services.deny_request import deny_request
from interlock.services.end_grant import end_grant
from interlock.services.hold_statement import hold_statement
from interlock.services.sample_rows import forget_sample, keep_sample, show_sample, why_no_sample
from interlock.services.withdraw_hold import withdraw_hold
from interlock.store.connecting import open_engine
from interlock.store.home import StateAddress
from interlock.store.waiting import PostgresWaitingRoom
from tests.services.world import ADMIN, DBA, DBA2, DEV, GATEWAY, LEAD, MATE, OPS, World, company, opening_of, refused

SECRET = "4111-1111-1111-1111"
CARDS = SampledPart("table public.cards", columns=("id", "card"), rows=((Cell("7"), Cell(SECRET)),))
NOTES = SampledPart("table public.notes", columns=("note",), rows=((Cell("<b>hello</b>"),),), left_out=("pin",))


@pytest.fixture
async def waiting(state_database: StateAddress, world: World) -> AsyncIterator[PostgresWaitingRoom]:
    room = PostgresWaitingRoom(state_database.url, clock=world.clock)
    yield room
    await room.close()


async def hold(
    world: World, waiting: PostgresWaitingRoom, *, sample: Sample | None = None, **changes: Any
) -> tuple[HoldOpening, HoldOpened]:
    session, _, _ = await world.session_with()
    opening = opening_of(session, text="delete from cards")
    opening = replace(opening, sample=sample or Sample((CARDS, NOTES)), salt="00" * 16, **changes)
    opened = await hold_statement(world.desk, gateway=GATEWAY, opening=opening)
    await keep_sample(world.master, waiting, gateway=GATEWAY, opening=opening, opened=opened)
    return opening, opened


async def reading(world: World, person: str = DBA, *, approver: str = DBA2) -> tuple[Login, Grant]:
    """A login of an approver who has been lent the role ``reader`` on that very key."""
    login = await world.sign_in(person)
    return login, await world.lend("reader", approver, person=person, login=login)


async def look(world: World, waiting: PostgresWaitingRoom, login: Login, opened: HoldOpened) -> Sample:
    return await show_sample(world.desk, world.master, waiting, login=login, request_id=opened.request)


async def test_an_approver_who_may_read_sees_rows_and_the_ledger_says_so(
    world: World, waiting: PostgresWaitingRoom
) -> None:
    _, opened = await hold(world, waiting)
    login, grant = await reading(world)
    assert await why_no_sample(world.desk, login=login, request_id=opened.request) == ""
    assert not await world.events("sample.shown")
    assert await look(world, waiting, login, opened) == Sample((CARDS, NOTES))
    (shown,) = await world.events("sample.shown")
    assert shown == {
        "request": opened.request,
        "by": DBA,
        "parts": ["table public.cards", "table public.notes"],
        "rows": 2,
        "grants": [grant.id],
    }


async def test_no_row_is_in_the_request_the_ledger_or_in_clear_in_the_database(
    world: World, waiting: PostgresWaitingRoom, state_database: StateAddress
) -> None:
    opening, opened = await hold(world, waiting)
    login, _ = await reading(world)
    await look(world, waiting, login, opened)
    request = await world.request(opened.request)
    described = to_plain(request)["content"]["sample"]
    assert described["parts"] == [
        {"part": "table public.cards", "rows": 1, "why_not": ""},
        {"part": "table public.notes", "rows": 1, "why_not": ""},
    ]
    assert SECRET not in json.dumps(to_plain(request))
    assert SECRET not in repr(opening)
    engine = open_engine(state_database.url)
    async with engine.begin() as connection:
        tables = await connection.execute(sql_text("SELECT tablename FROM pg_tables WHERE schemaname = 'interlock'"))
        for (table,) in tables.all():
            rows = await connection.execute(sql_text(f"SELECT t::text FROM interlock.{table} AS t"))
            assert SECRET not in repr(rows.all()), table
    await engine.dispose()


@pytest.mark.parametrize("person", [DEV, MATE, OPS, ADMIN])
async def test_who_does_not_decide_sees_none(world: World, waiting: PostgresWaitingRoom, person: str) -> None:
    _, opened = await hold(world, waiting)
    login = await world.sign_in(person)
    if person in (DEV, MATE):
        await world.lend("reader", DBA, person=person, login=login)
    with pytest.raises(Exception, match=r"may approve the statement|There is no request"):
        await look(world, waiting, login, opened)
    assert not await world.events("sample.shown")


async def test_an_approver_needs_a_live_grant_of_their_own_on_this_key(
    world: World, waiting: PostgresWaitingRoom
) -> None:
    _, opened = await hold(world, waiting)
    login = await world.sign_in(DBA)
    with refused("no-read"):
        await look(world, waiting, login, opened)
    reader, grant = await reading(world)
    with refused("no-read"):
        await look(world, waiting, login, opened)
    await look(world, waiting, reader, opened)
    await end_grant(world.desk, by=DBA, grant_id=grant.id, reason="done")
    with refused("no-read"):
        await look(world, waiting, reader, opened)
    assert (await why_no_sample(world.desk, login=reader, request_id=opened.request)).startswith("No grant lets you")
    assert len(await world.events("sample.shown")) == 1


async def test_a_grant_on_another_resource_is_none(world: World, waiting: PostgresWaitingRoom) -> None:
    _, opened = await hold(world, waiting)
    login = await world.sign_in(DBA)
    request = await world.ask("reader", person=DBA, login=login, resource="stock")
    await world.approve(DBA2, request)
    with refused("no-read"):
        await look(world, waiting, login, opened)


async def test_a_policy_may_keep_a_table_or_a_column_from_the_approver(
    world: World, waiting: PostgresWaitingRoom
) -> None:
    cedar = """
@id("no-cards") forbid(principal, action == Action::"read", resource)
when { context.part == "table public.cards" };
@id("masked") @mask("notes.note")
permit(principal, action == Action::"read", resource) when { context.roles.contains("reader") };
"""
    await world.apply(company(cedar={"rows.cedar": cedar}))
    _, opened = await hold(world, waiting)
    login, _ = await reading(world)
    cards, notes = (await look(world, waiting, login, opened)).parts
    assert (cards.rows, cards.why_not) == ((), "No grant lets you read table public.cards on orders now.")
    assert (notes.rows, notes.columns, notes.left_out) == ((), (), ("pin", "note"))
    (shown,) = await world.events("sample.shown")
    assert (shown["parts"], shown["rows"]) == ([], 0)


@pytest.mark.parametrize(("word", "code"), [("approvers", ""), ("nobody", "no-sample"), ("readers", "no-read")])
async def test_the_resource_may_say_otherwise(world: World, waiting: PostgresWaitingRoom, word: str, code: str) -> None:
    resources = dict(company().resources)
    resources["orders"] = replace(resources["orders"], settings={"samples": word})
    await world.apply(company(resources=resources))
    _, opened = await hold(world, waiting)
    login = await world.sign_in(DBA)
    if code:
        with refused(code):
            await look(world, waiting, login, opened)
    else:
        assert (await look(world, waiting, login, opened)).rows == 2
    # Who does not decide sees none by any word.
    with pytest.raises(Exception, match="may approve the statement"):
        await look(world, waiting, await world.sign_in(ADMIN), opened)


async def test_rows_of_another_statement_are_not_shown(world: World, waiting: PostgresWaitingRoom) -> None:
    """Somebody with hands on the database puts the sealed rows of one request under the name of another."""
    _, opened = await hold(world, waiting)
    other = Sample((replace(CARDS, rows=((Cell("1"), Cell("harmless")),)),))
    _, harmless = await hold(world, waiting, sample=other)
    kept = await waiting.look(f"sample of {harmless.request}")
    assert kept is not None
    await waiting.change(f"sample of {opened.request}", kept)
    login, _ = await reading(world)
    with refused("no-sample"):
        await look(world, waiting, login, opened)
    sealed = {**kept, "sealed": kept["sealed"][:-8] + "AAAAAAA="}
    await waiting.change(f"sample of {harmless.request}", sealed)
    with refused("no-sample"):
        await look(world, waiting, login, harmless)
    assert not await world.events("sample.shown")


async def test_the_request_is_bound_to_its_sample(world: World, waiting: PostgresWaitingRoom) -> None:
    _, one = await hold(world, waiting)
    _, other = await hold(world, waiting, sample=Sample((NOTES,)))
    first, second = [to_plain(await world.request(opened.request)) for opened in (one, other)]
    assert first["content"]["sample"]["sha256"] != second["content"]["sample"]["sha256"]
    assert first["digest"] != second["digest"]


async def test_it_ends_with_the_hold(world: World, waiting: PostgresWaitingRoom) -> None:
    login, _ = await reading(world)
    _, denied = await hold(world, waiting)
    await deny_request(world.desk, by=DBA, request_id=denied.request, reason="no")
    _, withdrawn = await hold(world, waiting)
    await withdraw_hold(world.desk, gateway=GATEWAY, request_id=withdrawn.request, reason="gone")
    _, late = await hold(world, waiting)
    world.clock.advance(timedelta(minutes=11))
    for opened in (denied, withdrawn, late):
        with refused("not-deciding"):
            await look(world, waiting, login, opened)
    assert await waiting.look(f"sample of {late.request}") is None
    await forget_sample(waiting, denied.request)
    assert await waiting.look(f"sample of {denied.request}") is None


async def test_a_hold_goes_on_without_a_sample(world: World, waiting: PostgresWaitingRoom) -> None:
    login, _ = await reading(world)
    for sample, why in (
        (Sample(why_not="Looking took too long."), "There are no rows to show. Looking took too long."),
        (Sample((SampledPart("table public.cards", why_not="Too long."),)), "There are no rows to show."),
        (Sample((replace(CARDS, columns=("id", "\ud800")),)), "There are no rows to show. The rows hold text that"),
        (
            Sample((replace(CARDS, rows=tuple((Cell("x" * MOST_BYTES), Cell("")) for _ in range(5))),)),
            "There are no rows to show. The rows hold text that",
        ),
    ):
        _, opened = await hold(world, waiting, sample=sample)
        said = await why_no_sample(world.desk, login=login, request_id=opened.request)
        assert said.startswith(why)
        with refused("no-sample"):
            await look(world, waiting, login, opened)


async def test_what_was_not_kept_is_said(world: World, waiting: PostgresWaitingRoom) -> None:
    session, _, _ = await world.session_with("writer", DBA, LEAD)
    opening = replace(opening_of(session), sample=Sample((CARDS,)), salt="11" * 16)
    opened = await hold_statement(world.desk, gateway=GATEWAY, opening=opening)
    login, _ = await reading(world)
    with refused("no-sample"):
        await look(world, waiting, login, opened)
