"""Where notices arrive in tests: a mail server, and what goes on between the ledger and it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from interlock.app.channels import Channel
from interlock.app.discovery import find_notifiers
from interlock.app.notifying import tell_people
from interlock.domain.notices import NoticeKind
from interlock.domain.people import Identity
from interlock.domain.roles import ApprovalRule, BreakGlass
from interlock.policy.configuration import Configuration, Notifier
from interlock.ports.notify import NotifierSettings
from interlock.store.outbox import PostgresOutbox
from tests.services.world import ADMIN, LEAD, World, company

CONSOLE = "https://localhost:8443"
SENDER = "interlock@example.com"


def mail_of(person: str) -> str:
    return f"{person.replace('@', '.')}@mail.example"


def house_of() -> Configuration:
    """The company with an address for each person, and a role that OPS may break glass for."""
    plain = company()
    glass = BreakGlass(
        longest=timedelta(minutes=30),
        by=ApprovalRule(1, "ops"),
        tell=ApprovalRule(1, people=frozenset({LEAD, ADMIN})),
        review=ApprovalRule(2, "dba"),
    )
    roles = {**plain.roles, "watched": replace(plain.roles["watched"], break_glass=glass)}
    return company(roles=roles, identities=tuple(Identity("email", mail_of(name), name) for name in plain.people))


@dataclass
class Mailbox:
    """A mail server that keeps what it gets. ``refusing``: what it answers to a recipient, by address."""

    got: list[tuple[str, bytes]] = field(default_factory=list)
    refusing: dict[str, str] = field(default_factory=dict)
    users: list[str] = field(default_factory=list)
    greeted: list[str] = field(default_factory=list)

    async def handle_EHLO(  # noqa: N802 -- the name that the server looks for
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.greeted.append(hostname)
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        if (answer := self.refusing.get(address)) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        assert len(envelope.rcpt_tos) == 1
        self.got.append((envelope.rcpt_tos[0], envelope.content))
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.users.append(given.login.decode())
        return AuthResult(success=given.password == b"the password", handled=False)

    @property
    def told(self) -> list[str]:
        return sorted(address for address, _ in self.got)

    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(content, policy=policy.default) for _, content in self.got]

    @asynccontextmanager
    async def open(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> AsyncIterator[int]:
        def greet() -> SMTP:
            return SMTP(
                self,
                hostname="mail.example",
                authenticator=self.authenticate,
                auth_require_tls=tls is None,
                tls_context=starttls,
                require_starttls=starttls is not None,
            )

        server = await asyncio.get_running_loop().create_server(greet, host, 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()


def channel_of(kind: str, to: str = "", *on: NoticeKind, name: str = "n", **more: str) -> Channel:
    """A notifier as the configuration would open it; ``more`` are its secrets."""
    adapter = find_notifiers()[kind]
    sender = SENDER if kind == "smtp" else ""
    inside = kind != "smtp"
    notifier = adapter.open(NotifierSettings(name, to, sender=sender, inside=inside, console=CONSOLE, **more))
    return Channel(Notifier(name, kind, to, on=frozenset(on or NoticeKind)), adapter.reaches, notifier)


def mail_to(port: int, *on: NoticeKind) -> Channel:
    return channel_of("smtp", f"smtp://127.0.0.1:{port}", *on)


async def _elected() -> None:
    return


@asynccontextmanager
async def telling(world: World, outbox: PostgresOutbox, *channels: Channel) -> AsyncIterator[None]:
    named = {channel.source.name: channel for channel in channels}
    task = asyncio.create_task(tell_people(world.desk, outbox, named, _elected))
    try:
        await until_upto(outbox, 0)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for channel in channels:
            await channel.notifier.close()


async def until_so(holds: Callable[[], Awaitable[object]]) -> None:
    for _ in range(2000):
        if await holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def until_upto(outbox: PostgresOutbox, position: int) -> None:
    async def is_there() -> bool:
        return (await outbox.upto() or 0) >= max(position, 1)

    await until_so(is_there)


async def settled(world: World, outbox: PostgresOutbox, *names: str) -> None:
    """Everything that happened was looked at, and what is due was sent."""
    async with world.state.reading() as reading:
        head = await reading.ledger_head()
    await until_upto(outbox, head)

    async def are_sent() -> bool:
        return not any([await outbox.due(name, world.clock.now(), 1) for name in names or ("n",)])

    await until_so(are_sent)
