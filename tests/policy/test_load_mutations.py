"""Whatever is done to a valid file, it is a Configuration or a ConfigurationError, nothing else."""

import re

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import ConfigurationError
from interlock.policy.decide import Decider
from tests.policy.example import EXAMPLE, PAYROLL, load

LINES = EXAMPLE.splitlines(keepends=True)
WORDS = sorted(set(re.findall(r"[A-Za-z0-9@.:_-]+", EXAMPLE)))
ODD = ["", "null", "~", "{}", "[]", "-1", "0", "1e9", "true", "'", '"', "{", "}", "[", "]", ": ", "- ", "#", "*a", "&a"]
ODD += ["!!x", "|", ">", "%", "@", "`", "\t", "\x00", "\u2028", "\ufeff", "\ud800", "é", "9" * 40, "a" * 300, "<<: {}"]


def check(text: str, cedar: dict[str, str] | None = None) -> None:
    try:
        Decider(load(text, cedar))
    except ConfigurationError as error:
        mistakes = error.mistakes
    else:
        return
    most = 1 + max(len(re.split("\r\n|[\r\n\x85\u2028\u2029]", each)) for each in (text, *(cedar or {}).values()))
    assert mistakes
    for mistake in mistakes:
        found = re.fullmatch(r"(interlock\.yaml|payroll\.cedar):(?:(\d+): \S.*| and \d+ more)", mistake)
        assert found, mistake
        assert 1 <= int(found[2] or 1) <= most


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(EXAMPLE) - 1), st.integers(0, 6), st.sampled_from(ODD) | st.text(max_size=4))
def test_any_stretch_may_be_replaced_by_anything(start: int, length: int, put: str) -> None:
    check(EXAMPLE[:start] + put + EXAMPLE[start + length :])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(WORDS), st.sampled_from(WORDS + ODD), st.integers(1, 3))
def test_any_word_may_stand_for_another(old: str, new: str, count: int) -> None:
    check(EXAMPLE.replace(old, new, count))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, len(LINES) - 1), min_size=1, max_size=3), st.booleans())
def test_lines_may_go_or_come_twice(numbers: list[int], twice: bool) -> None:
    lines = [line * (2 if twice else 0) if number in numbers else line for number, line in enumerate(LINES)]
    check("".join(lines))


NODES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats(allow_nan=False) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)


def paths(node: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    if isinstance(node, dict):
        for key, value in node.items():
            found += paths(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            found += paths(value, (*path, number))
    return found


TREE = yaml.load(EXAMPLE, Loader=yaml.BaseLoader)  # noqa: S506 - the base loader makes nothing but text
PATHS = paths(TREE)[1:]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PATHS), NODES)
def test_any_part_may_be_any_structure(path: tuple[str | int, ...], node: object) -> None:
    tree = yaml.load(EXAMPLE, Loader=yaml.BaseLoader)  # noqa: S506 - as above
    inner = tree
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = node
    check(yaml.safe_dump(tree))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_at_all(text: str) -> None:
    check(text)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(PAYROLL) - 1), st.integers(0, 12), st.sampled_from([*ODD, "@", ";", "//", '"', "\\", "("]))
def test_any_stretch_of_a_cedar_file_may_be_replaced(start: int, length: int, put: str) -> None:
    check(EXAMPLE, {"payroll.cedar": PAYROLL[:start] + put + PAYROLL[start + length :]})
