"""What the story is played on: commands as the people's own processes, their answers shown, expectations held."""

import asyncio
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.app.demo.people import Actor, command, environment
from interlock.errors import Failure

_PATIENCE_S = 60.0
_SHOWN_LINES = 16


class NotAsTold(Exception):
    """A step of the story did not go as told; the sentence says which expectation failed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended: its exit code and everything it said, in order of the two streams."""

    code: int
    out: str
    complaint: str

    @property
    def text(self) -> str:
        return f"{self.out}{self.complaint}"


class Scene:
    """A command that still runs."""

    def __init__(self, process: asyncio.subprocess.Process, started: float) -> None:
        self.process = process
        self.started = started
        self._answer = asyncio.create_task(self._collect())

    async def answer(self, within_s: float = _PATIENCE_S) -> Answer:
        """Wait for its end. Raises NotAsTold when it does not come."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._answer), within_s)
        except TimeoutError:
            await self.stop()
            raise NotAsTold(f"the command did not end within {within_s:.0f} s") from None

    @property
    def over(self) -> bool:
        return self._answer.done()

    def interrupt(self) -> None:
        """Ctrl-C."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGINT)

    async def stop(self) -> None:
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        await self._answer

    async def _collect(self) -> Answer:
        out, complaint = await self.process.communicate()
        return Answer(self.process.returncode or 0, out.decode(errors="replace"), complaint.decode(errors="replace"))


class Stage:
    """Prints each step and what came back. Colour on terminals only."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._step = 0
        self._scenes: list[Scene] = []

    @property
    def steps(self) -> int:
        return self._step

    def step(self, title: str) -> None:
        self._step += 1
        self._print(f"\n{self._paint('1', f'{self._step}. {title}')}")

    def hold_true(self, sentence: str, *, when: bool) -> None:
        """The expectation of a step. Raises NotAsTold."""
        if not when:
            self._print(f"   {self._paint('31', '✗')} not so: {sentence}")
            raise NotAsTold(f"step {self._step}: it is not so that {sentence}")
        self._print(f"   {self._paint('32', '✓')} {sentence}")

    async def play(self, actor: Actor, *arguments: str, more: Mapping[str, str] | None = None) -> Answer:
        """Run a command to its end and show both."""
        answer = await (await self.begin(actor, *arguments, more=more)).answer()
        self.show(answer)
        return answer

    async def begin(self, actor: Actor, *arguments: str, more: Mapping[str, str] | None = None) -> Scene:
        """Start a command and go on."""
        shown = " ".join(map(_quoted, arguments))
        self._print(f"   {self._paint('36', f'{actor.short}$')} interlock {shown}")
        return await self._start(actor, arguments, more or {})

    async def quietly(self, actor: Actor, *arguments: str) -> Answer:
        """Run a command that belongs to the stage and not to the story."""
        return await (await self._start(actor, arguments, {})).answer()

    async def until(self, what: str, look: Callable[[], Awaitable[Any]], within_s: float = 30.0) -> Any:
        """The first answer of ``look`` that is not empty. Raises NotAsTold."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if found := await look():
                return found
            await asyncio.sleep(0.1)
        raise NotAsTold(f"step {self._step}: {what} did not happen within {within_s:.0f} s")

    def show(self, answer: Answer) -> None:
        lines = [line.rstrip() for line in answer.text.strip("\n").split("\n") if line.strip()]
        for line in lines[:_SHOWN_LINES]:
            self._print(f"     {self._paint('2', line)}")
        if len(lines) > _SHOWN_LINES:
            self._print(f"     {self._paint('2', f'… {len(lines) - _SHOWN_LINES} more lines')}")

    def tell(self, actor: Actor, line: str) -> None:
        """A command of another program than ours, as the actor typed it."""
        self._print(f"   {self._paint('36', f'{actor.short}$')} {line}")

    def say(self, sentence: str) -> None:
        self._print(f"   {sentence}")

    async def clear(self) -> None:
        """End whatever a broken step left running."""
        for scene in self._scenes:
            await scene.stop()

    async def _start(self, actor: Actor, arguments: Sequence[str], more: Mapping[str, str]) -> Scene:
        process = await asyncio.create_subprocess_exec(
            *command(*arguments),
            env=environment(actor, {"PGCONNECT_TIMEOUT": "10", **more}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        scene = Scene(process, time.monotonic())
        self._scenes = [*(one for one in self._scenes if not one.over), scene]
        return scene

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _print(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _quoted(part: str) -> str:
    """``part`` as people would type it for a shell."""
    return f'"{part}"' if "'" in part and not set(part) & set('"$`\\!') else shlex.quote(part)


def find(pattern: str, text: str) -> str:
    """The first match. Raises NotAsTold."""
    match = re.search(pattern, text)
    if match is None:
        raise NotAsTold(f"nothing like {pattern!r} was said")
    return match[0]


def broken_story(error: NotAsTold) -> Failure:
    return Failure(f"The story did not go as told: {error}.", "The lines above show what came back instead.")
