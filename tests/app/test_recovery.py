"""Somebody has lost everything; two others let them in again, typed as people type it."""

import json
from dataclasses import replace

from tests.support.stack import Member, Stack, running_stack

_CONFIG = """\
listen: {console: "127.0.0.1:0", postgres: "127.0.0.1:0"}
people:
  first@example.com: {groups: [helpers]}
  second@example.com: {groups: [helpers]}
  lost@example.com: {}
recovery: {group: helpers}
"""


def _half(stack: Stack, helper: Member, lost: Member) -> str:
    said = stack.run(helper, "recover", lost.name, "--reason", "known by face", "--json", totp=True).stdout
    return str(json.loads(said)["half"])


def test_two_halves_let_a_person_in_again() -> None:
    with running_stack(_CONFIG, {}) as stack:
        first, second, lost = (stack.member(f"{name}@example.com") for name in ("first", "second", "lost"))
        halves = [_half(stack, helper, lost) for helper in (first, second)]
        anew = replace(lost, home=stack.folder / "homes" / "anew", password="an entirely new one")
        words = ("login", "--server", stack.server, "--person", lost.name, "--json", "--code")
        assert stack.run(anew, *words, halves[0], check=False).returncode == 1
        assert json.loads(stack.run(anew, *words, "+".join(halves)).stdout)["person"] == lost.name
        assert stack.run(lost, "whoami", check=False).returncode == 1
        assert json.loads(stack.run(anew, "whoami", "--json").stdout)["person"] == lost.name
