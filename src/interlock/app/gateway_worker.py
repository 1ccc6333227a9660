"""One gateway worker."""

from collections.abc import Callable

from interlock.app.installation import Adapters
from interlock.app.plan import Plan


def run_worker(plan: Plan, adapters: Adapters, worker: int, *, control: str | None, ready: Callable[[], None]) -> None:
    import time

    ready()
    time.sleep(100000)
