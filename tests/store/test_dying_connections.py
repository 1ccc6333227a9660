"""A connection that the server has begun to end: its last words have come, the end of the stream has not yet."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

from interlock.domain.people import Person
from interlock.errors import Failure
from interlock.store.home import StateAddress
from interlock.store.state import PostgresState
from tests.store.world import added

_FIELDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
LAST_WORDS = b"E" + (len(_FIELDS) + 4).to_bytes(4, "big") + _FIELDS


class Between:
    """Stands between the state and its server, and says to whoever is connected what a server says that stops."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._clients: set[asyncio.StreamWriter] = set()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        from_server, to_server = await asyncio.open_unix_connection(self._server)
        with closing(writer), closing(to_server):
            async with asyncio.TaskGroup() as group:
                group.create_task(_carry(reader, to_server))
                group.create_task(_carry(from_server, writer))

    async def say_last_words(self) -> None:
        for client in self._clients:
            client.write(LAST_WORDS)
        # heard before anything else is asked
        await asyncio.sleep(0.1)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(65536):
        writer.write(some)
    writer.close()


@pytest.fixture
async def between(state_database: StateAddress) -> AsyncIterator[tuple[Between, PostgresState]]:
    parts = urlsplit(state_database.url)
    asked = parse_qs(parts.query)
    relay = Between(f"{asked['host'][0]}/.s.PGSQL.{asked['port'][0]}")
    server = await asyncio.start_server(relay.meet, "127.0.0.1", 0)
    login = parts.netloc.rpartition("@")[0]
    port = server.sockets[0].getsockname()[1]
    state = PostgresState(urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}", query="")))
    yield relay, state
    await state.close()
    server.close()


async def _add(state: PostgresState, name: str) -> None:
    async with state.changing("system") as unit:
        await unit.save(Person(name))
        unit.record(added(Person(name)))


async def test_one_that_rested_is_replaced_before_it_is_used(
    between: tuple[Between, PostgresState], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.store.connecting._JUST_USED_S", 0.0)
    relay, state = between
    await _add(state, "a")
    await relay.say_last_words()
    await _add(state, "b")
    async with state.reading() as reading:
        assert [person.name for person in await reading.people()] == ["a", "b"]


async def test_one_that_was_just_used_fails_its_unit_with_a_sentence_and_only_that(
    between: tuple[Between, PostgresState], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.store.connecting._JUST_USED_S", math.inf)
    relay, state = between
    await _add(state, "a")
    await relay.say_last_words()
    with pytest.raises(Failure, match="the server was ending the connection"):
        await _add(state, "b")
    await _add(state, "c")
    async with state.reading() as reading:
        assert [person.name for person in await reading.people()] == ["a", "c"]


async def test_a_feed_whose_connection_ends_closes_without_a_fault(between: tuple[Between, PostgresState]) -> None:
    relay, state = between
    async with aclosing(state.changes(0)) as changes:
        assert await anext(changes) == (0, [])
        await relay.say_last_words()
        await state.close()
