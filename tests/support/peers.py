"""Programs of other people, from npm, that the tests talk to. Installed once, from the lock file beside them."""

import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "peers"


def install() -> None:
    """``npm ci``, unless what the lock file says is there already."""
    with (FOLDER / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        lock = (FOLDER / "package-lock.json").read_bytes()
        stamp = FOLDER / "node_modules" / ".installed"
        if stamp.exists() and stamp.read_bytes() == lock:
            return
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=FOLDER, check=True)
        stamp.write_bytes(lock)


@contextmanager
def running(script: str, *arguments: str, environment: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A script of the folder under Node, spoken to line by line."""
    install()
    process = subprocess.Popen(
        ["node", script, *arguments],
        cwd=FOLDER,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
