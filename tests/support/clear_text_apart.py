"""A gateway that lets clients on its own machine in without TLS, and clients at every kind of address around it.

    unshare --user --map-root-user --net python -m tests.support.clear_text_apart FOLDER

Runs in a network namespace of its own: a machine with a loopback and one cable to a second machine (a namespace
below it). Prints, as JSON, what a client that asks for no TLS is answered at each address: ``R`` (say your password),
``E`` and the sentence, or ``""`` (no connection).
"""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import tests.toy
from interlock.gateway.settings import Listen
from interlock.gateway.worker import working
from interlock.ports.protocol import ProtocolAdapter
from interlock.protocols.postgres import PROTOCOL, messages
from tests.gateway.world import surroundings
from tests.support.control import DeskLink

OURS, THEIRS = "10.77.0.1", "10.77.0.2"
_STARTUP = messages.startup([("user", "dev"), ("database", "orders")])
_KNOCK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 3, (sys.argv[3], 0)) as client:
        client.sendall(bytes.fromhex(sys.argv[4]))
        print(client.recv(4096).decode(errors="replace"), end="")
except OSError:
    pass
"""


def lay_cable() -> "subprocess.Popen[bytes]":
    """Loopback up, and a second machine at the end of a cable; it is there as long as the process given back."""
    other = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE)
    if other.stdout is None or not other.stdout.readline():
        raise RuntimeError("there is no second network namespace")
    for words in (
        "link set lo up",
        f"link add near type veth peer name far netns {other.pid}",
        f"addr add {OURS}/24 dev near",
        "link set near up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    for words in ("link set lo up", f"addr add {THEIRS}/24 dev far", "link set far up"):
        subprocess.run([*_inside(other), "ip", *words.split()], check=True)
    return other


def _inside(other: "subprocess.Popen[bytes]") -> list[str]:
    return ["nsenter", "--net", "--target", str(other.pid)]


async def knock(to: str, port: int, source: str, inside: list[str] | None = None) -> str:
    """The beginning of what the gateway answers to a start without TLS."""
    command = [*(inside or []), sys.executable, "-c", _KNOCK, to, str(port), source, _STARTUP.hex()]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode()


async def ask_around(folder: Path, other: "subprocess.Popen[bytes]") -> dict[str, str]:
    async with surroundings(folder) as gate:
        settings = replace(gate.settings(), listen={"postgres": Listen("::", 0, clear_text=True)})
        adapters: dict[str, ProtocolAdapter] = {"toy": tests.toy.PROTOCOL, "postgres": PROTOCOL}
        async with working(settings, adapters, DeskLink(gate.desk.port)) as worker:
            port = worker.addresses["postgres"][1]
            return {
                "loopback": await knock("127.0.0.1", port, "127.0.0.1"),
                "loopback 6": await knock("::1", port, "::1"),
                "own address": await knock(OURS, port, OURS),
                "loopback to own address": await knock(OURS, port, "127.0.0.1"),
                "own address to loopback": await knock("127.0.0.1", port, OURS),
                "another machine": await knock(OURS, port, THEIRS, _inside(other)),
                "another machine as loopback": await knock(OURS, port, "127.0.0.1", _inside(other)),
            }


def main() -> None:
    other = lay_cable()
    try:
        sys.stdout.write(json.dumps(asyncio.run(ask_around(Path(sys.argv[1]), other))))
    finally:
        other.kill()
        other.wait()


if __name__ == "__main__":
    main()
