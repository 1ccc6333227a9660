"""`interlock demo`: a ready-made example, to be played with or to be watched."""

import asyncio
import sysconfig
import time
from pathlib import Path
from typing import Annotated

import typer

from interlock.app.data_folder import demo_folder, open_data_folder
from interlock.app.demo.delivery_story import tell_delivery
from interlock.app.demo.people import cast, fresh_code
from interlock.app.demo.run import demo_running, what_to_type
from interlock.app.demo.story import tell_story
from interlock.app.supervisor import stop_signals
from interlock.cli.output import JsonOption, emit, note, say
from interlock.errors import NotFound

DEMO_FOLDER, TOUR_FOLDER = ".demo", ".demo-tour"


def add_to(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    data: Annotated[
        Path | None, typer.Option("--data", help="The demo's folder; .demo, or .demo-tour for the tour.")
    ] = None,
    tour: Annotated[
        bool, typer.Option("--tour", help="Begin anew, play the story with real clients, and end.")
    ] = False,
    delivery: Annotated[
        bool, typer.Option("--delivery", help="The other story: a commit on its way to production, and five attacks.")
    ] = False,
    code: Annotated[
        str | None, typer.Option("--code", metavar="PERSON", help="Print a one-time code of one of its people.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Gateway workers; 0: one for each processor.")] = 0,
    json: JsonOption = False,
) -> None:
    """`up` on a ready-made example: a database of orders, and five people who are enrolled and signed in."""
    root = data or demo_folder(TOUR_FOLDER if tour or delivery else DEMO_FOLDER)
    if code is not None:
        _print_code(root, code)
    else:
        asyncio.run(_demo(root, tour=tour or delivery, delivery=delivery, workers=workers))


async def _demo(root: Path, *, tour: bool, delivery: bool, workers: int) -> None:
    folder = open_data_folder(root)
    started = time.monotonic()
    async with (
        stop_signals() as asked,
        demo_running(folder, asked, anew=tour, workers=workers, say=note, with_shop=delivery) as running,
    ):
        if running is None:
            return
        if not tour:
            say(what_to_type(running, sysconfig.get_path("scripts")))
            await asked.wait()
            note("Stopping.")
            return
        telling = asyncio.create_task(tell_delivery(running) if delivery else tell_story(running))
        stopping = asyncio.create_task(asked.wait())
        await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not telling.done():
            telling.cancel()
            await asyncio.wait({telling})
            raise KeyboardInterrupt
        stopping.cancel()
        steps = telling.result()
        emit(
            {"steps": steps}, lambda _: say(f"\nAll {steps} steps went as told, in {time.monotonic() - started:.0f} s.")
        )


def _print_code(root: Path, person: str) -> None:
    folder = open_data_folder(root, create=False)
    found = [actor for actor in cast(folder).values() if person in (actor.name, actor.short)]
    if not found:
        names = ", ".join(actor.name for actor in cast(folder).values())
        raise NotFound(f"The demo has nobody called {person}.", f"It has {names}.")
    digits = asyncio.run(fresh_code(found[0]))
    emit({"person": found[0].name, "code": digits}, lambda _: say(digits))
