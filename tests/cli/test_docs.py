"""Every command and every option that has a name of its own is in docs/commands.md."""

import re
from pathlib import Path

from interlock.cli.main import build_app

DOCS = Path(__file__).parents[2] / "docs" / "commands.md"


def test_every_command_is_documented() -> None:
    text = DOCS.read_text()
    app = build_app()
    wanted = [f"interlock {info.name}" for info in app.registered_commands if info.name]
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is not None and isinstance(group.name, str):
            wanted += [f"interlock {group.name} {info.name}" for info in inner.registered_commands if info.name]
    assert [command for command in wanted if f"{command} " not in text and f"{command}`" not in text] == []


def test_every_variable_is_documented() -> None:
    source = Path(__file__).parents[2] / "src" / "interlock"
    used = {
        name
        for folder in ("cli", "app")
        for file in (source / folder).rglob("*.py")
        for name in re.findall(r"\bINTERLOCK_[A-Z]+\b", file.read_text())
    }
    internal = {"INTERLOCK_READY"}
    text = DOCS.read_text()
    assert [name for name in sorted(used - internal) if name not in text] == []
