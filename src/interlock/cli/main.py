"""The command line. ``run`` is the one boundary where an error becomes a sentence and an exit code.

Exit codes: 0 done; 1 refused or failed, with a sentence on stderr that says why and what to do; 2 wrong usage.
"""

import os
import sys
import traceback

import typer

from interlock.cli import access, asking, connecting, ledger, output, people, policy, running, sessions, signing_in
from interlock.cli.home import open_home
from interlock.errors import InterlockError

DONE, FAILED, USAGE = 0, 1, 2
INTERRUPTED = 130
"""What Typer makes of Ctrl-C."""

app = typer.Typer(
    name="interlock",
    help="Deliberate access to production, with a second person behind every dangerous step.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

for group in (running, signing_in, access, asking, connecting, sessions, people, policy, ledger):
    group.add_to(app)


def run(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    sys.exit(outcome(sys.argv[1:] if arguments is None else arguments))


def outcome(arguments: list[str]) -> int:
    """Run one command; its exit code. Whatever happens inside ends as a sentence."""
    try:
        answer = app(args=arguments, prog_name="interlock", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        where = f"{context.command_path} --help" if context else "interlock --help"
        output.note(error.format_message() + ("" if "Usage:" in error.format_message() else f"\nSee: {where}"))
        return USAGE
    except (typer.Abort, KeyboardInterrupt):
        output.note("Stopped.")
        return FAILED
    except InterlockError as error:
        output.complain(error)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has enough; nothing more can be said to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # noqa: BLE001 -- the boundary: a fault of ours is told in words, its trace is kept aside
        _tell_fault(error)
        return FAILED
    if answer == INTERRUPTED:
        output.note("Stopped.")
        return FAILED
    return answer if isinstance(answer, int) else DONE


def _tell_fault(error: Exception) -> None:
    trace = "".join(traceback.format_exception(error))
    try:
        where = open_home().write("fault.log", trace)
        kept = f"The details are in {where}."
    except (InterlockError, OSError):
        kept = "The details could not be written anywhere."
    output.note(f"Interlock met a fault of its own: {type(error).__name__}: {error}\n{kept} Please report them.")
