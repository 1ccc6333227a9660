"""A gateway worker as a program of its own, for tests that kill it: ``python -m tests.support.gateway_process JSON``.

It prints one line of JSON when it listens: the address of each listener, or ``failed`` with the sentence.
"""

import json
import logging
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from interlock.app.discovery import find_protocols
from interlock.errors import InterlockError
from interlock.gateway import archive
from interlock.gateway.settings import Limits, Listen, ServerIdentity, WorkerSettings
from interlock.gateway.worker import run_worker
from interlock.ports.control import ControlPlane
from tests.support.control import DeskLink


def main() -> None:
    told = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.WARNING)
    data = Path(told["data"])
    if told["before"] == "small files":
        # Past the limit the kernel refuses to write (EFBIG), as it does on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (128 * 1024, resource.RLIM_INFINITY))
        signal.signal(
            signal.SIGUSR1, lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        )
    if told["before"] == "short intervals":
        archive._EVERY_S = 0.05
    try:
        adapters = find_protocols()
        keys = data / "keys"
        settings = WorkerSettings(
            gateway="here",
            index=told["index"],
            listen={name: Listen("127.0.0.1", 0) for name in adapters if name == "toy"},
            identity=ServerIdentity(keys / "server.pem", keys / "server.key", keys / "authority.pem"),
            journal=data / "journal",
            run=data / "run",
            recordings=str(data / "recordings"),
            limits=Limits(**told["limits"]),
        )
        run_worker(settings, adapters, lambda: _link(told["desk"]), lambda found: _tell({**found}))
    except InterlockError as error:
        _tell({"failed": str(error)})
        sys.exit(1)


@asynccontextmanager
async def _link(port: int) -> AsyncIterator[ControlPlane]:
    yield DeskLink(port)


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
