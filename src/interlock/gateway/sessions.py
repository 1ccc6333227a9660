"""The sessions of a worker, found by what they rest on, so that an end reaches them and no others."""

from collections.abc import Iterable
from typing import Protocol

from interlock.gateway.feed_messages import Key
from interlock.gateway.recorder import Recording


class LiveSession(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def rests_on(self) -> frozenset[Key]: ...

    @property
    def recording(self) -> Recording | None: ...

    def check(self) -> None:
        """Look whether it may go on; end it if not."""

    def look_at_holds(self, requests: frozenset[str] | None) -> None:
        """How these requests stand may have changed; None: all."""

    def decide_parked(self) -> None:
        """What was known is fresh again: decide what waited."""

    def tell_watched(self) -> None:
        """Somebody looks on from now on."""

    def cut(self, sentence: str, why: str) -> None:
        """End it at once."""


class Sessions:
    def __init__(self) -> None:
        self._all: dict[str, LiveSession] = {}
        self._by_key: dict[Key, set[str]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, session: LiveSession) -> None:
        self._all[session.id] = session
        for key in (*session.rests_on, ("cuts", session.id)):
            self._by_key.setdefault(key, set()).add(session.id)

    def remove(self, session: LiveSession) -> None:
        if self._all.pop(session.id, None) is None:
            return
        for key in (*session.rests_on, ("cuts", session.id)):
            same = self._by_key[key]
            same.discard(session.id)
            if not same:
                del self._by_key[key]

    def find(self, session: str) -> LiveSession | None:
        return self._all.get(session)

    def recordings(self) -> list[Recording]:
        """Those of the sessions that are open."""
        return [found for session in self._all.values() if (found := session.recording) is not None]

    def changed(self, touched: frozenset[Key] | None) -> None:
        """Rows of the snapshot changed (None: all of them): the sessions that rest on them look again."""
        held = None if touched is None else frozenset(key for name, key in touched if name == "held")
        for session in self._resting_on(touched):
            session.check()
        if held is None or held:
            for session in tuple(self._all.values()):
                session.look_at_holds(held)

    def refreshed(self) -> None:
        for session in tuple(self._all.values()):
            session.decide_parked()

    def cut_all(self, sentence: str, why: str) -> None:
        for session in tuple(self._all.values()):
            session.cut(sentence, why)

    def _resting_on(self, touched: frozenset[Key] | None) -> Iterable[LiveSession]:
        if touched is None:
            return tuple(self._all.values())
        ids = {name for key in touched for name in self._by_key.get(key, ())}
        return [self._all[name] for name in sorted(ids)]
