"""What `interlock` says of itself: its commands by what they are for, its version, and the name nearest to a typed one.

Nothing of a command is imported for this, so it is there at once.
"""

import difflib
from collections.abc import Mapping
from importlib.metadata import version

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Work": {
        "login": "sign in: a certificate for clients, a token for commands",
        "logout": "end this login here",
        "whoami": "the person, the login and what it rests on",
        "resources": "what there is, and what I may do with it now",
        "request": "ask for a role on a resource, for a time, for a reason",
        "connect": "start psql (or the resource's client), signed in",
        "grants": "the grants at work: mine, and those I answer for",
        "end": "end a grant now, with its live sessions",
        "withdraw": "take back a request of mine",
    },
    "Decide": {
        "requests": "those I opened, or may decide",
        "show": "a request with its exact content, and how it stands",
        "approve": "say yes to exactly what it asks",
        "deny": "say no",
    },
    "Watch": {
        "sessions": "the sessions: mine, and those I answer for",
        "watch": "see a live session as it happens",
        "replay": "the recording of a session",
        "cut": "close a live session, in the middle of a statement too",
        "recordings": "their holds, deletion, and the index of their words",
        "detections": "what is looked for, what is done then, what was found",
    },
    "People": {
        "people": "the people that I may know of",
        "contracts": "contracts, sponsors and windows",
        "contract": "one contract: confirm, take, extend, end",
        "offboard": "end a person's access now, all of it",
        "offboarding": "what ended when a person left, and what still remains",
        "arrive": "come in with the link of an invitation",
        "recover": "give one half of the code that lets a person in again",
        "agents": "the programs that act for me",
        "agent": "one of them: add it, end it",
    },
    "Separate and prove": {
        "policy": "check it, compare it, try it, change it",
        "prove": "whether nobody could do alone what takes two",
        "duty": "duties of chains: take, done, show",
        "gate": "whether a duty may be done on a commit",
        "git-hook": "the same as a hook of a git server",
        "evidence": "what was done on a commit, signed",
    },
    "Show to others": {
        "ledger": "the log of everything: search, verify, prove an entry",
        "report": "who could do what, who did, who allowed it",
        "verify-report": "check a report of an offboarding without the server",
        "witness": "watch ledgers from another team's machine",
    },
    "Run": {
        "up": "run everything",
        "serve": "run one part alone",
        "enrol": "a one-time code for a person's first sign-in",
        "keys": "take fresh keys",
        "doctor": "look at the installation on this machine",
        "demo": "everything on a ready-made example",
    },
}
HELP = ("-h", "--help")
VERSION = ("-V", "--version")


def overview() -> str:
    """The page of ``interlock --help``: 80 columns at most."""
    sections = [
        "\n".join((title, *(f"  {name:<14} {what}" for name, what in commands.items())))
        for title, commands in SECTIONS.items()
    ]
    return "\n\n".join(
        (
            "Deliberate access to production: behind each dangerous step, a second person.",
            "Usage: interlock COMMAND …        interlock COMMAND --help says all of one.",
            *sections,
            "Every command takes --json. Exit codes: 0 done, 1 refused or failed, 2 misused.",
        )
    )


def version_line() -> str:
    return f"interlock {version('interlock')}"


def unknown(command: str) -> str:
    """The sentence for what is no command."""
    named = [name for commands in SECTIONS.values() for name in commands]
    near = difflib.get_close_matches(command, named, n=2)
    if command.startswith("-"):
        return f"No such option: {command}\nSee: interlock --help"
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no command {command}.{meant}\nSee: interlock --help"
