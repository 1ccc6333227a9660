"""The policy commands, on the demo's own configuration."""

import json
from importlib.resources import files
from pathlib import Path
from string import Template

import pytest

from interlock.cli.main import DONE, FAILED, outcome

ASK = ["--person", "dev@acme.example", "--resource", "orders"]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    text = Template(files("interlock.app.demo").joinpath("interlock.yaml").read_text()).substitute(
        console="127.0.0.1:0",
        postgres="127.0.0.1:0",
        address="/run/orders:5432",
        secret="/nowhere",
        start="2026-01-01",
        end="2036-01-01",
    )
    path = tmp_path / "interlock.yaml"
    path.write_text(text)
    return path


def test_the_demos_configuration_is_in_order(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["policy", "check", str(policy), "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["people"], told["roles"], told["warnings"]) == (5, 3, [])


@pytest.mark.parametrize(
    ("statement", "role", "effect", "code"),
    [
        ("SELECT 1 FROM orders", "reader", "allow", DONE),
        ("DELETE FROM orders WHERE id = 1", "reader", "deny", FAILED),
        ("DELETE FROM orders WHERE id = 1", "writer", "allow", DONE),
        ("DELETE FROM orders", "writer", "hold", DONE),
        ("select 1\0; drop table orders", "writer", "deny", FAILED),
    ],
)
def test_explain(
    policy: Path, statement: str, role: str, effect: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(["policy", "explain", str(policy), statement, *ASK, "--role", role, "--json"]) == code
    assert json.loads(capsys.readouterr().out)["effect"] == effect


def test_explain_of_nobody(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["policy", "explain", str(policy), "x", "--person", "nobody", "--resource", "orders", "--role", "reader"]
    assert outcome(asked) == FAILED
    assert "has no person named nobody" in capsys.readouterr().err


def test_cases(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = (
        "person: dev@acme.example, roles: [{role}], resource: orders, statement: DELETE FROM orders, expect: {expect}"
    )
    cases = policy.with_suffix(".cases.yaml")
    cases.write_text(
        "cases:\n"
        f"  - {{{case.format(role='reader', expect='deny')}}}\n"
        f"  - {{{case.format(role='writer', expect='hold')}}}\n"
    )
    assert outcome(["policy", "test", str(policy)]) == DONE
    assert "2 cases, 0 not as expected." in capsys.readouterr().out
    cases.write_text(f"cases:\n  - {{{case.format(role='writer', expect='allow')}}}\n")
    assert outcome(["policy", "test", str(policy), "--json"]) == FAILED
    assert json.loads(capsys.readouterr().out)["failed"] == 1
    assert outcome(["policy", "test", str(policy), "--cases", "nowhere.yaml"]) == FAILED
    assert "nowhere.yaml cannot be read" in capsys.readouterr().err


def test_diff_between_files(policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(policy.read_text().replace("rows: 100", "rows: 10"))
    assert outcome(["policy", "diff", str(policy), "--against", str(policy)]) == DONE
    assert outcome(["policy", "diff", str(changed), "--against", str(policy)]) == FAILED
    assert "has a fence at 10 rows (was 100 rows)" in capsys.readouterr().out
