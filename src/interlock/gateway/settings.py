"""What a worker is told when it starts: where to listen, where to keep things, and the bounds it holds to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.wire.objects import Place


@dataclass(frozen=True, slots=True)
class Listen:
    """Where one protocol is listened for. Port 0 takes any free one, for a single worker.

    ``clear_text`` lets clients whose connection never leaves this machine in without TLS.
    """

    host: str
    port: int
    clear_text: bool = False


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Files (PEM): the certificate and key that the listeners show, and the authority that issued the clients'."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a worker. Times in seconds, sizes in bytes.

    A *stranger* is a connection that nobody has vouched for yet. At most ``strangers`` of them are kept, and
    ``strangers_per_address`` from one address: a further one takes the place of the oldest, so that a silent client
    delays nobody. Each has ``stranger_s`` and ``stranger_bytes`` to say who it is, and once admitted ``handshake_s``
    until the upstream has answered.

    ``write_high`` and ``write_low`` bound what waits to be sent on a connection: above the one the other side is not
    read, below the other it is again. ``last_words_s`` is how long a cut client may take to read why;
    ``close_s`` how long an orderly end may take to send what was written.

    ``stale_wait_s`` is how long a statement waits for a worker that has lost the control plane before it is refused,
    ``admission_wait_s`` how long a new connection does.
    ``durable_s`` is when a read's record must be on disk, ``stall_s`` how old an unwritten record may grow before
    reads, too, wait for the disk.
    """

    strangers: int = 1024
    strangers_per_address: int = 128
    stranger_s: float = 10.0
    stranger_bytes: int = 64 * 1024
    handshake_s: float = 20.0
    connect_s: float = 10.0
    write_high: int = 256 * 1024
    write_low: int = 64 * 1024
    last_words_s: float = 0.15
    close_s: float = 5.0
    stale_wait_s: float = 30.0
    admission_wait_s: float = 2.0
    durable_s: float = 0.02
    stall_s: float = 1.0
    journal_file_bytes: int = 64 * 1024 * 1024
    interrupts_per_s: float = 50.0
    interrupts_per_address_per_s: float = 10.0
    asides: int = 4


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker. ``gateway`` is the gateway's name, ``index`` the worker's number on this host, below 256.

    ``listen`` maps a protocol's name to its address; ``journal`` and ``run`` are folders; ``recordings`` is the
    object store: a folder's path, or a URL such as ``s3://bucket/prefix``.
    """

    gateway: str
    index: int
    listen: Mapping[str, Listen]
    identity: ServerIdentity
    journal: Path
    run: Path
    recordings: str | Place
    limits: Limits = field(default_factory=Limits)
