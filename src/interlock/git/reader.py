"""Implements :class:`interlock.ports.repositories.Repositories` with bare mirrors in the data folder.

What is said of commits by their hashes can never change, so it is remembered; what a branch points to is asked after
each fetch.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from interlock.domain.delivery import Change, Commit, Step
from interlock.errors import Failure, NotFound
from interlock.git.ci_files import is_definition, run_by
from interlock.git.commits import read_commits, read_objects
from interlock.git.owners import PLACES, owned, read_owners
from interlock.git.running import Git, text_of
from interlock.policy.repositories import Repository

T = TypeVar("T")
FRESH_S = 10.0
"""A mirror that was fetched so lately is not fetched again, unless somebody says that something was pushed."""
_FETCH_S = 300.0
_REMEMBERED = 512
_REFS = ("heads", "tags", "pull", "merge-requests")


@dataclass
class _Mirror:
    repository: Repository
    git: Git
    fetched_at: float = -FRESH_S
    head: str = ""
    line: frozenset[str] = frozenset()
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    known: "OrderedDict[tuple[Any, ...], Any]" = field(default_factory=OrderedDict)


class GitRepositories:
    """``folder`` holds the mirrors; ``tokens`` are the forges' by the repository's name."""

    def __init__(
        self, folder: Path, repositories: Mapping[str, Repository], tokens: Mapping[str, str] | None = None
    ) -> None:
        tokens = tokens or {}
        self._mirrors = {
            name: _Mirror(repository, Git(folder / f"{name}.git", tokens.get(name)))
            for name, repository in repositories.items()
        }

    async def refresh(self, repository: str, *, at_once: bool = False) -> None:
        mirror = self._mirror(repository)
        asked = time.monotonic()
        async with mirror.lock:
            if mirror.fetched_at > asked or (not at_once and asked - mirror.fetched_at < FRESH_S):
                return
            await _fetch(mirror)
            mirror.fetched_at = time.monotonic()

    async def tree(self, repository: str, commit: str) -> str | None:
        mirror = await self._ready(repository)

        async def look() -> str | None:
            code, said, _ = await mirror.git.call(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{tree}}"
            )
            return text_of(said).strip() if code == 0 else None

        return await _remember(mirror, ("tree", commit), look, keep=lambda found: found is not None)

    async def on_branch(self, repository: str, commit: str) -> bool:
        mirror = await self._ready(repository)
        return commit in mirror.line

    async def head(self, repository: str) -> str:
        return (await self._ready(repository)).head

    async def tips(self, repository: str) -> Sequence[str]:
        mirror = await self._ready(repository)
        return text_of(await mirror.git.run("for-each-ref", "--format=%(objectname)", "refs/heads")).split()

    async def change(self, repository: str, base: str, commit: str, *, one_step: bool = False) -> Change:
        mirror = await self._ready(repository)
        read = _in_one_step if one_step else _change
        if base and await self.tree(repository, base) is None:
            # Nothing is remembered of it: it may be there tomorrow.
            return Change(base, commit, await self.tree(repository, commit) or "", (), whole=False)
        return await _remember(mirror, ("change", base, commit, one_step), lambda: read(mirror, base, commit))

    async def between(self, repository: str, base: str, commit: str) -> Mapping[str, Commit]:
        mirror = await self._ready(repository)

        async def look() -> Mapping[str, Commit]:
            shas = await _rev_list(mirror.git, commit, *([f"^{base}"] if await self.tree(repository, base) else []))
            return {one.sha: one for one in await read_commits(mirror.git, shas)}

        return await _remember(mirror, ("between", base, commit), look)

    async def is_ancestor(self, repository: str, older: str, newer: str) -> bool:
        mirror = await self._ready(repository)

        async def look() -> bool:
            code, _, _ = await mirror.git.call("merge-base", "--is-ancestor", "--end-of-options", older, newer)
            return code == 0

        return older == newer or await _remember(mirror, ("ancestor", older, newer), look)

    async def base_of(self, repository: str, commit: str) -> str:
        mirror = await self._ready(repository)
        if commit in mirror.line:
            (found,) = await read_commits(mirror.git, [commit])
            return found.parents[0] if found.parents else ""
        base = mirror.head
        if await self.is_ancestor(repository, commit, mirror.head):
            arguments = ("--first-parent", "--ancestry-path", f"{commit}..{mirror.head}")
            path = text_of(await mirror.git.run("rev-list", *arguments)).split()
            base = f"{path[-1]}^1" if path else mirror.head
        code, said, _ = await mirror.git.call("merge-base", "--end-of-options", base, commit)
        return text_of(said).split()[0] if code == 0 and said.strip() else ""

    async def lands(self, repository: str, head: str, landed: str) -> bool:
        mirror = await self._ready(repository)

        async def look() -> bool:
            (found,) = await read_commits(mirror.git, [landed])
            if len(found.parents) != 1:
                return False
            trees = await _merged_trees(mirror.git, [(found.parents[0], head)])
            return trees[0] == found.tree

        return await _remember(mirror, ("lands", head, landed), look)

    def _mirror(self, repository: str) -> _Mirror:
        mirror = self._mirrors.get(repository)
        if mirror is None:
            names = ", ".join(sorted(self._mirrors)) or "none"
            raise NotFound(f"There is no repository {repository}.", f"The repositories are: {names}.")
        return mirror

    async def _ready(self, repository: str) -> _Mirror:
        mirror = self._mirror(repository)
        if not mirror.head:
            await self.refresh(repository, at_once=True)
        return mirror


async def _remember(
    mirror: _Mirror, key: tuple[Any, ...], look: Callable[[], Awaitable[T]], keep: Callable[[T], bool] = lambda _: True
) -> T:
    if key in mirror.known:
        mirror.known.move_to_end(key)
        found: T = mirror.known[key]
        return found
    found = await look()
    if keep(found):
        mirror.known[key] = found
        while len(mirror.known) > _REMEMBERED:
            mirror.known.popitem(last=False)
    return found


async def _fetch(mirror: _Mirror) -> None:
    git, repository = mirror.git, mirror.repository
    if not (git.folder / "HEAD").exists():
        git.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await git.run("init", "--quiet", "--bare", "--template=")
    specs = [f"+refs/{kind}/*:refs/{kind}/*" for kind in _REFS]
    await git.run(
        "fetch",
        "--quiet",
        "--prune",
        "--no-tags",
        "--no-write-fetch-head",
        "--end-of-options",
        repository.origin,
        *specs,
        timeout_s=_FETCH_S,
    )
    code, said, _ = await git.call(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/heads/{repository.branch}"
    )
    if code != 0:
        raise Failure(
            f"{repository.name} has no branch {repository.branch}.",
            f"Mend `branch` under repositories.{repository.name} in interlock.yaml.",
        )
    head = text_of(said).strip()
    if head != mirror.head:
        line = text_of(await git.run("rev-list", "--first-parent", "--end-of-options", head)).split()
        mirror.head, mirror.line = head, frozenset(line)


async def _rev_list(git: Git, *wanted: str, options: Sequence[str] = ()) -> list[str]:
    said = await git.run("rev-list", *options, "--stdin", stdin="".join(f"{one}\n" for one in wanted).encode())
    return text_of(said).split()


async def _change(mirror: _Mirror, base: str, sha: str) -> Change:
    git = mirror.git
    line = (await _rev_list(git, sha, f"^{base}", options=("--first-parent",)))[::-1]
    brought = {one.sha: one for one in await read_commits(git, await _rev_list(git, sha, f"^{base}"))}
    if sha == base:
        (only,) = await read_commits(git, [sha])
        return Change(base, sha, only.tree, (), whole=True)
    tops = [brought[one] for one in line]
    whole = bool(tops) and bool(tops[0].parents) and tops[0].parents[0] == base
    groups = _grouped(tops, brought)
    files = await _changed_files(git, line)
    merges = [top for top in tops if len(top.parents) > 1]
    remade = await _merged_trees(git, [(top.parents[0], top.parents[1]) for top in merges])
    clean = {top.sha for top, tree in zip(merges, remade, strict=True) if len(top.parents) == 2 and tree == top.tree}
    owners = await _owners(git, tops, files)
    governed = await _governed(git, mirror.repository, base, tops, files)
    steps = tuple(
        Step(
            sha=top.sha,
            tree=top.tree,
            base=top.parents[0] if top.parents else "",
            head=top.parents[1] if len(top.parents) == 2 else top.sha,
            merge=len(top.parents) > 1,
            clean=top.sha in clean,
            commits=tuple(groups[top.sha]),
            owned=owners[top.sha],
            governed=governed[top.sha],
        )
        for top in tops
    )
    return Change(base, sha, brought[sha].tree if sha in brought else "", steps, whole)


async def _in_one_step(mirror: _Mirror, base: str, sha: str) -> Change:
    git = mirror.git
    brought = await read_commits(git, await _rev_list(git, sha, *([f"^{base}"] if base else [])))
    (top,) = await read_commits(git, [sha])
    against = replace(top, parents=(base,) if base else ())
    arguments = ("--name-only", "-r", "-z", "--no-renames", "--root", "--end-of-options")
    said = await git.run("diff-tree", "--no-commit-id", *arguments, *([base] if base else []), sha)
    files = {sha: tuple(text_of(path) for path in said.split(b"\0") if path)}
    owners = await _owners(git, [against], files)
    governed = await _governed(git, mirror.repository, base, [against], files)
    step = Step(sha, top.tree, base, sha, False, False, tuple(brought), owners[sha], governed[sha])
    return Change(base, sha, top.tree, (step,) if brought else (), whole=True)


def _grouped(tops: Sequence[Commit], brought: Mapping[str, Commit]) -> dict[str, list[Commit]]:
    """What each commit of the line brings that none before it had."""
    seen: set[str] = set()
    groups: dict[str, list[Commit]] = {}
    for top in tops:
        stack, mine = [top.sha], []
        while stack:
            sha = stack.pop()
            if sha in seen or sha not in brought:
                continue
            seen.add(sha)
            mine.append(brought[sha])
            stack.extend(brought[sha].parents)
        groups[top.sha] = mine
    return groups


async def _changed_files(git: Git, line: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The paths in which each commit differs from its first parent."""
    said = await git.run(
        "diff-tree",
        "--stdin",
        "-r",
        "-z",
        "-m",
        "--first-parent",
        "--root",
        "--no-renames",
        "--name-only",
        stdin="".join(f"{sha}\n" for sha in line).encode(),
    )
    found: dict[str, list[str]] = {sha: [] for sha in line}
    current: list[str] = []
    for part in said.split(b"\0"):
        word = text_of(part)
        head, _, rest = word.partition("\n")
        if head in found:
            current = found[head]
            word = rest
        if word:
            current.append(word)
    return {sha: tuple(paths) for sha, paths in found.items()}


async def _merged_trees(git: Git, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The trees that merging each pair makes; empty for one that conflicts."""
    trees = []
    for one, other in pairs:
        code, said, complained = await git.call(
            "merge-tree", "--write-tree", "--no-messages", "--end-of-options", one, other
        )
        if code not in (0, 1):
            unrelated = b"unrelated histories" in complained
            if not unrelated:
                raise Failure(f"git merge-tree on {git.folder.name} failed.", "Try again.")
        trees.append(text_of(said).split()[0] if code == 0 else "")
    return trees


async def _owners(git: Git, tops: Sequence[Commit], files: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    names = [f"{top.parents[0]}:{place}" for top in tops if top.parents for place in PLACES]
    contents = iter(await read_objects(git, names))
    found: dict[str, Any] = {}
    rules: dict[bytes, Any] = {}
    for top in tops:
        at_base = [next(contents) for _ in PLACES] if top.parents else []
        content = next((one for one in at_base if one is not None), b"")
        if content not in rules:
            rules[content] = read_owners(content.decode(errors="replace"))
        found[top.sha] = owned(rules[content], files[top.sha])
    return found


async def _governed(
    git: Git, repository: Repository, base: str, tops: Sequence[Commit], files: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """For each step the changed files that CI runs, before it or after it, and those that say who owns what."""

    async def named_at(commit: str) -> frozenset[str]:
        listed = await git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options", commit)
        paths = [text_of(path) for path in listed.split(b"\0") if path]
        definitions = [path for path in paths if is_definition(path, repository.ci_files) and "\n" not in path]
        return await run_by(definitions, lambda wanted: read_objects(git, [f"{commit}:{path}" for path in wanted]))

    def of_rules(path: str) -> bool:
        return path in PLACES or is_definition(path, repository.ci_files)

    found: dict[str, tuple[str, ...]] = {}
    named = await named_at(base) if base else frozenset[str]()
    for top in tops:
        touched = files[top.sha]
        now = named
        if any(of_rules(path) or path in named for path in touched):
            now = await named_at(top.sha)
        found[top.sha] = tuple(path for path in touched if of_rules(path) or path in named or path in now)
        named = now
    return found
