"""One client's connection, from its first byte to its last: two SSH connections without sockets, and what is between.

asyncssh speaks SSH on both sides. It is given bytes, and hands bytes to the outlet; the gateway owns the sockets, the
time, the decision, the recording and the cut. The client is told that it is in when the host has let the gateway in:
until then every failure is the one answer to its attempt.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import asyncssh

from interlock.errors import PeerError
from interlock.ports.protocol import (
    Admission,
    Credentials,
    Held,
    Impact,
    Outlet,
    PeerCertificate,
    Proceed,
    Refused,
)
from interlock.ports.statement import Statement
from interlock.protocols.ssh.channel import Channel, Stage
from interlock.protocols.ssh.client_side import ClientConnection, serve_client
from interlock.protocols.ssh.host_identity import HostIdentity
from interlock.protocols.ssh.host_side import connect_host
from interlock.protocols.ssh.transport import OutletTransport

_MOST_CHANNELS = 32
_UNMEASURED = Impact(unmeasured="what a command does cannot be known before it runs")


class SshMachine:
    """SSH's :class:`~interlock.ports.protocol.Machine`."""

    def __init__(self, outlet: Outlet, identity: HostIdentity) -> None:
        self.outlet = outlet
        self.host: asyncssh.SSHClientConnection | None = None
        self._identity = identity
        self._client: ClientConnection | None = None
        self._admission: Admission | None = None
        self._admitted: asyncio.Future[bool] | None = None
        self._established = False
        self._ended = False
        self._number = 0
        self._host_waiter: asyncio.Future[None] | None = None
        self._channels: dict[int, Channel] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # --- the client

    def client_bytes(self, payload: bytes) -> None:
        if self._client is None:
            self._client = serve_client(self, self._identity, asyncio.get_running_loop())
            self._client.connection_made(OutletTransport(self.outlet.to_client, self._client_done))
        if not self._ended:
            self._client.data_received(payload)

    def client_secured(self, certificate: PeerCertificate | None) -> None:
        return

    def client_closed(self) -> None:
        self._stop("the client left")
        self.outlet.close("the client left")

    def client_over(self) -> None:
        """asyncssh says so: it left, or broke the protocol."""
        self._stop("the client left")

    def _client_done(self) -> None:
        self.outlet.close("the client left")

    async def admit(self, credentials: Credentials) -> bool:
        """Whether the client may come in; answered when the host has let the gateway in too."""
        if self._admitted is not None or self._ended:
            return False
        self._admitted = asyncio.get_running_loop().create_future()
        self.outlet.authenticate(credentials)
        return await self._admitted

    def open_channel(self) -> Channel:
        if not self._established or len(self._channels) >= _MOST_CHANNELS:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE, f"A session has {_MOST_CHANNELS} channels at most."
            )
        channel = Channel(self)
        self._number += 1
        channel.number = self._number
        self._channels[channel.number] = channel
        return channel

    # --- the gateway

    def admitted(self, admission: Admission) -> None:
        self._admission = admission
        self.outlet.open_upstream()

    def turned_away(self, refusal: Refused) -> None:
        self._fail_admission(refusal.sentence)

    def decided(self, number: int, verdict: Proceed | Refused) -> None:
        channel = self._channels.get(number)
        if channel is not None:
            channel.decided(verdict)

    def told(self, sentence: str) -> None:
        waiting = [channel for channel in self._channels.values() if channel.stage is Stage.ASKING]
        for channel in waiting or [one for one in self._channels.values() if one.has_terminal]:
            channel.say(sentence)

    def interrupted(self) -> None:
        return

    def ending(self, sentence: str) -> None:
        for channel in list(self._channels.values()):
            channel.stop(sentence)
        self._disconnect(sentence)
        self._stop(sentence)

    # --- the host

    def upstream_opened(self) -> None:
        if self._admission is None:
            return
        try:
            self.host, waiter = connect_host(self._admission, asyncio.get_running_loop())
        except PeerError as error:
            self._fail_admission(str(error))
            return
        self._host_waiter = waiter
        self.host.connection_made(OutletTransport(self.outlet.to_upstream, self._host_done))
        self.run(self._wait_for_host(self._admission, waiter))

    async def _wait_for_host(self, admission: Admission, waiter: "asyncio.Future[None]") -> None:
        try:
            await waiter
        except (asyncssh.Error, OSError) as error:
            self._fail_admission(_explain(admission.resource.name, error))
            return
        if self._ended or self._admitted is None:
            return
        self.outlet.established()
        self._established = True
        if not self._admitted.done():
            self._admitted.set_result(True)

    def upstream_secured(self) -> None:
        return

    def upstream_bytes(self, payload: bytes) -> None:
        if self.host is not None and not self._ended:
            self.host.data_received(payload)

    def upstream_closed(self, why: str) -> None:
        name = "" if self._admission is None else self._admission.resource.name
        reason = f": {why.rstrip('.')}" if why else ""
        if not self._established:
            waiter = self._host_waiter
            # Why the gateway left, when it did: the host hangs up on that before the task has heard of it.
            left = waiter.exception() if waiter is not None and waiter.done() and not waiter.cancelled() else None
            unreachable = f"The host of {name} cannot be reached{reason}. Ask its operator whether it runs."
            self._fail_admission(unreachable if left is None else _explain(name, left))
            return
        # What its channels said last is still on the way through asyncssh's tasks: they end first.
        self._disconnect(f"The host of {name} closed the connection{reason}.")
        self._stop("the host closed the connection")

    def _host_done(self) -> None:
        """asyncssh closed it: a broken protocol, or the host's goodbye."""
        if self._established and not self._ended:
            self._disconnect("The connection to the host broke.")
            self._stop("the connection to the host broke")
            self.outlet.close("the connection to the host broke")

    # --- channels

    def ask(self, channel: Channel, statement: Statement) -> None:
        verdict = self.outlet.ask(channel.number, statement)
        if isinstance(verdict, Held):
            self.outlet.hold(channel.number, _UNMEASURED)
        elif verdict is not None:
            channel.decided(verdict)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ran)

    def _ran(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and not self._ended:
            # A fault of ours: nothing goes on after it.
            self._disconnect("The gateway met a fault of its own and ends this session.")
            self._stop("a fault of the gateway")
            self.outlet.close("a fault of the gateway")

    def forget(self, channel: Channel) -> None:
        self._channels.pop(channel.number, None)

    # --- the end

    def _fail_admission(self, sentence: str) -> None:
        if self._admitted is not None and not self._admitted.done():
            self._admitted.set_result(False)
        self._disconnect(sentence)
        self._stop(sentence)
        self.outlet.close(sentence)

    def _disconnect(self, sentence: str) -> None:
        if self._client is not None and not self._client.is_closed():
            # OpenSSH's client shows what is not ASCII as numbers.
            plain = sentence.replace("…", "...").encode("ascii", "replace").decode()
            self._client.disconnect(asyncssh.DISC_BY_APPLICATION, plain)

    def _stop(self, why: str) -> None:
        if self._ended:
            return
        self._ended = True
        for channel in list(self._channels.values()):
            channel.end(why)
        if self._admitted is not None and not self._admitted.done():
            self._admitted.set_result(False)
        for connection in (self.host, self._client):
            if connection is not None and not connection.is_closed():
                connection.abort()
        for task in tuple(self._tasks):
            task.cancel()


def _explain(name: str, error: BaseException) -> str:
    """Why the gateway did not get in at the host of ``name``."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return (
            f"The host that answers for {name} is not the one that its operator named (its host key is another). "
            "Nothing was sent to it. Tell the operator."
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return f"The host of {name} did not let the gateway in. Tell its operator."
    return f"The host of {name} cannot be reached: {error}. Ask its operator whether it runs."
