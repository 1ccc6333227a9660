"""The code owners file, as GitHub, GitLab and Gitea read it: the last pattern that matches a path names its owners.

Where it lies: the first of these that is there. Sections of GitLab's form are read as if they were not there.
"""

import re
from dataclasses import dataclass

from interlock.domain.delivery import Owned

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS", ".gitea/CODEOWNERS")
_LONGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rule:
    pattern: str
    owners: tuple[str, ...]
    matches: re.Pattern[str]


def read_owners(text: str) -> tuple[Rule, ...]:
    rules = []
    for line in text[:_LONGEST].splitlines():
        words = line.partition("#")[0].replace("\\ ", "\0").split()
        if not words or words[0].startswith(("[", "^[")):
            continue
        pattern = words[0].replace("\0", " ")
        rules.append(Rule(pattern, tuple(words[1:]), _compile(pattern)))
    return tuple(rules)


def owned(rules: tuple[Rule, ...], paths: tuple[str, ...]) -> tuple[Owned, ...]:
    """The paths that have owners; one for each pattern, with the first path that it matches."""
    found: dict[str, Owned] = {}
    for path in paths:
        rule = next((rule for rule in reversed(rules) if rule.matches.fullmatch(path)), None)
        if rule is not None and rule.owners:
            found.setdefault(rule.pattern, Owned(rule.pattern, rule.owners, path))
    return tuple(found.values())


def _compile(pattern: str) -> re.Pattern[str]:
    """As gitignore's patterns: a slash inside anchors, ``*`` stays within a folder, ``**`` does not."""
    body = pattern.strip("/")
    anchored = pattern.startswith("/") or "/" in body
    parts = []
    at = 0
    while at < len(body):
        if body.startswith("**/", at):
            parts.append("(?:.*/)?")
            at += 3
        elif body.startswith("**", at):
            parts.append(".*")
            at += 2
        else:
            one = body[at]
            parts.append("[^/]*" if one == "*" else "[^/]" if one == "?" else re.escape(one))
            at += 1
    inner = "".join(parts)
    # A folder owns what is in it; `docs/*` owns what is directly in it alone.
    tail = "" if body.endswith("/*") else "(?:/.*)?"
    if pattern.endswith("/") and body:
        tail = "/.*"
    return re.compile(("" if anchored else "(?:.*/)?") + inner + tail)
