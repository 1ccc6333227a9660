"""What a mail holds, and whom it is handed over to."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from interlock.app.discovery import find_notifiers
from interlock.domain.notices import Letter, Never, Notice, NoticeKind, Told
from interlock.errors import Failure
from interlock.identity.authority import Authority
from interlock.notify.smtp import message_of
from interlock.ports.notify import NotifierSettings, OpenNotifier
from tests.notify.posts import CONSOLE, SENDER, Mailbox

ATTACKS = (
    "x@example.com\r\nBcc: thief@example.com",
    "x@example.com, thief@example.com",
    "<thief@example.com>x@example.com",
    '"x\r\nRCPT TO:<thief@example.com>"@example.com',
    "x@example.com\u2028y",
    "-oQ/tmp@",
)


def letter(*fields: tuple[str, str], address: str = "x@example.com") -> Letter:
    notice = Notice(7, datetime.now(UTC), NoticeKind.ASKED, "A request waits", fields, "/decide/r-1")
    return Letter("n", "x", notice, address=address)


def mail(to: str, secret: str = "", sender: str = SENDER) -> OpenNotifier:
    return find_notifiers()["smtp"].open(NotifierSettings("n", to, secret, sender=sender, console=CONSOLE))


@pytest.mark.parametrize(
    "attack",
    ["x\r\nBcc: thief@example.com", "x\r\n\r\n.\r\nMAIL FROM:<a@b.c>", "x\n\nsign here", "<script>alert(1)</script>"],
)
async def test_what_people_wrote_stays_on_its_line(attack: str) -> None:
    evil = letter(("who", attack), ("reason", attack))
    read = message_from_bytes(message_of(evil, SENDER, CONSOLE).as_bytes(), policy=policy.default)
    assert read["Bcc"] is None
    assert read.get_content_type() == "text/plain"
    assert not read.is_multipart()
    assert len(read.get_content().splitlines()) == 6
    assert {*read.keys()} >= {"From", "To", "Subject", "Date", "Message-ID"}


async def test_nobody_is_written_to_but_one_plain_address() -> None:
    box = Mailbox()
    async with box.open() as port:
        letters = [letter(address=address) for address in (*ATTACKS, "x@example.com")]
        outcomes = await mail(f"smtp://127.0.0.1:{port}").send(letters)
    assert box.told == ["x@example.com"]
    assert [type(one) for one in outcomes] == [*([Never] * len(ATTACKS)), Told]
    # our own name was not looked up for it
    assert box.greeted == ["example.com"]


async def test_over_tls_with_a_password_and_to_nobody_who_is_not_who_he_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority.open(tmp_path / "keys", datetime.now(UTC))
    files = authority.ensure_server(tmp_path / "keys", ["localhost"], datetime.now(UTC))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    box = Mailbox()
    async with box.open(tls=context) as port:
        to = f"smtps://us%40example.com@localhost:{port}"
        right = mail(to, "the password")
        with pytest.raises(Failure, match="does not take mail: SSLCertVerificationError"):
            await right.send([letter()])
        assert box.users == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "keys" / "authority.pem"))
        assert await right.send([letter()]) == [Told()]
        with pytest.raises(Failure, match="it answers 535"):
            await mail(to, "another").send([letter()])
    assert box.told == ["x@example.com"]
    assert "the password" not in repr(right)


async def test_starttls_comes_before_anything_else_and_nothing_is_sent_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is not this machine's own by our rules, though it leads here."""
    authority = Authority.open(tmp_path / "keys", datetime.now(UTC))
    files = authority.ensure_server(tmp_path / "keys", ["127.0.0.2"], datetime.now(UTC))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "keys" / "authority.pem"))
    box = Mailbox()
    async with box.open(starttls=context, host="127.0.0.2") as port:
        assert await mail(f"smtp://us@127.0.0.2:{port}", "the password").send([letter()]) == [Told()]
    async with box.open(host="127.0.0.2") as port:
        with pytest.raises(Failure, match="does not take mail: SMTPNotSupportedError"):
            await mail(f"smtp://us@127.0.0.2:{port}", "the password").send([letter()])
    assert box.told == ["x@example.com"]
    assert box.users == ["us"]


async def test_what_the_server_says_is_not_repeated() -> None:
    """It may repeat what it was told, such as a password."""
    box = Mailbox(refusing={"x@example.com": "550 the password is hunter2"})
    async with box.open() as port:
        (outcome,) = await mail(f"smtp://127.0.0.1:{port}").send([letter()])
    assert outcome == Never("the mail server does not take the recipient: it answers 550")


def test_a_mail_has_the_same_id_each_time_and_another_for_each_reader() -> None:
    first, again = (message_of(letter(), SENDER, CONSOLE)["Message-ID"] for _ in range(2))
    other = message_of(replace(letter(), address="y@example.com"), SENDER, CONSOLE)["Message-ID"]
    assert first == again != other


@pytest.mark.parametrize(
    ("to", "secret", "sender"),
    [
        ("https://mail.example", "", SENDER),
        ("smtps://us:pw@mail.example", "pw", SENDER),
        ("smtps://us@mail.example", "", SENDER),
        ("smtps://mail.example:99999", "", SENDER),
        ("smtps://mail.example", "", "x@y.z\nBcc: thief@example.com"),
    ],
)
def test_what_cannot_be_done_safely_is_refused(to: str, secret: str, sender: str) -> None:
    with pytest.raises(Failure, match=r"[.]") as refused:
        mail(to, secret, sender)
    assert "pw" not in str(refused.value)
