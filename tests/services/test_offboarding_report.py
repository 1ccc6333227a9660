"""The report of an offboarding: the ledger's own entries, and what has not answered."""

from datetime import timedelta

from interlock.domain.work_events import SshCertificateIssued
from interlock.ledger.entries import read_body
from interlock.ports.control import SessionEnd
from interlock.services.offboard_person import offboard_person
from interlock.services.offboarding_report import report_offboarding
from interlock.services.report_sessions import report_sessions
from tests.services.world import ADMIN, DBA, DEV, GATEWAY, HOUR, LEAD, MATE, World, refused


async def test_it_is_the_ledgers_own_entries_and_nothing_else(world: World) -> None:
    session, grant, login = await world.session_with("writer")
    waiting = await world.ask("reader", login=login)
    other = await world.ask("reader", person=MATE)
    world.clock.advance(timedelta(seconds=1))
    done = await offboard_person(world.desk, by=ADMIN, name=DEV, reason="left")
    await world.sign_in(ADMIN)
    report = await report_offboarding(world.desk, reader=ADMIN, name=DEV)
    assert (report.person, report.by) == (DEV, ADMIN)
    assert [one.position for one in report.ended] == [one.position for one in done.ended]
    assert report.ended[0].kind == "person.ended"
    text = " ".join(one.body for one in report.ended)
    for name in (grant.id, login.id, waiting.id):
        assert name in text
    assert other.id not in text
    assert all(read_body(one.body.encode()).position == one.position for one in report.ended)
    assert report.remains == (f"session {session} on gateway {GATEWAY}",)
    assert not report.done
    # no gateway follows: there is none that could go on by what it was told
    assert report.gateways == ()
    assert report.certain_from == report.made_at


async def test_certificates_and_tokens_are_named_with_the_end_of_their_login(world: World) -> None:
    login = await world.sign_in(DEV)
    other = await world.sign_in(MATE)
    now = world.clock.now()
    async with world.state.changing(DEV) as work:
        for whose, resource, ends_at in (
            (login, "host", now + HOUR),
            (login, "gone", now + timedelta(minutes=1)),
            (other, "host", now + HOUR),
        ):
            issued = SshCertificateIssued(person=whose.person, login=whose.id, resource=resource, ends_at=ends_at)
            work.record(issued)
    world.clock.advance(timedelta(minutes=2))
    done = await offboard_person(world.desk, by=ADMIN, name=DEV, reason="left")
    (end,) = [one.position for one in done.ended if one.what == "login"]
    report = await report_offboarding(world.desk, reader=ADMIN, name=DEV)
    assert [(one.what, one.of, one.entry) for one in report.credentials] == [
        ("certificate", login.id, end),
        ("token", login.id, end),
        ("ssh-certificate", "host", end),
    ]
    issued_entry = report.credentials[2].issued
    assert issued_entry is not None
    assert issued_entry.kind == "ssh-certificate.issued"


async def test_what_remains_is_done_when_the_gateway_says_so(world: World) -> None:
    session, _, _ = await world.session_with("writer")
    await offboard_person(world.desk, by=LEAD, name=DEV, reason="left")
    world.clock.advance(timedelta(seconds=1))
    end = SessionEnd(id=session, closed_at=world.clock.now(), why="the person left", statements=3, recording="ab" * 32)
    await report_sessions(world.desk, world.master, gateway=GATEWAY, starts=(), ends=(end,))
    report = await report_offboarding(world.desk, reader=LEAD, name=DEV)
    assert report.done
    (then,) = report.sessions
    assert then.closed is not None
    assert then.closed.kind == "session.closed"
    assert session in then.closed.body


async def test_who_may_read_it(world: World) -> None:
    with refused("not-offboarded"):
        await report_offboarding(world.desk, reader=ADMIN, name=DEV)
    await offboard_person(world.desk, by=ADMIN, name=DEV, reason="left")
    for stranger in (DBA, MATE):
        with refused("not-yours"):
            await report_offboarding(world.desk, reader=stranger, name=DEV)
    with refused("not-found"):
        await report_offboarding(world.desk, reader=ADMIN, name="nobody")
    assert (await report_offboarding(world.desk, reader=LEAD, name=DEV)).done
