"""The one boundary: exit codes, sentences on stderr, one document on stdout, never a traceback."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from interlock.cli import main, overview
from interlock.cli.main import DONE, FAILED, GROUPS, USAGE, build_app, outcome
from interlock.errors import ConfigurationError, Failure, Refusal


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("INTERLOCK_SERVER", "INTERLOCK_PASSWORD", "INTERLOCK_TOTP", "INTERLOCK_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def _commands(app: typer.Typer) -> set[str]:
    found = {info.name or "" for info in app.registered_commands}
    return found | {info.name for info in app.registered_groups if isinstance(info.name, str)}


def test_every_command_stands_in_the_table_of_its_file() -> None:
    for file, commands in GROUPS.items():
        assert _commands(build_app(commands[0])) == set(commands), file
    assert _commands(build_app()) == {command for commands in GROUPS.values() for command in commands}


def test_the_overview_names_every_command_once_in_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    named = [name for commands in overview.SECTIONS.values() for name in commands]
    assert sorted(named) == sorted(command for commands in GROUPS.values() for command in commands)
    assert outcome(["--help"]) == DONE
    page = capsys.readouterr().out
    assert all(len(line) <= 80 for line in page.splitlines())
    assert outcome([]) == USAGE
    assert capsys.readouterr().err == page


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["--version"]) == DONE
    assert capsys.readouterr().out == f"interlock {version('interlock')}\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("aprove", "There is no command aprove. Did you mean approve"),
        ("--bogus", "No such option: --bogus"),
        ("zzzzzz", "There is no command zzzzzz.\n"),
    ],
)
def test_what_is_no_command(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome([typed]) == USAGE
    assert capsys.readouterr().err.startswith(said)


def test_every_command_takes_json(capsys: pytest.CaptureFixture[str]) -> None:
    for command in _all_commands():
        assert outcome([*command, "--help"]) == DONE
        assert "--json" in capsys.readouterr().out, command


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["request"],
        ["request", "orders", "--role", "reader", "--for", "1h", "--reason", "x", "--bogus"],
        ["requests", "--mine", "--to-decide"],
        ["login", "--enrol-only", "--person", "x"],
        ["login"],
        ["replay", "s-1", "--speed", "-1"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(arguments) == USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["whoami"],
        ["resources"],
        ["approve", "r-00000000"],
        ["connect", "orders"],
        ["ledger", "verify"],
        ["sessions", "--live"],
    ],
)
def test_without_a_login_there_is_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(arguments) == FAILED
    captured = capsys.readouterr()
    assert captured.err.startswith("Nobody is signed in here")
    assert "interlock login" in captured.err


def test_an_error_under_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["whoami", "--json"]) == FAILED
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["code"] == "not-signed-in"
    assert captured.err.startswith("Nobody is signed in here")


def test_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_PASSWORD", "irrelevant")
    code = "00" * 16 + "." + "11" * 16
    assert outcome(["login", "--server", "https://127.0.0.1:1", "--person", "x", "--code", code]) == FAILED
    assert capsys.readouterr().err.startswith("https://127.0.0.1:1 cannot be reached: Connection refused.")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Refusal("self-approval", "No.", "Ask somebody."), "No.\nAsk somebody.\n"),
        (Failure("The disk is full."), "The disk is full.\n"),
        (ConfigurationError(("a.yaml:1: one", "a.yaml:2: two")), "a.yaml:1: one\na.yaml:2: two\n"),
    ],
)
def test_errors_are_sentences(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _command_that_raises(monkeypatch, error)
    assert outcome(["broken"]) == FAILED
    assert capsys.readouterr().err == said


def test_a_fault_of_ours_is_told_and_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _command_that_raises(monkeypatch, ZeroDivisionError("division by zero"))
    assert outcome(["broken"]) == FAILED
    said = capsys.readouterr().err
    assert said.startswith("Interlock met a fault of its own: ZeroDivisionError: division by zero")
    assert "Traceback" not in said
    assert "Traceback" in (tmp_path / "home" / "fault.log").read_text()


def test_ctrl_c_is_no_fault(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _command_that_raises(monkeypatch, KeyboardInterrupt())
    assert outcome(["broken"]) == FAILED
    assert capsys.readouterr().err == "Stopped.\n"


def test_policy_check_names_file_and_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("people:\n  a@example.com: {grups: [x]}\nvendors: {v: {}}\nfoo: 1\n")
    assert outcome(["policy", "check", "bad.yaml"]) == FAILED
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["bad.yaml:2", "bad.yaml:4"]
    assert outcome(["policy", "check", "missing.yaml"]) == FAILED
    assert "there is no file missing.yaml" in capsys.readouterr().err


def test_ledger_verify_of_a_file_needs_no_login(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "copy.jsonl").write_text("nonsense\n")
    assert outcome(["ledger", "verify", "copy.jsonl", "--json"]) == FAILED
    told = json.loads(capsys.readouterr().out)
    assert told["holds"] is False
    assert told["entry"] == 1


def _command_that_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def build(_: str = "") -> typer.Typer:
        app = build_app("whoami")

        @app.command("broken")
        def broken() -> None:
            raise error

        return app

    monkeypatch.setattr(main, "build_app", build)
    monkeypatch.setitem(main.GROUPS, "broken", ("broken",))


def _all_commands() -> list[list[str]]:
    app = build_app()
    found = [[info.name] for info in app.registered_commands if info.name]
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is not None and isinstance(group.name, str):
            found.extend([group.name, info.name] for info in inner.registered_commands if info.name)
    return found
