"""The Cedar files beside ``interlock.yaml``: every policy of them, none left out, every mistake with its line."""

import json
from collections.abc import Mapping

import cedarpy

from interlock.policy.cedar_policy import Names, Policy, read_policy
from interlock.policy.cedar_text import split_policies, too_much
from interlock.policy.mistakes import Mistakes


def read_cedar_files(cedar: Mapping[str, str], names: Names, mistakes: Mistakes) -> list[Policy]:
    """The policies of the Cedar files. What is wrong is noted with the file, and the line as near as can be told."""
    policies: dict[str, Policy] = {}
    for file, text in sorted(cedar.items()):
        if not _is_whole(file, text, mistakes):
            continue
        for written in split_policies(text):
            policy = read_policy(written, file, names, mistakes)
            if policy is None:
                continue
            if policy.id in policies:
                mistakes.add(
                    written.line, f"there is another policy with the id {policy.id}", "give each its own", file=file
                )
            policies[policy.id] = policy
    return list(policies.values())


def _is_whole(file: str, text: str, mistakes: Mistakes) -> bool:
    """Whether the policies that the text was taken apart into are those that Cedar itself reads in it, each one.

    INVARIANT: no policy of a file is ever left out. A single policy that cannot be read is left for its own reading,
    which knows the line.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            mistakes.add(1, "this is not text", "save the file as UTF-8", file=file)
            return False
    written = list(split_policies(text))
    if any(too_much(part.text) for part in written):
        return True
    parts = [_forms(part.text) for part in written]
    if None in parts:
        return True
    whole = _forms(text)
    if whole is not None and sorted(whole) == sorted(form for part in parts for form in part or ()):
        return True
    mistakes.add(
        1, "the policies cannot be told apart", "end each with ; and keep comments on lines of their own", file=file
    )
    return False


def _forms(text: str) -> list[str] | None:
    """The policies in ``text`` as canonical JSON; None when Cedar cannot read it."""
    try:
        whole = json.loads(cedarpy.policies_to_json_str(text))
    except (ValueError, RecursionError):
        return None
    policies = [*whole["staticPolicies"].values(), *whole["templates"].values()]
    return [json.dumps(policy, sort_keys=True) for policy in policies]
