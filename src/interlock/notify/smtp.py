"""Mail by SMTP (RFC 5321): one message for each recipient, in plain text, over TLS unless the server is this machine.

Who reads a mail sees no other recipient. What people wrote stands in the body alone, each on one line with every
acting character written out, so that it makes no header and no line of ours.
"""

import asyncio
import hashlib
import re
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from interlock.domain.notices import Later, Letter, Never, Outcome, Told
from interlock.domain.plain_text import written_out
from interlock.errors import Failure
from interlock.ports.notify import NotifierSettings

_WAIT_S = 10.0
_LONGEST = 2000
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mail:
    """Implements :class:`interlock.ports.notify.OpenNotifier`. ``wrapped``: TLS from the first byte (RFC 8314)."""

    host: str
    port: int
    wrapped: bool
    sender: str
    console: str
    user: str = ""
    password: str = field(default="", repr=False)

    async def send(self, letters: Sequence[Letter]) -> Sequence[Outcome]:
        fit = [letter for letter in letters if is_address(letter.address)]
        sent = iter(await asyncio.to_thread(self._send, fit) if fit else ())
        nobody = Never("this person's address is none that mail is written to")
        return [next(sent) if is_address(letter.address) else nobody for letter in letters]

    async def close(self) -> None:
        return

    def _send(self, letters: Sequence[Letter]) -> list[Outcome]:
        """Raises Failure when the server takes none; what is lost on the way, from there on, comes again."""
        outcomes: list[Outcome] = []
        try:
            with self._connect() as server:
                while len(outcomes) < len(letters):
                    letter = letters[len(outcomes)]
                    outcomes.append(_hand_over(server, message_of(letter, self.sender, self.console)))
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            failure = Failure(f"The mail server {self.host} does not take mail: {_said(error)}.", "Look at it.")
            if not outcomes:
                raise failure from error
            outcomes += [Later(str(failure))] * (len(letters) - len(outcomes))
        return outcomes

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        # else its name would be looked up first, which can take long where nobody answers
        ours = self.sender.rpartition("@")[2]
        if self.wrapped:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, ours, timeout=_WAIT_S, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, ours, timeout=_WAIT_S)
        try:
            if not self.wrapped and not _is_here(self.host):
                # raises when the server offers none: then nothing is sent (RFC 3207 section 6)
                server.starttls(context=context)
            if self.user:
                server.login(self.user, self.password)
        except (smtplib.SMTPException, OSError):
            server.close()
            raise
        return server


def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> Outcome:
    """Raises SMTPException when the connection is of no use any more."""
    try:
        server.send_message(message)
    except smtplib.SMTPRecipientsRefused as refused:
        return _refused(next((code for code, _ in refused.recipients.values()), 0), "the recipient")
    except smtplib.SMTPDataError as refused:
        return _refused(refused.smtp_code, "the message")
    return Told()


def _refused(code: int, what: str) -> Outcome:
    """RFC 5321 section 4.2.1: 5xx is for good, 4xx for now."""
    said = f"the mail server does not take {what}: it answers {code}"
    return Never(said) if code >= 500 else Later(said)


def message_of(letter: Letter, sender: str, console: str) -> EmailMessage:
    """``Message-ID`` is the same however often it is sent, so that a reader's mailbox can tell."""
    notice = letter.notice
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = sender
    message["To"] = letter.address
    message["Subject"] = f"Interlock: {notice.sentence}"
    message["Date"] = format_datetime(notice.at)
    unique = hashlib.sha256(f"{notice.position} {letter.address}".encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{unique}@{sender.rpartition('@')[2]}>"
    # RFC 3834 section 5: no absence notice is to answer it
    message["Auto-Submitted"] = "auto-generated"
    lines = [f"{label}: {_line(value)}" for label, value in notice.fields]
    message.set_content("\n".join([f"{notice.sentence}.", "", *lines, "", f"{console}{notice.path}", ""]))
    return message


def is_address(text: str) -> bool:
    """Whether ``text`` is one plain address; anything cleverer is not written to."""
    return _ADDRESS.fullmatch(text) is not None


def _line(text: str) -> str:
    plain = written_out(text)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


def _said(error: Exception) -> str:
    """Without what the server wrote, which may repeat what it was told."""
    code = getattr(error, "smtp_code", None)
    return f"it answers {code}" if code is not None else type(error).__name__


def _is_here(host: str) -> bool:
    return host in {"127.0.0.1", "localhost", "::1"}


class Smtp:
    name = "smtp"
    reaches = "email"

    def open(self, settings: NotifierSettings) -> Mail:
        right = "Write to: smtps://USER@HOST, or smtp://USER@HOST:587 for STARTTLS."
        try:
            parts = urlsplit(settings.to)
            port = parts.port or (465 if parts.scheme == "smtps" else 587)
        except ValueError as error:
            raise Failure("A mail server of notify has no usable address.", right) from error
        if parts.scheme not in {"smtps", "smtp"} or not parts.hostname or parts.password is not None:
            raise Failure("A mail server of notify has no address of SMTP.", right)
        if not is_address(settings.sender):
            raise Failure(f"Mail cannot come from {written_out(settings.sender)!r}.", "Write from: me@example.com")
        user = unquote(parts.username or "")
        if bool(user) is not bool(settings.secret):
            raise Failure(
                f"The mail server {parts.hostname} needs both a user in its address and a secret, or neither.", right
            )
        wrapped = parts.scheme == "smtps"
        return Mail(parts.hostname, port, wrapped, settings.sender, settings.console, user, settings.secret)


NOTIFIER = Smtp()
