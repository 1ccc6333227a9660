import json

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.policy.cedar_text import quote, split_policies

ONE = 'permit (principal, action, resource) when { context.part == "a;b//\\"c" };'


def test_policies_are_told_apart_with_their_lines() -> None:
    text = f'// first; not one\n\n@id("x;")\n{ONE} // more;\n{ONE}{ONE}\nforbid ('
    assert [(policy.line, policy.text) for policy in split_policies(text)] == [
        (3, f'@id("x;")\n{ONE}'),
        (5, ONE),
        (5, ONE),
        (6, "forbid ("),
    ]


@pytest.mark.parametrize("text", ["", " \n", "// only a comment", "// one\r// two\n\n"])
def test_nothing_is_no_policy(text: str) -> None:
    assert list(split_policies(text)) == []


def test_a_comment_ends_where_cedar_ends_it() -> None:
    assert len(list(split_policies(f"// x\r{ONE}\n{ONE}"))) == 2


def test_a_token_is_found_on_its_line_when_it_stands_there_once() -> None:
    (policy,) = split_policies("\npermit (\n  principal,\n  action,\n  resourc\n);")
    assert policy.line_of("resourc") == 5
    assert policy.line_of("p") == policy.line_of("absent") == policy.line_of("") == 2


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_quoted_text_is_what_cedar_reads(text: str) -> None:
    policy = f"permit (principal, action, resource) when {{ context.part == {quote(text)} }};"
    (form,) = json.loads(cedarpy.policies_to_json_str(policy))["staticPolicies"].values()
    assert form["conditions"][0]["body"]["=="]["right"]["Value"] == text
    assert [part.text for part in split_policies(policy)] == [policy]
