"""The delivery story's plain git server: a bare repository with our hooks, and the clone from which people push."""

import asyncio
import os
import secrets
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.app.data_folder import DataFolder
from interlock.app.demo.people import Actor, command
from interlock.errors import Failure
from interlock.identity.keys import write_private

_FILES = {
    "app.py": "print('orders')\n",
    ".github/workflows/ci.yml": "jobs:\n  test:\n    steps:\n      - run: ./scripts/test.sh\n",
    "scripts/test.sh": "python -m unittest\n",
}


@dataclass(frozen=True, slots=True)
class Shop:
    """``first`` is the commit from which on the chain holds."""

    folder: Path
    first: str = ""

    @property
    def origin(self) -> Path:
        return self.folder / "shop.git"

    @property
    def clone(self) -> Path:
        return self.folder / "clone.git"

    @property
    def secret(self) -> Path:
        return self.folder / "keys" / "hook-secret"

    async def commit(self, files: Mapping[str, str], parent: str, author: str, message: str = "a change") -> str:
        """A commit in the clone, made with git's plumbing."""
        index = {"GIT_INDEX_FILE": str(self.clone / "demo-index")}
        await self._git("read-tree", *([parent] if parent else ["--empty"]), more=index)
        for path, content in files.items():
            blob = await self._git("hash-object", "-w", "--stdin", stdin=content)
            await self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", more=index)
        tree = await self._git("write-tree", more=index)
        who = dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), author)
        who |= {name: author.partition("@")[0] for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME")}
        over = ["-p", parent] if parent else []
        return await self._git("commit-tree", *over, "-m", message, tree, more=who)

    async def _git(self, *arguments: str, stdin: str = "", more: Mapping[str, str] | None = None) -> str:
        code, said = await run_git(self.clone, *arguments, stdin=stdin, more=more)
        if code != 0:
            raise Failure(f"git {arguments[0]} did not work in the demo: {said}.")
        return said


async def run_git(
    folder: Path, *arguments: str, stdin: str = "", more: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """The exit code, and what git said on both streams."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "INTERLOCK_"))}
    process = await asyncio.create_subprocess_exec(
        "git",
        "-C",
        str(folder),
        *arguments,
        env={**outer, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", **(more or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(stdin.encode())
    return process.returncode or 0, said.decode(errors="replace").strip()


async def make_shop(folder: DataFolder) -> Shop:
    """The repository with its first commit. Raises Failure where there is no git."""
    if shutil.which("git") is None:
        raise Failure("This story needs git.", "Install it: apt-get install git")
    shop = Shop(folder.root)
    for place in (shop.origin, shop.clone):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        code, said = await run_git(place, "init", "--quiet", "--bare", "--initial-branch=main")
        if code != 0:
            raise Failure(f"The demo's repository cannot be made: {said}.", "Check git: git --version")
    write_private(shop.secret, secrets.token_hex(32).encode())
    first = await shop.commit(_FILES, "", "lead@example.com", "the beginning")
    code, said = await run_git(shop.clone, "push", "--quiet", str(shop.origin), f"{first}:refs/heads/main")
    if code != 0:
        raise Failure(f"The demo's repository cannot be filled: {said}.", "Check git: git --version")
    return Shop(folder.root, first)


def install_hooks(shop: Shop, server: str, actor: Actor) -> None:
    """The server's pre-receive and post-receive hooks. ``actor`` lends the authority that the home has pinned."""
    words = command("git-hook", "--forge", "git", "--project", "acme/shop", "--server", server)
    words += ["--authority", str(actor.home / "authority.pem"), "--secret", str(shop.secret)]
    for hook, more in (("pre-receive", []), ("post-receive", ["--after"])):
        path = shop.origin / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nexec {shlex.join([*words, *more])}\n")
        path.chmod(0o755)
