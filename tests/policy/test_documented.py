"""What people can write is in the docs, and what the docs show can be written."""

import re
from dataclasses import fields
from pathlib import Path

import cedarpy
import pytest

from interlock.domain.actions import Action
from interlock.domain.durations import format_duration
from interlock.policy.annotations import KNOWN
from interlock.policy.cases import load_cases
from interlock.policy.cedar import compile_role
from interlock.policy.cedar_policy import SCHEMA
from interlock.policy.configuration import Timing
from interlock.policy.keys import KEYS
from interlock.policy.load import load_configuration
from tests.policy.example import CHECKS, load

DOCS = Path(__file__).parents[2] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text()
POLICY = (DOCS / "policy.md").read_text()


def block(text: str, language: str, number: int = 0) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)[number])


@pytest.mark.parametrize("place", [place for place in KEYS if place != "cases"])
def test_every_key_is_documented(place: str) -> None:
    text = POLICY if place == "cases[]" else CONFIGURATION
    for key in KEYS[place]:
        name = f"{place}.{key}" if place else key
        assert f"`{name}`" in text, f"{name} is not documented"


def test_no_key_is_documented_that_is_not_known() -> None:
    known = {f"{place}.{key}" if place else key for place, keys in KEYS.items() for key in keys}
    known |= {
        f"{section}.NAME" for section in ("resources", "vendors", "people", "contracts", "roles", "chains", "sinks")
    }
    named = re.findall(r"`((?:[a-z]+\.NAME|[a-z]+\[\]|timing)(?:\.[a-z_]+)*)`", CONFIGURATION + POLICY)
    assert set(named) - known - {"timing"} == set()


def test_the_example_loads_without_a_warning() -> None:
    configuration = load_configuration(block(CONFIGURATION, "yaml"), "interlock.yaml", check_settings=CHECKS)
    assert configuration.warnings == ()


def test_every_default_of_timing_is_the_documented_one() -> None:
    for field in fields(Timing):
        default = format_duration(getattr(Timing(), field.name))
        assert f"| `timing.{field.name}` | `{default}` |" in CONFIGURATION.replace("`24h`", "`1d`")


def test_the_documented_schema_is_the_one_in_use() -> None:
    assert str(cedarpy.Schema.from_str(block(POLICY, "cedarschema"))) == str(cedarpy.Schema.from_str(SCHEMA))


def test_the_role_compiles_to_what_is_shown() -> None:
    configuration = load_configuration(block(CONFIGURATION, "yaml"), "interlock.yaml", check_settings=CHECKS)
    first, second, third = compile_role(configuration.roles["writer"], configuration.timing)
    assert first == block(POLICY, "cedar").strip()
    assert second.startswith('@id("role:writer:write")\n@fence("100")\n')
    assert third.startswith('@id("role:writer:alter,destroy")\n@hold\n')


def test_the_cedar_example_and_the_cases_load() -> None:
    configuration = load(cedar={"example.cedar": block(POLICY, "cedar", 1)})
    assert len(load_cases(block(POLICY, "yaml", 1), "cases.yaml", configuration)) == 2


def test_every_action_and_annotation_is_documented() -> None:
    for action in Action:
        assert f"`{action}`" in CONFIGURATION
    for name in KNOWN:
        assert f"`@{name}" in POLICY
