"""Real repositories: a bare origin, and people who commit to it with git itself."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SSH_KEYGEN, GIT = "ssh-keygen", "git"
_EPOCH = 1_790_000_000


def git(folder: Path, *arguments: str, stdin: bytes = b"", more: Mapping[str, str] | None = None) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **(more or {}),
    }
    done = subprocess.run(
        [GIT, "-C", str(folder), *arguments], input=stdin, capture_output=True, check=False, env=environment
    )
    if done.returncode != 0:
        raise AssertionError(f"git {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode().strip()


@dataclass
class Origin:
    """A bare repository in which commits are made by plumbing: no work tree, one process for each object."""

    folder: Path
    seconds: int = 0
    keys: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path) -> "Origin":
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
        return cls(folder)

    def tree(self, files: Mapping[str, str | None], onto: str | None = None) -> str:
        """The tree of ``onto`` with these files put in its place; None removes one."""
        index = {"GIT_INDEX_FILE": str(self.folder / "index.tmp")}
        Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
        if onto is not None:
            git(self.folder, "read-tree", onto, more=index)
        for path, content in files.items():
            if content is None:
                git(self.folder, "update-index", "--force-remove", path, more=index)
                continue
            blob = git(self.folder, "hash-object", "-w", "--stdin", stdin=content.encode())
            git(self.folder, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", more=index)
        return git(self.folder, "write-tree", more=index)

    def commit(
        self,
        files: Mapping[str, str | None],
        *parents: str,
        author: str,
        committer: str | None = None,
        message: str = "a change",
        tree: str | None = None,
        signed_by: str | None = None,
    ) -> str:
        """A commit on the first parent's tree with ``files`` changed. ``signed_by``: the name of an SSH key."""
        made = tree or self.tree(files, parents[0] if parents else None)
        self.seconds += 60
        at = f"{_EPOCH + self.seconds} +0000"
        who = {
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": author,
            "GIT_COMMITTER_NAME": "C",
            "GIT_COMMITTER_EMAIL": committer or author,
            "GIT_AUTHOR_DATE": at,
            "GIT_COMMITTER_DATE": at,
        }
        words: list[str] = []
        sign: list[str] = []
        if signed_by is not None:
            words = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.key(signed_by)}"]
            sign = ["-S"]
        over = [word for parent in parents for word in ("-p", parent)]
        return git(self.folder, *words, "commit-tree", *sign, *over, "-F", "-", made, stdin=message.encode(), more=who)

    def merge(self, one: str, other: str, *, author: str, committer: str | None = None) -> str:
        """The clean merge of ``other`` into ``one``."""
        tree = git(self.folder, "merge-tree", "--write-tree", one, other).splitlines()[0]
        return self.commit({}, one, other, author=author, committer=committer, message="Merge", tree=tree)

    def squash(self, one: str, other: str, *, author: str, committer: str | None = None) -> str:
        tree = git(self.folder, "merge-tree", "--write-tree", one, other).splitlines()[0]
        return self.commit({}, one, author=author, committer=committer, message="Squashed", tree=tree)

    def move(self, branch: str, commit: str) -> str:
        """Put a branch (or any ref with its whole name) on a commit; where it was before, or zeros."""
        ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        before = git(self.folder, "for-each-ref", "--format=%(objectname)", ref) or "0" * 40
        git(self.folder, "update-ref", ref, commit)
        return before

    def head(self, branch: str = "main") -> str:
        return git(self.folder, "rev-parse", f"refs/heads/{branch}")

    def key(self, name: str, kind: str = "ed25519") -> Path:
        """The private key file of ``name``, made on first use."""
        if name not in self.keys:
            path = self.folder.parent / f"key-{name}"
            subprocess.run([SSH_KEYGEN, "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path)], check=True)
            self.keys[name] = path
        return self.keys[name]

    def fingerprint(self, name: str) -> str:
        said = subprocess.run(
            [SSH_KEYGEN, "-l", "-f", f"{self.key(name)}.pub"], check=True, capture_output=True, text=True
        )
        return said.stdout.split()[1]
