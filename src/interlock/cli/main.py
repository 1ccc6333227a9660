"""The command line. ``run`` is the one boundary where an error becomes a sentence and an exit code.

Exit codes: 0 done; 1 refused or failed, with a sentence on stderr that says why and what to do; 2 wrong usage.
"""

import errno
import importlib
import io
import os
import sys
import traceback
from typing import TextIO

import typer

from interlock.cli import output, overview
from interlock.cli.home import open_home
from interlock.errors import InterlockError

DONE, FAILED, USAGE = 0, 1, 2
INTERRUPTED = 130
"""What Typer makes of Ctrl-C."""
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EPIPE})

GROUPS = {
    "running": ("up", "serve", "enrol"),
    "demo": ("demo",),
    "signing_in": ("login", "logout", "whoami"),
    "access": ("resources", "grants", "end"),
    "asking": ("request", "requests", "show", "approve", "deny", "withdraw"),
    "connecting": ("connect",),
    "sessions": ("sessions", "watch", "replay", "cut"),
    "recordings": ("recordings",),
    "people": ("people", "contracts", "contract"),
    "inviting": ("arrive",),
    "recovery": ("recover",),
    "offboarding": ("offboard", "offboarding", "verify-report"),
    "agents": ("agents", "agent"),
    "policy": ("policy",),
    "proving": ("prove",),
    "duties": ("duty",),
    "gate": ("gate",),
    "git_hook": ("git-hook",),
    "evidence": ("evidence",),
    "ledger": ("ledger",),
    "witness": ("witness",),
    "detections": ("detections",),
    "report": ("report",),
    "keys": ("keys",),
    "doctor": ("doctor",),
}
"""The file of each command. Only the one that is typed is imported: a client must not wait for the server's parts."""


def run(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    _have_outputs()
    code = outcome(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _tell_unwritable(error)
    try:
        sys.stderr.flush()
    except OSError:
        # What it still holds would fail again when Python ends, and change the exit code.
        _say_no_more(sys.stderr)
    sys.exit(code)


def build_app(command: str = "") -> typer.Typer:
    """The program with the commands of the file that has ``command``; with all of them when none has."""
    app = typer.Typer(
        name="interlock",
        help="Deliberate access to production, with a second person behind every dangerous step.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def interlock() -> None:
        """Deliberate access to production, with a second person behind every dangerous step."""

    wanted = [file for file, commands in GROUPS.items() if command in commands] or list(GROUPS)
    for file in wanted:
        importlib.import_module(f"interlock.cli.{file}").add_to(app)
    return app


def outcome(arguments: list[str]) -> int:
    """Run one command; its exit code. Whatever happens inside ends as a sentence."""
    first = arguments[0] if arguments else ""
    try:
        if not any(first in commands for commands in GROUPS.values()):
            return _answer_no_command(first)
        app = build_app(first)
        answer = app(args=arguments, prog_name="interlock", standalone_mode=False)
    except typer.TyperException as error:
        output.note(_usage(error))
        return USAGE
    except (typer.Abort, KeyboardInterrupt):
        output.note("Stopped.")
        return FAILED
    except InterlockError as error:
        output.complain(error)
        return error.exit_code
    except SystemExit:
        # What Typer makes of a broken pipe. Whoever read our output has enough; nothing more can be said to them.
        _say_no_more(sys.stdout)
        return DONE
    except OSError as error:
        if error.errno in _UNWRITABLE:
            return _tell_unwritable(error)
        _tell_fault(error)
        return FAILED
    except Exception as error:  # noqa: BLE001 -- the boundary: a fault of ours is told in words, its trace is kept aside
        _tell_fault(error)
        return FAILED
    if answer == INTERRUPTED:
        output.note("Stopped.")
        return FAILED
    return answer if isinstance(answer, int) else DONE


def _answer_no_command(first: str) -> int:
    if first in overview.HELP:
        output.say(overview.overview())
    elif first in overview.VERSION:
        output.say(overview.version_line())
    else:
        output.note(overview.unknown(first) if first else overview.overview())
        return USAGE
    return DONE


def _have_outputs() -> None:
    """A program may be started with its outputs closed, or with an encoding that lacks most letters."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say_no_more(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _tell_unwritable(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        _say_no_more(sys.stdout)
        return DONE
    where = "The output" if error.filename is None else str(error.filename)
    output.note(f"{where} cannot be written: {error.strerror}.\nMake room, or write elsewhere, and type it again.")
    _say_no_more(sys.stdout)
    return FAILED


def _usage(error: typer.TyperException) -> str:
    said = error.format_message()
    context = getattr(error, "ctx", None)
    return said if "Usage:" in said else f"{said}\nSee: {context.command_path if context else 'interlock'} --help"


def _tell_fault(error: Exception) -> None:
    trace = "".join(traceback.format_exception(error))
    try:
        where = open_home().write("fault.log", trace)
        kept = f"The details are in {where}."
    except (InterlockError, OSError):
        kept = "The details could not be written anywhere."
    output.note(f"Interlock met a fault of its own: {type(error).__name__}: {error}\n{kept} Please report them.")
