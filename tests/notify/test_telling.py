"""Who is told and who is not, once each, over restarts and dead servers; by mail, to a real mail server."""

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from interlock.app.channels import Channel
from interlock.app.notifying import ON_THE_PAGE
from interlock.domain.identity_events import ChatLinked, InvitationOpened, InvitationTried
from interlock.domain.notices import ChatLink, NoticeKind
from interlock.domain.people import Identity
from interlock.domain.rights_events import ContractEnding
from interlock.domain.work_events import DetectionFired
from interlock.notify.page import Page
from interlock.services.break_glass import break_glass
from interlock.services.deny_request import deny_request
from interlock.services.end_grant import end_grant
from interlock.services.offboard_person import offboard_person
from interlock.store.outbox import PostgresOutbox
from interlock.store.state import PostgresState
from tests.notify.posts import CONSOLE, Mailbox, channel_of, house_of, mail_of, mail_to, settled, telling, until_so
from tests.services.world import ADMIN, BOTH, DBA, DBA2, DEV, LEAD, MATE, OPS, RIVAL, World, company
from tests.store.test_sequencer import until
from tests.store.world import INVITATION


async def test_who_may_decide_is_told_and_nobody_else(house: World, outbox: PostgresOutbox) -> None:
    box = Mailbox()
    async with box.open() as port, telling(house, outbox, mail_to(port)):
        request = await house.ask()
        await settled(house, outbox)
    # the requester's colleague of the same vendor is in the group, and may not decide: not told
    assert box.told == sorted(mail_of(name) for name in (BOTH, DBA, DBA2, RIVAL))
    for message in box.messages():
        assert message["Subject"] == "Interlock: A request waits for your decision"
        assert message["Auto-Submitted"] == "auto-generated"
        assert message.get_content().splitlines() == [
            "A request waits for your decision.",
            "",
            f"who: {DEV}",
            "resource: orders",
            "role: reader",
            "reason: a task",
            "",
            f"{CONSOLE}/decide/{request.id}",
        ]


async def test_a_held_statement_is_told_without_its_text(house: World, outbox: PostgresOutbox) -> None:
    session, _, _ = await house.session_with()
    box = Mailbox()
    async with box.open() as port, telling(house, outbox, mail_to(port)):
        hold = await house.hold(session, text="delete from orders where card = 'zanzibar'")
        await settled(house, outbox)
    assert box.told == sorted(mail_of(name) for name in (BOTH, DBA, DBA2, LEAD, RIVAL))
    for message in box.messages():
        assert message["Subject"] == "Interlock: A held statement waits for your decision"
        assert f"{CONSOLE}/decide/{hold.request}" in message.get_content()
        assert "zanzibar" not in message.as_string()
        assert "delete" not in message.as_string()


async def test_who_asked_is_told_of_the_answer(house: World, outbox: PostgresOutbox) -> None:
    box = Mailbox()
    first, second = await house.ask(), await house.ask("friendly")
    async with box.open() as port, telling(house, outbox, mail_to(port, NoticeKind.ANSWERED)):
        await house.approve(DBA, first)
        await deny_request(house.desk, by=DBA, request_id=second.id, reason="not today")
        await settled(house, outbox)
    assert [message["To"] for message in box.messages()] == [mail_of(DEV)] * 2
    approved, denied = box.messages()
    assert approved["Subject"] == "Interlock: Your request was approved"
    assert denied["Subject"] == "Interlock: Your request was denied"
    assert "reason: not today" in denied.get_content()


async def test_a_broken_glass_tells_whom_the_role_names(house: World, outbox: PostgresOutbox) -> None:
    box = Mailbox()
    async with box.open() as port, telling(house, outbox, mail_to(port, NoticeKind.BROKEN)):
        login = await house.sign_in(OPS)
        half = timedelta(minutes=30)
        await break_glass(
            house.desk, login_id=login.id, resource="orders", role="watched", duration=half, reason="it burns"
        )
        await settled(house, outbox)
    assert box.told == sorted([mail_of(ADMIN), mail_of(LEAD)])
    assert all(message["Subject"] == "Interlock: Somebody broke glass" for message in box.messages())


async def test_alarms_reach_those_who_may_read_the_ledger_and_ends_who_is_concerned(
    house: World, outbox: PostgresOutbox
) -> None:
    box = Mailbox()
    fired = partial(DetectionFired, detection="night", response="notify", entry=1, sentence="a secret sentence")
    async with box.open() as port, telling(house, outbox, mail_to(port)):
        async with house.state.changing("system") as work:
            work.record(fired(person=DEV, resource="orders"))
            work.record(fired(person=ADMIN, resource="orders"))
            work.record(ContractEnding(contract="acme-orders", sponsor=LEAD, end=datetime.now(UTC)))
        await settled(house, outbox)
    # never told of an alarm about themselves; of the contract its sponsor and those whom it covers
    assert box.told == sorted(mail_of(name) for name in (ADMIN, LEAD, DEV, MATE))
    assert b"secret sentence" not in b"".join(content for _, content in box.got)


async def test_a_change_of_how_one_signs_in_is_told_and_the_sponsor_of_who_waits_to_be_let_in(
    house: World, outbox: PostgresOutbox
) -> None:
    box = Mailbox()
    invitation = replace(INVITATION, contract="acme-orders", person=DEV, invited_by=ADMIN)
    link = ChatLink("slack", "T1 U1", DBA, "dba", house.clock.now())
    async with box.open() as port, telling(house, outbox, mail_to(port, NoticeKind.ASKED, NoticeKind.ACCOUNT)):
        async with house.state.changing("system") as work:
            await work.save(invitation)
            await work.save(link)
            work.record(InvitationOpened(invitation=invitation.id, person=DEV, key="k", address="10.0.0.9"))
            work.record(InvitationTried(invitation=invitation.id, person=DEV, key="x", address="10.0.0.9"))
            work.record(ChatLinked(person=DBA, notifier="slack", subject="T1 U1", shown="dba"))
        await settled(house, outbox)
    assert [(message["To"], message["Subject"]) for message in box.messages()] == [
        (mail_of(LEAD), "Interlock: Somebody whom you answer for waits to be let in"),
        (mail_of(LEAD), "Interlock: The link of an invitation was tried by somebody else"),
        (mail_of(DBA), "Interlock: An account in a chat acts for you from now on"),
    ]


async def test_who_has_a_grant_is_told_before_it_ends_and_not_of_one_that_has(
    house: World, outbox: PostgresOutbox
) -> None:
    box = Mailbox()
    async with box.open() as port, telling(house, outbox, mail_to(port, NoticeKind.ENDING)):
        await house.lend()
        over = await house.lend("friendly", DBA)
        await settled(house, outbox)
        assert box.got == []
        await end_grant(house.desk, by=DEV, grant_id=over.id, reason="done")
        house.clock.advance(timedelta(minutes=45))
        await settled(house, outbox)
    (message,) = box.messages()
    assert (message["To"], message["Subject"]) == (mail_of(DEV), "Interlock: A grant of yours ends soon")
    assert "role: reader" in message.get_content()


async def test_a_restart_loses_nothing_and_what_is_over_is_not_told(house: World, outbox: PostgresOutbox) -> None:
    box = Mailbox()
    await house.ask("friendly")
    async with box.open() as port:
        async with telling(house, outbox, mail_to(port)):
            # what was before there was a notifier is not told
            await settled(house, outbox)
        assert box.got == []
        while_away, over = await house.ask(), await house.ask("two")
        await deny_request(house.desk, by=DBA, request_id=over.id, reason="no")
        async with telling(house, outbox, mail_to(port, NoticeKind.ASKED)):
            await settled(house, outbox)
    assert len(box.got) == 4
    assert all(f"/decide/{while_away.id}" in message.get_content() for message in box.messages())


async def test_a_dead_server_stops_nothing_and_hears_of_it_later(house: World, outbox: PostgresOutbox) -> None:
    # bound and not listening: nobody else gets the port, and whoever calls is refused
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        dead, other = channel_of("smtp", f"smtp://127.0.0.1:{port}", name="dead"), Mailbox()
        async with other.open() as living, telling(house, outbox, dead, mail_to(living)):
            request = await house.ask()
            approved = await house.approve(DBA, await house.ask("friendly"))
            assert approved.grant is not None
            await settled(house, outbox)
            assert mail_of(DEV) in other.told
            await until_so(lambda: outbox.troubles(house.clock.now()))
    (trouble,) = await outbox.troubles(house.clock.now())
    assert (trouble.notifier, trouble.lost) == ("dead", 0)
    assert trouble.waiting > 0
    assert "does not take mail: ConnectionRefusedError" in trouble.why
    # it is back, in another life of the control plane
    house.clock.advance(timedelta(minutes=20))
    box = Mailbox()
    async with box.open() as port, telling(house, outbox, channel_of("smtp", f"smtp://127.0.0.1:{port}", name="dead")):
        await until(lambda: mail_of(DEV) in box.told)
        await settled(house, outbox, "dead")
    assert any(f"/decide/{request.id}" in message.get_content() for message in box.messages())
    assert await outbox.troubles(house.clock.now()) == []


async def test_one_full_mailbox_is_no_reason_to_write_to_the_others_again(house: World, outbox: PostgresOutbox) -> None:
    box = Mailbox()
    box.refusing = {mail_of(DBA): "452 full", mail_of(DBA2): "550 nobody of that name"}
    async with box.open() as port, telling(house, outbox, mail_to(port, NoticeKind.ASKED)):
        await house.ask()
        await settled(house, outbox)
        # it is in nobody's way either
        await house.ask("friendly")
        await settled(house, outbox)
        assert box.told == sorted([*map(mail_of, (BOTH, RIVAL)), *map(mail_of, (BOTH, MATE, RIVAL))])
        (trouble,) = await outbox.troubles(house.clock.now())
        assert (trouble.waiting, trouble.lost) == (2, 2)
        del box.refusing[mail_of(DBA)]
        house.clock.advance(timedelta(seconds=5))
        await settled(house, outbox)
    assert box.told.count(mail_of(DBA)) == 2
    assert len({message["Message-ID"] for message in box.messages()}) == len(box.got) == 7


async def test_who_has_left_meanwhile_is_told_nothing(house: World, outbox: PostgresOutbox) -> None:
    box = Mailbox()
    box.refusing = {mail_of(RIVAL): "452 full"}
    async with box.open() as port, telling(house, outbox, mail_to(port, NoticeKind.ASKED)):
        await house.ask()
        await settled(house, outbox)
        await offboard_person(house.desk, by=ADMIN, name=RIVAL, reason="gone")
        box.refusing.clear()
        house.clock.advance(timedelta(seconds=5))
        await settled(house, outbox)
    assert box.told == sorted(mail_of(name) for name in (BOTH, DBA, DBA2))


async def test_an_entry_is_told_once_however_often_it_is_read(house: World, outbox: PostgresOutbox) -> None:
    """As after a crash between the letters and what was read: the same letters are put there again."""
    box = Mailbox()
    async with box.open() as port:
        async with telling(house, outbox, mail_to(port, NoticeKind.ASKED)):
            await house.ask()
            await settled(house, outbox)
        await outbox.put((), upto=1, now=house.clock.now())
        async with telling(house, outbox, mail_to(port, NoticeKind.ASKED)):
            await settled(house, outbox)
    assert len(box.got) == 4


async def test_on_the_page_it_waits_until_it_was_seen(house: World, outbox: PostgresOutbox) -> None:
    async with telling(house, outbox, Channel(ON_THE_PAGE, "page", Page())):
        await deny_request(house.desk, by=DBA, request_id=(await house.ask()).id, reason="not today")
        await settled(house, outbox, "page")
    # what waits for the others is on their pages anyway
    assert [await outbox.unseen(name) for name in (DEV, DBA)] == [1, 0]
    (letter,) = await outbox.kept_for(DEV, 10)
    assert letter.notice.sentence == "Your request was denied"
    await outbox.see(DEV, letter.notice.position - 1, house.clock.now())
    await outbox.see(MATE, letter.notice.position, house.clock.now())
    assert await outbox.unseen(DEV) == 1
    await outbox.see(DEV, letter.notice.position, house.clock.now())
    assert await outbox.unseen(DEV) == 0
    assert [one.seen for one in await outbox.kept_for(DEV, 10)] == [True]


ATTACKS = (
    "x@example.com\r\nBcc: thief@example.com",
    "x@example.com, thief@example.com",
    "<thief@example.com>x@example.com",
)


async def test_no_identity_and_no_reason_makes_a_header_or_a_recipient(
    state: PostgresState, outbox: PostgresOutbox
) -> None:
    house = World(state)
    evil = tuple(Identity("email", address, DBA) for address in ATTACKS)
    mails = tuple(one for one in house_of().identities if one.person != DBA)
    await house.apply(company(identities=(*mails, *evil)))
    box = Mailbox()
    async with box.open() as port, telling(house, outbox, mail_to(port)):
        await house.ask()
        await settled(house, outbox)
    assert box.told == sorted(mail_of(name) for name in (BOTH, DBA2, RIVAL))
    (trouble,) = await outbox.troubles(house.clock.now())
    assert "none that mail is written to" in trouble.why
