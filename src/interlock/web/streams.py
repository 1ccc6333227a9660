"""Answers that have no end of their own: objects, one a line, until the reader goes or the server stops."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from fastapi.responses import StreamingResponse

NDJSON = "application/x-ndjson"


class OpenStreams:
    """Ends all streams at once when the server stops: it would wait for them otherwise."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        self._closing.set()

    async def next_of(self, queue: asyncio.Queue[Any], seconds: float) -> Any | None:
        """The queue's next item; None after ``seconds``, or at once when the server stops."""
        coming = asyncio.ensure_future(queue.get())
        stopping = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({coming, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() else None
        finally:
            for task in (coming, stopping):
                if not task.done():
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task


def line_of(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode(errors="replace") + b"\n"


def ndjson(lines: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(lines, media_type=NDJSON)
