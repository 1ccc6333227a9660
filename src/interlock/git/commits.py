"""Commit objects, read as git keeps them."""

import re
from collections.abc import Iterator, Sequence

from interlock.domain.delivery import Commit, Signature
from interlock.errors import Failure
from interlock.git.running import Git, text_of
from interlock.git.sshsig import BEGIN, BadSignature, verify

_COAUTHOR = re.compile(r"^\s*co-authored-by\s*:.*?<([^<>\n]*)>\s*$", re.IGNORECASE | re.MULTILINE)
_SIGNATURES = (b"gpgsig", b"gpgsig-sha256")


async def read_objects(git: Git, names: Sequence[str]) -> list[bytes | None]:
    """The contents of what ``names`` stand for (a hash, or ``HASH:PATH``), in one go; None for what is not there."""
    if any("\n" in name for name in names):
        raise Failure("A path with a line break in it cannot be looked up.", "Rename that file.")
    sent = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    said = await git.run("cat-file", "--batch", "--buffer", stdin=sent)
    return list(_split(said, len(names)))


def _split(said: bytes, count: int) -> Iterator[bytes | None]:
    at = 0
    for _ in range(count):
        end = said.index(b"\n", at)
        head = said[at:end].split(b" ")
        at = end + 1
        if head[-1] in (b"missing", b"ambiguous"):
            yield None
            continue
        size = int(head[-1])
        yield said[at : at + size]
        at += size + 1


async def read_commits(git: Git, shas: Sequence[str]) -> list[Commit]:
    """Raises Failure when one of them is not there."""
    found = []
    for sha, raw in zip(shas, await read_objects(git, shas), strict=True):
        if raw is None:
            raise Failure(f"The commit {sha} is not in {git.folder.name}.", "Push it, and try again.")
        found.append(read_commit(sha, raw))
    return found


def read_commit(sha: str, raw: bytes) -> Commit:
    head, _, message = raw.partition(b"\n\n")
    headers = list(_headers(head))
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    signature, signer = _signed(headers, message)
    return Commit(
        sha=sha,
        tree=text_of(values.get(b"tree", [b""])[0]),
        parents=tuple(text_of(parent) for parent in values.get(b"parent", [])),
        author=_address(values.get(b"author", [b""])[0]),
        committer=_address(values.get(b"committer", [b""])[0]),
        coauthors=tuple(dict.fromkeys(match[1] for match in _COAUTHOR.finditer(text_of(message)))),
        signature=signature,
        signer=signer,
    )


def _headers(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and values; a line that begins with a space goes on with the one before it."""
    name, value = b"", b""
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            value += b"\n" + line[1:]
            continue
        if name:
            yield name, value
        name, _, value = line.partition(b" ")
    if name:
        yield name, value


def _address(line: bytes) -> str:
    """What stands between the last ``<`` and the last ``>``; empty when nothing does."""
    start, end = line.rfind(b"<"), line.rfind(b">")
    return text_of(line[start + 1 : end]) if 0 <= start < end else ""


def _signed(headers: Sequence[tuple[bytes, bytes]], message: bytes) -> tuple[Signature, str]:
    given = [value for name, value in headers if name in _SIGNATURES]
    if not given:
        return Signature.NONE, ""
    armored = text_of(given[0])
    if len(given) > 1 or not armored.startswith(BEGIN):
        return Signature.OTHER, ""
    content = b"".join(
        name + b" " + value.replace(b"\n", b"\n ") + b"\n" for name, value in headers if name not in _SIGNATURES
    )
    try:
        return Signature.GOOD, verify(armored, content + b"\n" + message)
    except BadSignature:
        return Signature.BAD, ""
