"""What is asked of a host over SSH, to what it needs.

A shell, a command and a subsystem can do anything that the account can: they are ``execute``. One ``exec`` is one
text, whatever its shell would make of ``;`` in it.
"""

from interlock.domain.actions import Action, Need
from interlock.ports.statement import Described, Effect, Statement

SHELL = Described((Need(Action.EXECUTE, "shell"),), Effect.NOW, "shell")
COMMAND = Described((Need(Action.EXECUTE, "command"),), Effect.NOW, "command")
SUBSYSTEM = Described((Need(Action.EXECUTE, "subsystem"),), Effect.NOW, "subsystem")


def needs_of_command(text: str) -> tuple[Need, ...]:
    """Nothing at all is a shell."""
    return (SHELL if not text.strip() else COMMAND).needs


def shell() -> Statement:
    return Statement("", SHELL)


def command(text: str) -> Statement:
    return Statement(text, COMMAND)


def subsystem(name: str) -> Statement:
    return Statement(name, SUBSYSTEM)
