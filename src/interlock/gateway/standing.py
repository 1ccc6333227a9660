"""What an open session rests on, watched: looked at with each change that touches it, and timed by the first window."""

from collections.abc import Callable

from interlock.gateway.admission import Rights, why_ended, window_end
from interlock.gateway.shared import Shared
from interlock.gateway.timers import Timers

_WINDOW = "window"


class Standing:
    """The ``rights`` of one session. ``ended`` gets the reason, as a clause, when they hold no more."""

    def __init__(
        self, shared: Shared, timers: Timers, session: str, rights: Rights, *, ended: Callable[[str], None]
    ) -> None:
        self.rights = rights
        self._shared = shared
        self._timers = timers
        self._session = session
        self._ended = ended

    def check(self) -> None:
        """Look whether the rights still hold, as far as is known; the window's timer is set anew."""
        follower = self._shared.follower
        if follower.snapshot is None or follower.rules is None:
            return
        why = why_ended(self._session, self.rights, (follower.snapshot, follower.rules), self._shared.now())
        if why is not None:
            self._ended(why)
        else:
            self.set_window()

    def set_window(self) -> None:
        """End with the first window. Set anew whenever a window or the time may have changed."""
        snapshot, clock = self._shared.follower.snapshot, self._shared.clock
        if snapshot is None:
            return
        ends_at = window_end(self.rights, snapshot)
        self._timers.set(_WINDOW, max(0.0, clock.steady_at(ends_at) - clock.steady()), self._window_ended)

    def forget(self) -> None:
        self._timers.clear(_WINDOW)

    def _window_ended(self) -> None:
        self.forget()
        self.check()
