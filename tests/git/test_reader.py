"""What is read of real repositories."""

from pathlib import Path

import pytest

from interlock.errors import Failure
from interlock.git.owners import owned, read_owners
from interlock.git.reader import GitRepositories
from interlock.policy.repositories import Repository
from tests.support.repositories import Origin, git

DEV, LEAD = "dev@acme.example", "lead@example.com"
CI = ".github/workflows/ci.yml"
FILES = {
    "app.py": "print(1)\n",
    CI: "jobs:\n  test:\n    steps:\n      - run: ./scripts/test.sh\n      - uses: ./.github/mine\n",
    "scripts/test.sh": "python tools/check.py\nmake all\n",
    "tools/check.py": "pass\n",
    "CODEOWNERS": "* @lead\n/db/ dba@example.com\n*.md\n",
}


class Bench:
    def __init__(self, folder: Path) -> None:
        self.origin = Origin.create(folder / "shop.git")
        self.first = self.origin.commit(FILES, author=LEAD)
        self.origin.move("main", self.first)
        known = Repository("shop", str(self.origin.folder), "main", self.first, "release", "review")
        self.reader = GitRepositories(folder / "mirrors", {"shop": known})

    async def fetch(self) -> None:
        await self.reader.refresh("shop", at_once=True)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_merge_is_one_step_and_is_made_anew(bench: Bench) -> None:
    origin = bench.origin
    one = origin.commit({"app.py": "print(2)\n"}, bench.first, author=DEV, message="x\n\nCo-authored-by: M <m@x.y>\n")
    two = origin.commit({"db/a.sql": "select 1"}, one, author=DEV)
    clean = origin.merge(bench.first, two, author=LEAD)
    evil = origin.commit({"app.py": "print(666)\n"}, clean, author=LEAD)
    hand_made = origin.commit(
        {}, bench.first, two, author=LEAD, tree=git(origin.folder, "rev-parse", f"{evil}^{{tree}}")
    )
    for merge, same in ((clean, True), (hand_made, False)):
        origin.move("main", merge)
        await bench.fetch()
        change = await bench.reader.change("shop", bench.first, merge)
        (step,) = change.steps
        assert (change.whole, step.merge, step.clean, step.head) == (True, True, same, two)
        assert {commit.sha for commit in step.commits} == {merge, one, two}
        assert {commit.coauthors for commit in step.commits if commit.sha == one} == {("m@x.y",)}
        assert {one.owners for one in step.owned} == {("@lead",), ("dba@example.com",)}
        assert step.governed == ()


async def test_what_ci_runs_is_followed_into_scripts(bench: Bench) -> None:
    for path in (CI, "scripts/test.sh", "tools/check.py", "Makefile", ".github/mine/action.yml", "CODEOWNERS"):
        sha = bench.origin.commit({path: "changed\n"}, bench.first, author=DEV)
        bench.origin.move("topic", sha)
        await bench.fetch()
        (step,) = (await bench.reader.change("shop", bench.first, sha, one_step=True)).steps
        assert step.governed == (path,), path


async def test_a_script_that_only_the_change_makes_ci_run_is_found(bench: Bench) -> None:
    text = FILES[CI] + "      - run: sh deploy/new.sh\n"
    one = bench.origin.commit({CI: text}, bench.first, author=DEV)
    two = bench.origin.commit({"deploy/new.sh": "rm -rf /\n"}, one, author=DEV)
    bench.origin.move("main", two)
    await bench.fetch()
    first, second = (await bench.reader.change("shop", bench.first, two)).steps
    assert (first.governed, second.governed) == ((CI,), ("deploy/new.sh",))


async def test_a_rewritten_line_is_not_whole(bench: Bench) -> None:
    other = bench.origin.commit({"z": "1"}, author=DEV)
    bench.origin.move("main", other)
    await bench.fetch()
    assert not (await bench.reader.change("shop", bench.first, other)).whole
    assert not await bench.reader.on_branch("shop", bench.first)
    assert await bench.reader.tree("shop", "0" * 40) is None


async def test_a_squash_has_the_very_content(bench: Bench) -> None:
    head = bench.origin.commit({"app.py": "print(2)\n"}, bench.first, author=DEV)
    good = bench.origin.squash(bench.first, head, author=DEV)
    bad = bench.origin.commit({"app.py": "print(3)\n"}, bench.first, author=DEV)
    bench.origin.move("topic", head)
    bench.origin.move("good", good)
    bench.origin.move("bad", bad)
    await bench.fetch()
    assert await bench.reader.lands("shop", head, good)
    assert not await bench.reader.lands("shop", head, bad)


async def test_nothing_of_the_repository_or_the_environment_acts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Hooks, aliases, replaced objects, a hostile GIT_DIR, and names that look like options do nothing."""
    marker = tmp_path / "ran"
    for hook in ("post-update", "reference-transaction", "pre-auto-gc"):
        path = bench.origin.folder / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {marker}\n")
        path.chmod(0o755)
    evil = bench.origin.commit({"app.py": "evil\n"}, bench.first, author="evil@example.com")
    git(bench.origin.folder, "replace", bench.first, evil)
    git(bench.origin.folder, "config", "uploadpack.packObjectsHook", f"touch {marker}; git pack-objects")
    git(bench.origin.folder, "config", "core.fsmonitor", f"touch {marker}")
    git(bench.origin.folder, "update-ref", "refs/heads/--upload-pack=touch", bench.first)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "alias.rev-list")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"!touch {marker}")
    marker.unlink(missing_ok=True)  # the hooks of the origin itself ran for what this test did there
    await bench.fetch()
    found = await bench.reader.between("shop", "", bench.first)
    assert found[bench.first].author == LEAD
    assert not marker.exists()
    assert await bench.reader.tree("shop", "--help") is None


async def test_a_missing_branch_says_so(tmp_path: Path) -> None:
    origin = Origin.create(tmp_path / "shop.git")
    origin.move("main", origin.commit({"a": "1"}, author=DEV))
    known = Repository("shop", str(origin.folder), "trunk", "0" * 40, "release", "review")
    reader = GitRepositories(tmp_path / "mirrors", {"shop": known})
    with pytest.raises(Failure, match="shop has no branch trunk"):
        await reader.refresh("shop")


def test_the_last_pattern_wins_and_one_without_owners_frees() -> None:
    rules = read_owners("# all\n* @lead\n*.md\n/db/ @dba # sql\nsrc/*.py a@b.c @org/team\ndocs/** @doc\n")
    cases = {
        "a.py": ("@lead",),
        "readme.md": None,
        "db/x/y.sql": ("@dba",),
        "x/db/y.sql": ("@lead",),
        "src/a.py": ("a@b.c", "@org/team"),
        "src/x/a.py": ("@lead",),
        "docs/deep/a.txt": ("@doc",),
    }
    for path, owners in cases.items():
        found = owned(rules, (path,))
        assert (found[0].owners if found else None) == owners, path
