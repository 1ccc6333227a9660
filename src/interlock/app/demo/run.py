"""`interlock demo`: everything of `up`, a database to protect, five people, and the story played with real clients."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from string import Template

from interlock.app.data_folder import DataFolder, locked
from interlock.app.demo.people import Actor, cast, let_in
from interlock.app.demo.prepare import open_demo_folder, start_database, write_configuration
from interlock.app.demo.shop import Shop, install_hooks, make_shop
from interlock.app.psql import find_psql
from interlock.app.up import System, Wanted, running
from interlock.policy.configuration import CONSOLE

Say = Callable[[str], None]

_WHAT_TO_TYPE = Template(
    """\
Interlock is up: console and API https://$console, PostgreSQL at $postgres.

These people are enrolled and signed in, each with a home of their own:
$people

In a second terminal:
  PATH=$program:$$PATH
  as() { INTERLOCK_HOME=$homes/$$1 interlock "$${@:2}"; }

  as dev@acme.example request orders --role writer --for 1h --reason 'close old orders'
  as second@example.com approve ID
  as lead@example.com approve ID
  as dev@acme.example connect orders        and there, for example:  DELETE FROM orders;
  as ops@bolt.example requests --to-decide

When a one-time code is asked for:  interlock demo --code PERSON --data $data
Stop with Ctrl-C; start again and everything is where it was."""
)


@dataclass(frozen=True, slots=True)
class Demo:
    """The running demo and its people by their short names."""

    system: System
    people: dict[str, Actor]
    shop: Shop | None = None

    @property
    def folder(self) -> DataFolder:
        return self.system.plan.folder


@asynccontextmanager
async def demo_running(
    folder: DataFolder, asked: asyncio.Event, *, anew: bool, workers: int, say: Say, with_shop: bool = False
) -> AsyncIterator[Demo | None]:
    """The demo, with everybody signed in; None when a stop was asked for before that. Raises Failure.

    ``anew``: begin from nothing, on free ports, as the story must; otherwise go on where the last run ended.
    ``with_shop``: with a repository on a plain git server, for the delivery story.
    """
    find_psql()
    with locked(folder):
        open_demo_folder(folder, anew=anew)
    say("Starting the database to protect …")
    database = await start_database(folder)
    try:
        shop = await make_shop(folder) if with_shop else None
        config = write_configuration(folder, database, free_ports=anew, shop=shop)
        say("Starting Interlock …")
        async with running(Wanted(config, folder, workers), asked) as system:
            if system is None or asked.is_set():
                yield None
                return
            people = cast(folder)
            say("Enrolling and signing in its people …")
            server = f"https://{system.plan.listen[CONSOLE]}"
            await asyncio.gather(*(let_in(actor, folder, server) for actor in people.values()))
            if shop is not None:
                install_hooks(shop, server, people["dev"])
            yield Demo(system, people, shop)
    finally:
        await asyncio.to_thread(database.stop)


def what_to_type(demo: Demo, program: str) -> str:
    """The first steps for somebody in front of the demo. ``program`` is the folder in which `interlock` lies."""
    listen = demo.system.plan.listen
    return _WHAT_TO_TYPE.substitute(
        console=listen[CONSOLE],
        postgres=listen["postgres"],
        people="\n".join(f"  {actor.name:<20} {actor.role}" for actor in demo.people.values()),
        program=program,
        homes=demo.folder.root / "homes",
        data=demo.folder.root,
    )
