"""Reads and saves of every kind of entity, on a real PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest

from interlock.domain.grants import RequestState
from interlock.domain.people import Person
from interlock.errors import Misuse, Refusal
from interlock.ledger.verify import Verified, verify
from interlock.ports.state import Entity, Reading, State, UnitOfWork
from interlock.store.state import PostgresState
from tests.store import world
from tests.store.world import LATER, NOW, added

LINE = timedelta(microseconds=1)


async def _save(state: State, *entities: Entity) -> None:
    async with state.changing("system") as unit:
        for entity in entities:
            await unit.save(entity)
        unit.record(added(world.LEAD))


async def _read_back(reading: Reading) -> set[object]:
    """Every entity of the world by the read that is for it."""
    return {
        *await reading.approvals(world.REQUEST.id),
        await reading.grant(world.GRANT.id),
        await reading.activity(world.ACTIVITY.id),
        await reading.connection_password(world.PASSWORD.hash),
        await reading.connection_pass(world.PASS.id),
        await reading.local_credential(world.DEV.name),
        await reading.enrolment(world.ENROLMENT.code_hash),
        await reading.login(world.LOGIN.id),
        await reading.contract(world.CONTRACT.name),
        await reading.identity("e-mail", world.IDENTITY.subject),
        *await reading.people(),
        *await reading.vendors(),
        await reading.attempts(world.ATTEMPTS.subject),
        await reading.gateway(world.GATEWAY.key),
        await reading.delegation(world.DELEGATION.id),
        await reading.passkey(world.PASSKEY.id),
        await reading.extension(world.CONTRACT.name),
        await reading.invitation(world.INVITATION.id),
        await reading.alarm(world.ALARM.detection, world.ALARM.position),
        await reading.last_segment(world.SEGMENT.session),
        *await reading.segments(world.SEGMENT.session),
        await reading.recording_key(world.RECORDING_KEY.session),
        await reading.legal_hold(world.LEGAL_HOLD.id),
        await reading.chat_link(world.CHAT_LINK.notifier, world.CHAT_LINK.subject),
        *await reading.duties(world.DUTY.chain, world.DUTY.artifact),
        *await reading.accounts(),
        *await reading.evidence(world.EVIDENCE.repository, world.EVIDENCE.commits),
    }


def test_the_world_has_every_entity() -> None:
    assert {type(entity) for entity in world.WORLD} == set(get_args(Entity))


_UNHASHABLE = tuple(
    type(entity) for entity in (world.REQUEST, world.POLICY, world.CLIENT, world.PROVISIONED, world.PROPOSAL)
)


async def test_every_entity_reads_back_as_it_was_saved(state: PostgresState) -> None:
    hashable = {entity for entity in world.WORLD if type(entity) not in _UNHASHABLE}
    async with state.changing("system") as unit:
        for entity in world.WORLD:
            await unit.save(entity)
        assert await _read_back(unit) == hashable  # before the commit: a unit of work sees what it saved
        unit.record(added(world.LEAD))
    async with state.reading() as reading:
        assert await _read_back(reading) == hashable
        assert await reading.request(world.REQUEST.id) == world.REQUEST
        assert await reading.policy() == world.POLICY
        assert await reading.proposal(world.PROPOSAL.request) == world.PROPOSAL
        assert await reading.provisioned_one(world.PROVISIONED.id) == world.PROVISIONED
        assert await reading.provisioned("User") == [world.PROVISIONED]
        assert await reading.oauth_client(world.CLIENT.id) == world.CLIENT
        assert await reading.oauth_clients(owner=world.DEV.name) == [world.CLIENT]
        assert await reading.delegations(login=world.LOGIN.id) == [world.DELEGATION]
        assert await reading.contracts() == [world.CONTRACT]
        assert await reading.person(world.DEV.name) == world.DEV


async def test_what_is_not_there_is_none(state: PostgresState) -> None:
    async with state.reading() as reading:
        assert await reading.person("x") is None
        assert await reading.identity("e-mail", "x") is None
        assert await reading.request("x") is None
        assert await reading.grant("x") is None
        assert await reading.login("x") is None
        assert await reading.activity("x") is None
        assert await reading.policy() is None
        assert await reading.gateway("x") is None
        for strange in ("\0", "x\0y", "\udcff"):
            assert await reading.person(strange) is None
            assert await reading.grants(person=strange) == []
            assert await reading.approvals(strange) == []
            assert await reading.ledger_search(strange) == []
        assert await reading.people() == []
        assert await reading.approvals("x") == []
        assert await reading.ledger() == []
        assert await reading.ledger_head() == 0


async def test_saving_again_replaces(state: PostgresState) -> None:
    await _save(state, *world.WORLD)
    ended = replace(world.GRANT, ended_at=NOW, ended_by=world.LEAD.name, ended_reason="done")
    await _save(state, ended, replace(world.DEV, groups=frozenset(), ended_at=LATER), world.ACME)
    async with state.reading() as reading:
        assert await reading.grant(world.GRANT.id) == ended
        assert await reading.person(world.DEV.name) == replace(world.DEV, groups=frozenset(), ended_at=LATER)
        assert await reading.vendors() == [world.ACME]


async def test_people_are_read_again_when_one_of_them_changed(state: PostgresState) -> None:
    await _save(state, *world.WORLD)
    async with state.reading() as reading:
        first = await reading.people()
    await _save(state, replace(world.GRANT, id="g-2"))
    async with state.reading() as old:
        again = await old.people()
        assert [id(person) for person in again] == [id(person) for person in first]  # another's change: as known
        gone = replace(world.DEV, groups=frozenset(), ended_at=LATER)
        async with state.changing("system") as unit:
            await unit.save(gone)
            assert gone in await unit.people()  # a unit of work sees what it saved
            unit.record(added(world.LEAD))
        async with state.reading() as new:
            assert gone in await new.people()
        assert world.DEV in await old.people()  # its snapshot is older
    async with state.reading() as reading:
        assert gone in await reading.people()


async def test_the_policy_is_the_last_version(state: PostgresState) -> None:
    await _save(state, world.POLICY)
    await _save(state, replace(world.POLICY, version=10))
    await _save(state, replace(world.POLICY, version=9))
    async with state.reading() as reading:
        policy = await reading.policy()
        assert policy is not None
        assert policy.version == 10


async def test_grants_and_logins_by_window_and_person(state: PostgresState) -> None:
    over = replace(world.GRANT, id="g-2", ended_at=NOW + LINE)
    others = replace(world.GRANT, id="g-3", person=world.LEAD.name, starts_at=NOW + LINE)
    signed_out = replace(world.LOGIN, id="l-2", ended_at=NOW, signed_in_at=NOW - LINE)
    await _save(state, *world.WORLD, over, others, signed_out)
    async with state.reading() as reading:
        assert [grant.id for grant in await reading.grants()] == ["g-3", world.GRANT.id, "g-2"]
        assert [grant.id for grant in await reading.grants(limit=1)] == ["g-3"]
        assert await reading.grants(active_at=NOW) == [world.GRANT]
        assert await reading.grants(active_at=NOW - LINE) == []
        assert await reading.grants(active_at=LATER - LINE, person=world.LEAD.name) == [others]
        assert await reading.grants(active_at=LATER) == []
        assert await reading.logins(active_at=NOW) == [world.LOGIN]
        assert await reading.logins(active_at=LATER) == []
        assert await reading.logins(key=world.LOGIN.key, active_at=NOW) == [world.LOGIN]
        assert await reading.logins(key="another") == []
        assert await reading.logins(key="\0") == []
        assert [login.id for login in await reading.logins(person=world.DEV.name)] == [world.LOGIN.id, "l-2"]


async def test_requests_and_sessions_newest_first(state: PostgresState) -> None:
    older = replace(world.REQUEST, id="r-2", opened_at=NOW - LINE, state=RequestState.DENIED, decided_at=NOW)
    closed = replace(world.ACTIVITY, id="s-2", opened_at=NOW - LINE, closed_at=NOW, closed_why="the client left")
    await _save(state, *world.WORLD, older, closed)
    async with state.reading() as reading:
        assert await reading.requests() == [world.REQUEST, older]
        assert await reading.requests(limit=1) == [world.REQUEST]
        assert await reading.requests(state="denied") == [older]
        assert await reading.requests(state="open", person=world.DEV.name) == [world.REQUEST]
        assert await reading.requests(person=world.LEAD.name) == []
        assert await reading.activities() == [world.ACTIVITY, closed]
        assert await reading.activities(live=True) == [world.ACTIVITY]
        assert await reading.activities(person=world.LEAD.name) == []


async def test_the_ledger_holds_and_can_be_searched(state: PostgresState) -> None:
    for name in ('Ann "A" O\'Neil', "bob_100%@example.com", "carol@example.com"):
        async with state.changing("gateway:one") as unit:
            await unit.save(Person(name))
            unit.record(added(Person(name)))
            unit.record(added(Person(name + "x")))
    async with state.reading() as reading:
        entries = await reading.ledger()
        assert verify(entries) == Verified(6, entries[-1].link)
        assert [entry.position for entry in await reading.ledger(after=2, limit=2)] == [3, 4]
        assert await reading.ledger_head() == 6
        found = await reading.ledger_search("EXAMPLE.com")
        assert [entry.position for entry in found] == [3, 4, 5, 6]
        assert [entry.position for entry in await reading.ledger_search("example.com", limit=1)] == [6]
        assert [entry.position for entry in await reading.ledger_search('"A" o\'neil')] == [1, 2]
        assert [entry.position for entry in await reading.ledger_search("_100%")] == [3, 4]
        assert await reading.ledger_search("%nobody%") == []
    assert entries[0].actor == "gateway:one"


async def test_a_reading_is_of_one_moment(state: PostgresState) -> None:
    async with state.reading() as reading:
        assert await reading.people() == []
        await _save(state, world.LEAD)
        assert await reading.people() == []
        assert await reading.ledger_head() == 0
    async with state.reading() as reading:
        assert await reading.people() == [world.LEAD]


async def test_nothing_can_be_asked_after_the_block(state: PostgresState) -> None:
    async with state.reading() as reading:
        pass
    with pytest.raises(Misuse):
        await reading.people()
    kept: list[UnitOfWork] = []
    async with state.changing("system") as unit:
        kept.append(unit)
    for use in (unit.people(), unit.save(world.LEAD), unit.lock(Person, "x")):
        with pytest.raises(Misuse):
            await use
    with pytest.raises(Misuse):
        unit.record(added(world.LEAD))


async def test_a_closed_state_says_so(state: PostgresState) -> None:
    await state.close()
    with pytest.raises(Misuse):
        async with state.reading():
            pass


@pytest.mark.parametrize(
    "person", [Person("a\0b"), Person("a", groups=frozenset({"x\0"})), Person("\udcff")], ids=["name", "group", "half"]
)
async def test_text_that_cannot_be_kept_is_refused(state: PostgresState, person: Person) -> None:
    async def save() -> None:
        async with state.changing("system") as unit:
            await unit.save(person)
            unit.record(added(person))

    with pytest.raises(Refusal) as refusal:
        await save()
    assert refusal.value.code == "unkeepable-text"
    async with state.reading() as reading:
        assert await reading.people() == []
