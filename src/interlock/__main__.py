"""``python -m interlock`` is the ``interlock`` command."""

from interlock.cli.main import run

run()
