"""Telling people by one of two control planes, and what `interlock doctor` says of a channel that fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.app.channels import Opening
from interlock.app.check_notifiers import check_notifiers
from interlock.app.data_folder import open_data_folder
from interlock.app.finding import Verdict
from interlock.app.installation import Adapters, keep_state_address
from interlock.app.notifying import ON_THE_PAGE, notifying, open_channels
from interlock.domain.notices import NoticeKind
from interlock.errors import Failure
from interlock.policy.configuration import PAGE, Notifier
from interlock.services.credentials import Credentials
from interlock.store.home import StateAddress
from interlock.store.outbox import PostgresOutbox
from tests.notify.posts import CONSOLE, SENDER, Mailbox, mail_of, settled, until_so, until_upto
from tests.services.world import BOTH, DBA, DBA2, RIVAL, World

OPENING = Opening(Adapters().notifiers, Credentials({}, Adapters().vaults), CONSOLE)


def mail_source(port: int, name: str = "n", secret: str | None = None) -> Notifier:
    asked = frozenset({NoticeKind.ASKED})
    return Notifier(name, "smtp", f"smtp://127.0.0.1:{port}", secret, sender=SENDER, on=asked)


@asynccontextmanager
async def control_plane(
    house: World, address: StateAddress, port: int
) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Its part that tells people, with connections of its own. What comes of it activates other notifiers."""
    outbox, desk = PostgresOutbox(address.url), house.desk

    def activate(*sources: Notifier) -> None:
        object.__setattr__(desk, "configuration", replace(house.configuration, notify={s.name: s for s in sources}))

    async def name(*sources: Notifier) -> None:
        async def are_taken_up() -> bool:
            return {channel.source for channel in channels.values()} - {ON_THE_PAGE} == {*sources}

        activate(*sources)
        await until_so(are_taken_up)

    activate(mail_source(port))
    channels = await open_channels(desk.configuration.notify, OPENING)
    assert channels.keys() == {"n", PAGE}
    try:
        async with notifying(desk, outbox, channels, address.url):
            yield name
    finally:
        await outbox.close()


async def test_of_two_one_tells_and_the_other_goes_on_from_there(
    house: World, outbox: PostgresOutbox, state_database: StateAddress
) -> None:
    box = Mailbox()
    async with box.open() as port, control_plane(house, state_database, port):
        async with control_plane(house, state_database, port):
            # the first entry that either looks at
            async with asyncio.timeout(20):
                while await outbox.upto() is None:  # noqa: ASYNC110 -- another program's doing
                    await asyncio.sleep(0.02)
            await house.ask()
            await settled(house, outbox)
        await house.ask("friendly")
        await settled(house, outbox)
    first = [mail_of(name) for name in (BOTH, DBA, DBA2, RIVAL)]
    assert len(box.got) == 4 + 5
    assert all(box.told.count(one) == 2 for one in first)


async def test_doctor_says_which_channel_fails_since_when_and_why(
    house: World, outbox: PostgresOutbox, state_database: StateAddress, tmp_path: Path
) -> None:
    folder = open_data_folder(tmp_path / "data", create=True)
    keep_state_address(folder, state_database)
    box = Mailbox(refusing={mail_of(DBA): "451 later", mail_of(DBA2): "550 \x1b[31mnever"})
    async with box.open() as port, control_plane(house, state_database, port):
        async with asyncio.timeout(20):
            while await outbox.upto() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        sources = {"n": mail_source(port)}
        assert [one.verdict for one in await check_notifiers(folder, sources)] == [Verdict.GOOD]
        await house.ask()
        await settled(house, outbox)
        (found,) = await check_notifiers(folder, sources)
    assert found.verdict is Verdict.BAD
    assert "1 notices could not be told by n yet, the oldest since 20" in found.sentence
    assert "answers 451" in found.sentence or "answers 550" in found.sentence
    assert "\x1b" not in found.sentence


async def test_a_kind_that_is_not_known_stops_the_start(house: World) -> None:
    with pytest.raises(Failure, match="of the kind pigeon, which is not known here"):
        await open_channels({"p": Notifier("p", "pigeon")}, OPENING)


async def test_the_notifiers_of_a_policy_that_is_activated_are_taken_up_at_once(
    house: World, outbox: PostgresOutbox, state_database: StateAddress
) -> None:
    first, second, third = Mailbox(), Mailbox(), Mailbox()
    async with (
        first.open() as port,
        second.open() as other,
        third.open() as last,
        control_plane(house, state_database, port) as name,
    ):
        await until_upto(outbox, 0)
        await house.ask()
        await settled(house, outbox)
        asked = len(first.got)
        # the one of that name is another now, and there is one more
        await name(mail_source(other), mail_source(last, "more"))
        await house.ask("friendly")
        await settled(house, outbox, "n", "more")
        assert (len(first.got), second.told) == (asked, third.told)
        assert mail_of(DBA) in second.told
        # one is gone; and one cannot be opened, which stops neither the others nor what is to be told by it
        told = len(second.got), len(third.got)
        await name(mail_source(other), mail_source(last, "bare", "env:NOT_THERE_YET"), Notifier("p", "pigeon"))
        await house.ask("pair")
        await settled(house, outbox)
        assert len(second.got) > told[0]
        assert len(third.got) == told[1]
        waiting = await _troubles(outbox, "bare", "p")
        assert "NOT_THERE_YET" in waiting["bare"]
        assert "pigeon, which is not known here" in waiting["p"]
        # as soon as it can be
        await name(mail_source(last, "bare"))
        await house.ask("two")

        async def is_told() -> bool:
            return len(third.got) > told[1]

        await until_so(is_told)


async def _troubles(outbox: PostgresOutbox, *names: str) -> dict[str, str]:
    found: dict[str, str] = {}

    async def are_there() -> bool:
        found.update({one.notifier: one.why for one in await outbox.troubles(datetime.now(UTC))})
        return found.keys() >= {*names}

    await until_so(are_there)
    return found
