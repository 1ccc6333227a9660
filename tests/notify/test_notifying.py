"""Telling people by one of two control planes, and what `interlock doctor` says of a channel that fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from interlock.app.check_notifiers import check_notifiers
from interlock.app.data_folder import open_data_folder
from interlock.app.finding import Verdict
from interlock.app.installation import Adapters, keep_state_address
from interlock.app.notifying import notifying, open_channels
from interlock.domain.notices import NoticeKind
from interlock.errors import Failure
from interlock.policy.configuration import PAGE, Notifier
from interlock.services.credentials import Credentials
from interlock.store.home import StateAddress
from interlock.store.outbox import PostgresOutbox
from tests.notify.posts import CONSOLE, SENDER, Mailbox, mail_of, settled
from tests.services.world import BOTH, DBA, DBA2, RIVAL, World


def mail_source(port: int) -> Notifier:
    return Notifier("n", "smtp", f"smtp://127.0.0.1:{port}", sender=SENDER, on=frozenset({NoticeKind.ASKED}))


@asynccontextmanager
async def control_plane(house: World, address: StateAddress, port: int) -> AsyncIterator[None]:
    """Its part that tells people, with connections of its own."""
    outbox = PostgresOutbox(address.url)
    sources = {"n": mail_source(port)}
    channels = await open_channels(sources, Adapters().notifiers, Credentials({}, {}), CONSOLE)
    assert channels.keys() == {"n", PAGE}
    try:
        async with notifying(house.desk, outbox, channels, address.url):
            yield
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
        await open_channels({"p": Notifier("p", "pigeon")}, Adapters().notifiers, Credentials({}, {}), CONSOLE)
