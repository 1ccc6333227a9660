"""Starts one program as an unprivileged account, tied to the life of who started it. Run as a script of its own.

    python launch.py PARENT SIGNAL ACCOUNT FOLDERS... -- PROGRAM ARGUMENTS...

``PARENT`` is the pid that the program must not outlive, or 0; ``SIGNAL`` what it then gets. ``ACCOUNT`` is the name to
become, or ``-``. ``FOLDERS`` are paths that the account must be able to enter; one that it cannot is named on stderr.

It is a script and not a preexec function, since those are unsafe in a process that has threads. Standard library
only, and no import of Interlock: it runs with the account's rights, which may not reach further.
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

UNREACHABLE = 126
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    split = arguments.index("--")
    parent, signal, account, *folders = arguments[:split]
    program = arguments[split + 1 :]
    if account != "-":
        become(account)
    for folder in folders:
        barred = first_barred(Path(folder))
        if barred is not None:
            sys.stderr.write(f"{barred}\n")
            sys.exit(UNREACHABLE)
    if int(parent):
        tie_to(int(parent), int(signal))
    os.umask(0o077)
    os.execv(program[0], program)  # noqa: S606 - to become the program, with no shell, is all this is for


def become(account: str) -> None:
    entry = pwd.getpwnam(account)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def first_barred(path: Path) -> Path | None:
    """The first folder on the way to ``path``, itself included, that this account may not enter."""
    for folder in [*reversed(path.parents), path]:
        if not os.access(folder, os.X_OK):
            return folder
    return None


def tie_to(parent: int, signal: int) -> None:
    """Get ``signal`` when the parent ends. Linux; elsewhere an orphan is found and stopped at the next start."""
    if sys.platform == "linux":
        # After the change of account, which clears it.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
