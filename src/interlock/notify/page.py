"""On the page: what a person is told waits under *Notices* of the console until they have seen it."""

from collections.abc import Sequence

from interlock.domain.notices import Kept, Letter, Outcome
from interlock.ports.notify import NotifierSettings


class Page:
    """Implements :class:`interlock.ports.notify.OpenNotifier`."""

    async def send(self, letters: Sequence[Letter]) -> Sequence[Outcome]:
        return [Kept() for _ in letters]

    async def close(self) -> None:
        return


class PageNotifier:
    name = "page"
    reaches = "page"

    def open(self, settings: NotifierSettings) -> Page:
        return Page()


NOTIFIER = PageNotifier()
