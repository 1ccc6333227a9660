"""One channel of a session: a shell, a command or SFTP, asked about, run on the host, and written down as it goes.

::

    ASKING    the gateway decides, or others are asked; what the client sends meanwhile waits
    OPENING   it may proceed: the channel to the host is being made
    RUNNING   bytes in both directions, each written down before it is handed on
    OVER
"""

import codecs
from enum import Enum
from typing import Any, Protocol

import asyncssh

from interlock.errors import PeerError
from interlock.ports.protocol import Outlet, Proceed, Refused, TerminalInput, TerminalOutput, TerminalSize
from interlock.ports.statement import Outcome, Statement
from interlock.protocols.ssh import classify
from interlock.protocols.ssh.client_side import WINDOW

_KEPT_BYTES = 1024 * 1024
"""How much of what a program without a terminal says, and is told, is recorded; a terminal's is recorded whole."""

_WAITING_BYTES = 256 * 1024
_MOST_COLUMNS, _MOST_ROWS = 1000, 500
_PASSED_ON = ("LANG", "LC_")
"""Environment that a client may set: how text looks, nothing that a program takes for its code or its libraries."""

_INTERRUPT = b"\x03"
REFUSED_STATUS = 126
"""POSIX's "found but cannot be executed"."""


class Stage(Enum):
    ASKING = 1
    OPENING = 2
    RUNNING = 3
    OVER = 4


class ChannelOwner(Protocol):
    """The machine, as one of its channels sees it."""

    @property
    def outlet(self) -> Outlet: ...

    @property
    def host(self) -> asyncssh.SSHClientConnection | None: ...

    def ask(self, channel: "Channel", statement: Statement) -> None: ...

    def run(self, work: Any) -> None: ...

    def forget(self, channel: "Channel") -> None: ...


class Channel(asyncssh.SSHServerSession[bytes]):
    """The client's side of it. ``number`` is its statement's."""

    def __init__(self, owner: ChannelOwner) -> None:
        self.number = 0
        self.stage = Stage.ASKING
        self.statement: Statement | None = None
        self._owner = owner
        self._client: asyncssh.SSHServerChannel[bytes] | None = None
        self._host: asyncssh.SSHClientChannel[bytes] | None = None
        self._terminal: tuple[str, dict[int, int]] | None = None
        self._size = (80, 24)
        self._early: list[bytes] = []
        self._early_end = False
        self._waiting_bytes = 0
        self._said = 0
        self._typed = 0
        self._out = codecs.getincrementaldecoder("utf-8")("replace")
        self._in = codecs.getincrementaldecoder("utf-8")("replace")
        self._exit: int | tuple[str, bool, str, str] | None = None

    @property
    def has_terminal(self) -> bool:
        return self._terminal is not None

    # --- what the client asks for

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._client = chan

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Any) -> bool:
        self._terminal = (term_type[:40], dict(term_modes))
        self._size = _bounded(term_size[0], term_size[1])
        return True

    def shell_requested(self) -> bool:
        self.statement = classify.shell()
        return True

    def exec_requested(self, command: str) -> bool:
        self.statement = classify.command(command)
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        self.statement = classify.subsystem(subsystem)
        return True

    def session_started(self) -> None:
        if self.statement is None or self._client is None:
            raise PeerError("The client started nothing.")
        self._owner.run(self._pause())
        self._owner.ask(self, self.statement)

    async def _pause(self) -> None:
        # asyncssh starts to read when this call has returned.
        if self.stage in (Stage.ASKING, Stage.OPENING) and self._client is not None:
            self._client.pause_reading()

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        self._size = _bounded(width, height)
        if self.stage is Stage.RUNNING:
            self._record_size(self._resize_host)

    def signal_received(self, signal: str) -> None:
        if self._host is not None and self.stage is Stage.RUNNING:
            self._host.send_signal(signal)
        elif signal == "INT":
            self._owner.outlet.withdraw(self.number)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self.stage is Stage.RUNNING:
            self._take_input(data)
        elif self.stage is not Stage.OVER:
            if self.has_terminal and _INTERRUPT in data:
                self._owner.outlet.withdraw(self.number)
            self._early.append(data)

    def eof_received(self) -> bool:
        if self.stage is Stage.RUNNING:
            self._end_input()
        else:
            self._early_end = True
        return True

    def pause_writing(self) -> None:
        if self._host is not None:
            self._host.pause_reading()

    def resume_writing(self) -> None:
        if self._host is not None:
            self._host.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.end("the client left")

    # --- what the gateway says

    def decided(self, verdict: Proceed | Refused) -> None:
        if self.stage is not Stage.ASKING:
            return
        if isinstance(verdict, Proceed):
            self.stage = Stage.OPENING
            self._owner.run(self._open())
        else:
            self.stage = Stage.OVER
            self.say(verdict.sentence)
            self._close_client(REFUSED_STATUS)
            self._owner.forget(self)

    def say(self, sentence: str) -> None:
        """A line of the gateway's own, beside what the program says."""
        if self._client is not None and not self._client.is_closing():
            line = f"{sentence}\r\n" if self.has_terminal else f"{sentence}\n"
            self._client.write_stderr(line.encode())

    async def _open(self) -> None:
        host, statement = self._owner.host, self.statement
        if host is None or statement is None:
            return
        wish: dict[str, Any] = {}
        if self._terminal is not None:
            wish |= {"request_pty": True, "term_type": self._terminal[0] or "dumb", "term_modes": self._terminal[1]}
            wish |= {"term_size": self._size}
        else:
            wish["request_pty"] = False
        if statement.summary == "subsystem":
            wish["subsystem"] = statement.text
        elif statement.summary == "command":
            wish["command"] = statement.text
        try:
            await host.create_session(
                lambda: HostChannel(self), env=self._environment(), encoding=None, window=WINDOW, **wish
            )
        except (asyncssh.Error, OSError) as error:
            self.say(f"The host did not start it: {error}.")
            self.end(f"the host did not start it: {error}", status=REFUSED_STATUS)
            return
        if self.stage is Stage.OPENING:
            self._start()

    def _environment(self) -> dict[bytes | str, bytes | str]:
        given = self._client.get_environment() if self._client is not None else {}
        return {name: value for name, value in given.items() if name == _PASSED_ON[0] or name.startswith(_PASSED_ON[1])}

    def _start(self) -> None:
        self.stage = Stage.RUNNING
        if self.has_terminal:
            self._record_size(lambda: None)
        early, self._early = self._early, []
        for part in early:
            self._take_input(part)
        if self._early_end:
            self._end_input()
        if self._client is not None:
            self._client.resume_reading()

    # --- from the client to the host

    def _take_input(self, payload: bytes) -> None:
        self._typed += len(payload)
        if self._typed > _KEPT_BYTES and not self.has_terminal:
            # Still in order: what is recorded was asked for before.
            self._later(b"", lambda: self._to_host(payload), size=len(payload))
            return
        self._later(payload, lambda: self._to_host(payload), size=len(payload))

    def _later(self, payload: bytes, then: Any, *, size: int) -> None:
        """Hand on when it is on disk, and everything before it."""
        self._waiting_bytes += size
        if self._waiting_bytes > _WAITING_BYTES and self._client is not None:
            self._client.pause_reading()

        def settled() -> None:
            self._waiting_bytes -= size
            then()
            if self._waiting_bytes <= _WAITING_BYTES // 2 and self._client is not None:
                self._client.resume_reading()

        if payload:
            scene = TerminalInput(self._in.decode(payload))
            self._owner.outlet.record(self.number, scene, settled, durable=True)
        elif self._waiting_bytes > size:
            self._owner.outlet.record(self.number, TerminalInput(""), settled, durable=True)
        else:
            settled()

    def _to_host(self, payload: bytes) -> None:
        if self._host is not None and not self._host.is_closing():
            self._host.write(payload)

    def _end_input(self) -> None:
        self._later(b"", self._host_eof, size=0)

    def _host_eof(self) -> None:
        if self._host is not None and not self._host.is_closing():
            self._host.write_eof()

    def _record_size(self, then: Any) -> None:
        self._owner.outlet.record(self.number, TerminalSize(*self._size), then)

    def _resize_host(self) -> None:
        if self._host is not None:
            self._host.change_terminal_size(*self._size)

    # --- from the host to the client

    def host_opened(self, host: asyncssh.SSHClientChannel[bytes]) -> None:
        self._host = host

    def host_said(self, payload: bytes, datatype: int | None) -> None:
        self._said += len(payload)
        if self._said > _KEPT_BYTES and not self.has_terminal:
            self._to_client(payload, datatype)
            return
        scene = TerminalOutput(self._out.decode(payload))
        self._owner.outlet.record(self.number, scene, lambda: self._to_client(payload, datatype))

    def _to_client(self, payload: bytes, datatype: int | None) -> None:
        if self._client is not None and not self._client.is_closing():
            self._client.write(payload, datatype)

    def host_ended_output(self) -> None:
        self._owner.outlet.record(self.number, TerminalOutput(""), self._client_eof)

    def _client_eof(self) -> None:
        if self._client is not None and not self._client.is_closing():
            self._client.write_eof()

    def host_exited(self, how: int | tuple[str, bool, str, str]) -> None:
        self._exit = how

    def host_over(self) -> None:
        if self.stage is not Stage.OVER:
            self._owner.outlet.record(self.number, TerminalOutput(self._out.decode(b"", final=True)), self._finish)

    def _finish(self) -> None:
        self.end("", status=self._exit)

    def pause_input(self, *, pause: bool) -> None:
        if self._client is not None:
            (self._client.pause_reading if pause else self._client.resume_reading)()

    # --- the end

    def stop(self, sentence: str) -> None:
        """The session is cut: what runs is told to stop, and the client why."""
        if self._host is not None and self.stage is Stage.RUNNING:
            self._host.send_signal("HUP")
            self._host.send_signal("KILL")
        self.say(sentence)

    def end(self, why: str, *, status: int | tuple[str, bool, str, str] | None = None) -> None:
        stage, self.stage = self.stage, Stage.OVER
        if stage is Stage.OVER:
            return
        if stage is Stage.ASKING:
            self._owner.outlet.withdraw(self.number)
        else:
            size, how = self._said, self._exit
            tag = f"exit {how}" if isinstance(how, int) else f"signal {how[0]}" if how else ""
            self._owner.outlet.finish(self.number, Outcome(size_bytes=size, tag=tag, error=why))
        if self._host is not None:
            self._host.close()
        self._close_client(status)
        self._owner.forget(self)

    def _close_client(self, status: int | tuple[str, bool, str, str] | None) -> None:
        client = self._client
        if client is None:
            return
        if isinstance(status, int):
            client.exit(status)
        elif status is not None:
            client.exit_with_signal(*status)
        else:
            client.close()


class HostChannel(asyncssh.SSHClientSession[bytes]):
    """The host's side of a channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel.host_opened(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._channel.host_said(data, datatype)

    def eof_received(self) -> bool:
        self._channel.host_ended_output()
        return True

    def exit_status_received(self, status: int) -> None:
        self._channel.host_exited(status)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._channel.host_exited((signal, core_dumped, msg, lang))

    def pause_writing(self) -> None:
        self._channel.pause_input(pause=True)

    def resume_writing(self) -> None:
        self._channel.pause_input(pause=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel.host_over()


def _bounded(columns: int, rows: int) -> tuple[int, int]:
    """What a terminal can be; nothing that a recording or its replay would choke on."""
    return min(max(columns, 1), _MOST_COLUMNS) if columns else 80, min(max(rows, 1), _MOST_ROWS) if rows else 24
