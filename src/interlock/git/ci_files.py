"""Which files CI runs: its definitions, and the scripts that they and those scripts name.

A script counts as named when its path stands in the text. That is wider than what CI does, which is meant; what it
cannot see (a module by its dotted name, a path that is put together) is for ``ci.files`` of the repository.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from fnmatch import fnmatchcase

DEFINITIONS = (
    ".github/workflows/*",
    ".github/actions/*",
    ".gitea/workflows/*",
    ".forgejo/workflows/*",
    ".gitlab-ci.yml",
    ".gitlab/ci/*",
    "Jenkinsfile",
    "*/Jenkinsfile",
    ".jenkins/*",
    ".circleci/*",
    ".woodpecker.yml",
    ".woodpecker/*",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    ".travis.yml",
    "Dockerfile",
    "*/Dockerfile",
    ".gitmodules",
    ".pre-commit-config.yaml",
)
_PROGRAMS = {
    "make": ("Makefile", "makefile", "GNUmakefile"),
    "npm": ("package.json",),
    "npx": ("package.json",),
    "pnpm": ("package.json",),
    "yarn": ("package.json",),
    "tox": ("tox.ini",),
    "nox": ("noxfile.py",),
    "just": ("justfile", "Justfile"),
    "task": ("Taskfile.yml",),
    "gradle": ("build.gradle", "build.gradle.kts"),
    "gradlew": ("build.gradle", "build.gradle.kts", "gradlew"),
    "mvn": ("pom.xml",),
    "cargo": ("build.rs",),
}
_WORD = re.compile(r"[A-Za-z0-9_.@+/-]{1,200}")
_SCRIPT = re.compile(
    r".+\.(sh|bash|zsh|py|js|mjs|cjs|ts|rb|pl|php|ps1|bat|mk|groovy|gradle|lua|yml|yaml|json|toml|cfg)"
)
_DEEPEST, _MOST, _LONGEST = 6, 2000, 512 * 1024

Read = Callable[[Sequence[str]], Awaitable[Sequence[bytes | None]]]
"""The contents of paths at one commit."""


def is_definition(path: str, more: Sequence[str] = ()) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in (*DEFINITIONS, *more))


async def run_by(definitions: Iterable[str], read: Read) -> frozenset[str]:
    """The paths that are named from ``definitions`` on, whether they are there or not. Bounded; raises nothing."""
    known: set[str] = set()
    wave = sorted(definitions)
    for _ in range(_DEEPEST):
        named: set[str] = set()
        for content in await read(wave[:_MOST]):
            if content is not None and len(content) <= _LONGEST:
                named |= _named(content.decode(errors="replace"))
        wave = sorted(named - known)
        known |= named
        if not wave or len(known) > _MOST:
            break
    return frozenset(known)


def _named(text: str) -> set[str]:
    found: set[str] = set()
    for word in _WORD.findall(text):
        path = word.removeprefix("./").strip("/").rstrip(".,:")
        if not path or path.startswith(("/", "..")) or "//" in path:
            continue
        found.update(_PROGRAMS.get(path.rpartition("/")[2], ()))
        if "/" in path and not path.startswith(("http", "refs/")):
            found.add(path)
            if word.startswith("./"):
                found.update((f"{path}/action.yml", f"{path}/action.yaml"))
        elif _SCRIPT.fullmatch(path) or word.startswith("./"):
            found.add(path)
    return found
