"""What gates have read, kept until it changes: an answer costs what changed since, and not the whole of it again.

Holds to:

* what is kept belongs to *marks*: where the last change of each kind of row stands in the ledger, and the link there.
  Nothing is taken from here unless the marks of the reader's own snapshot say that it is still so
* evidence that came since is read by itself and put beside what is known; when the ledger is no longer the one that was
  read (a restored database), everything is read anew
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from interlock.domain.delivery import Evidence
from interlock.ports.state import Mark, Reading

T = TypeVar("T")
RESTS_ON = ("contracts", "evidence", "identities", "people", "policies")
"""The kinds of rows that a verdict depends on; whatever else is written to the ledger changes none."""

_MOST = 256

Marks = Mapping[str, Mark]


async def read_marks(reading: Reading) -> Marks:
    return await reading.last_changes(RESTS_ON)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The evidence about some commits as it was at ``mark``, by its id."""

    mark: Mark
    evidence: Mapping[str, Evidence]


@dataclass(slots=True)
class GateMemory:
    _kept: "OrderedDict[Hashable, tuple[Hashable, Any]]" = field(default_factory=OrderedDict)
    _seen: "OrderedDict[Hashable, _Seen]" = field(default_factory=OrderedDict)
    _since: "OrderedDict[Hashable, Sequence[Evidence]]" = field(default_factory=OrderedDict)

    async def keep(self, name: Hashable, mark: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What ``read`` gives, read once for each ``mark``."""
        known = self._kept.get(name)
        if known is not None and known[0] == mark:
            found: T = known[1]
            return found
        found = await read()
        _put(self._kept, name, (mark, found))
        return found

    async def evidence(
        self, reading: Reading, mark: Mark, repository: str, commits: Collection[str], key: Hashable
    ) -> list[Evidence]:
        """The evidence about ``commits``, in the order of its time. ``key`` stands for these very commits."""
        seen = self._seen.get((repository, key))
        if seen is None or seen.mark != mark:
            later = None if seen is None else await self._later(reading, seen, mark, repository, frozenset(commits))
            if later is None:
                read = await reading.evidence(repository, commits, sealed=False)
                later = {one.id: one for one in read}
            seen = _Seen(mark, later)
            _put(self._seen, (repository, key), seen)
        return sorted(seen.evidence.values(), key=lambda one: (one.at, one.id))

    async def _later(
        self, reading: Reading, seen: _Seen, mark: Mark, repository: str, commits: frozenset[str]
    ) -> dict[str, Evidence] | None:
        """What was seen, with what was given and voided since; None when that cannot be told."""
        if mark is None or seen.mark is None or seen.mark[0] > mark[0]:
            return None
        since = self._since.get((seen.mark, mark))
        if since is None:
            since = await reading.evidence_since(seen.mark)
            if since is None:
                return None
            _put(self._since, (seen.mark, mark), since)
        about = {
            one.id: one
            for one in since
            if one.repository == repository
            and (one.commit in commits or one.landed in commits or not commits.isdisjoint(one.commits))
        }
        return {**seen.evidence, **about}


def _put(kept: "OrderedDict[Hashable, Any]", key: Hashable, value: object) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _MOST:
        kept.popitem(last=False)
