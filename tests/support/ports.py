"""Ports for servers that cannot be given a socket, or that come back on the port they had."""

import random
import socket
from pathlib import Path

_LOWEST = 12_000
_LENT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port of the loopback that nobody listens on. It is none of those that the kernel lends to whoever connects, or
    asks for any: of those somebody else may get it before the server does, or while it is away."""
    end = int(_LENT.read_text().split()[0])
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(_LOWEST, end)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
