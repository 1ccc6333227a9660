"""Who wrote a step of a change: every person behind each of its commits, and whether that is proved.

What a commit says of itself is a claim that anybody can write. It adds persons, and takes none away: a commit is proved
by its SSH signature, by the account that first pushed it, or by a person's own signed statement that it is theirs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from interlock.domain.delivery import Commit, Evidence, Known, Missing, Signature
from interlock.domain.plain_text import written_out
from interlock.services.delivery import Persons

SHORT = 12


@dataclass(slots=True)
class Authors:
    """The persons, the evidences that named them, and what is not as it must be."""

    persons: set[str] = field(default_factory=set)
    rests_on: set[str] = field(default_factory=set)
    missing: list[Missing] = field(default_factory=list)


async def find_authors(
    commits: Iterable[Commit],
    persons: Persons,
    brought: Mapping[str, Sequence[Evidence]],
) -> Authors:
    """``brought`` has, for a commit, the evidences that somebody pushed it or says to have written it."""
    found = Authors()
    for commit in commits:
        await _add(found, commit, persons, brought.get(commit.sha, ()))
    return found


async def _add(found: Authors, commit: Commit, persons: Persons, brought: Sequence[Evidence]) -> None:
    name = commit.sha[:SHORT]
    named: set[str] = set()
    for address in dict.fromkeys((commit.author, commit.committer, *commit.coauthors)):
        if persons.is_forge(address):
            continue
        person = await persons.of_address(address)
        if person is None:
            shown = written_out(address)[:80] or "nobody at all"
            found.missing.append(
                Missing(
                    "unknown-author",
                    f"{name} names {shown} as who wrote it, and nobody here is known by that address.",
                )
            )
        else:
            named.add(person)
    proved = {evidence.person for evidence in brought}
    if commit.signature is Signature.BAD:
        found.missing.append(Missing("bad-signature", f"The signature of {name} does not hold."))
    if commit.signature is Signature.GOOD:
        signer = await persons.identity("ssh", commit.signer)
        if signer is None and not proved:
            found.missing.append(
                Missing("unknown-signer", f"{name} is signed with {commit.signer}, which is nobody's key here.")
            )
        elif signer is not None:
            proved.add(signer)
    if not proved and commit.signature is not Signature.GOOD:
        found.missing.append(
            Missing(
                "unproven-author",
                f"Nobody is proved to have made {name}: it is not signed with a known SSH key, and no known account "
                f"pushed it. What it says of its author ({written_out(commit.author)[:80]}) anybody can write.",
            )
        )
    found.persons |= named | proved
    found.rests_on |= {evidence.id for evidence in brought}


def by_commit(evidence: Iterable[Evidence], claimed: Mapping[str, Iterable[str]]) -> dict[str, list[Evidence]]:
    """Pushes by the commits they brought, and statements (``claimed``: their commits by their id)."""
    found: dict[str, list[Evidence]] = {}
    for one in evidence:
        if one.counts and one.how is Known.PUSH:
            for commit in one.commits:
                found.setdefault(commit, []).append(one)
        elif one.counts:
            for commit in claimed.get(one.id, ()):
                found.setdefault(commit, []).append(one)
    return found
