"""JSON Lines: one event a line, appended to a file and flushed to the disk."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlock.errors import Failure


class JsonLinesFile:
    """Implements :class:`interlock.ports.sink.OpenSink`. The file is opened anew each time: it may be rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n" for event in events)
        await asyncio.to_thread(self._append, text.encode())

    async def close(self) -> None:
        """Nothing is held."""

    def _append(self, content: bytes) -> None:
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Failure(
                f"Events cannot be written to {self._path}: {error.strerror}.", "Make room, or mend its folder."
            ) from error


class JsonLines:
    name = "jsonl"
    here = True

    def open(self, to: str, secret: str | None) -> JsonLinesFile:
        path = Path(to)
        if not path.is_absolute():
            raise Failure(f"{to} is not the absolute path of a file.", "Write to: /var/log/interlock/events.jsonl")
        return JsonLinesFile(path)


SINK = JsonLines()
