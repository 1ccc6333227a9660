"""What `interlock doctor` says of sinks, and of receivers of security events: who is behind, by how much, and whether
it stops the gateways."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.app.data_folder import DataFolder
from interlock.app.discovery import find_sinks
from interlock.app.finding import Finding, bad, doubtful, good
from interlock.app.installation import kept_state_address, running_state
from interlock.app.signalling import key_of as receiver_key
from interlock.app.sinking import Cursor
from interlock.domain.plain_text import written_out
from interlock.errors import InterlockError
from interlock.policy.configuration import Receiver, SinkSource
from interlock.store.tellings import PostgresTellings, Told

_SOON_S = 10.0
"""An entry of so long ago would be told by now."""


@dataclass(frozen=True, slots=True)
class _Told:
    """Somebody who is told. ``key`` is theirs in the tellings; ``file`` says how far, for one of this machine."""

    topic: str
    called: str
    to: str
    key: str
    enforced: bool = False
    file: Path | None = None


async def check_sinks(
    folder: DataFolder, sinks: Mapping[str, SinkSource], receivers: Mapping[str, Receiver]
) -> Iterable[Finding]:
    everyone = [*_sinks(folder, sinks), *_receivers(receivers)]
    if not everyone:
        return []
    try:
        shared = await _shared(folder, everyone)
        async with running_state(folder.root) as (_, state), state.reading() as reading:
            head = await reading.ledger_head()
            found = []
            for one in everyone:
                position = _reached(one, shared.get(one.key), head)
                since = [entry.at.timestamp() for entry in await reading.ledger(after=position, limit=1)]
                found.append(_finding(folder, one, head - position, since, shared.get(one.key)))
    except InterlockError as error:
        return [bad("sinks", error.sentence, error.remedy)]
    return found


def _sinks(folder: DataFolder, sinks: Mapping[str, SinkSource]) -> Iterable[_Told]:
    kinds = find_sinks()
    for name, one in sorted(sinks.items()):
        here = one.kind in kinds and kinds[one.kind].here
        file = folder.sinks / f"{name}.json"
        yield _Told("sinks", f"The sink {name}", one.to, name, one.enforced, file if here else None)


def _receivers(receivers: Mapping[str, Receiver]) -> Iterable[_Told]:
    for name, one in sorted(receivers.items()):
        yield _Told("receivers", f"The receiver {name}", one.to, receiver_key(name))


def _reached(one: _Told, shared: Told | None, head: int) -> int:
    if shared is not None:
        return shared.position
    if one.file is not None:
        return Cursor(one.file).read()
    # a receiver that was never begun with is told what happens from then on
    return head if one.topic == "receivers" else 0


async def _shared(folder: DataFolder, everyone: Iterable[_Told]) -> Mapping[str, Told]:
    """Of those whom any control plane tells, how far. Those whom each tells by itself are not among them."""
    tellings = PostgresTellings(kept_state_address(folder).url)
    try:
        found = {one.key: await tellings.look(one.key) for one in everyone if one.file is None}
    finally:
        await tellings.close()
    return {key: told for key, told in found.items() if told is not None}


def _finding(folder: DataFolder, one: _Told, missing: int, since: list[float], shared: Told | None) -> Finding:
    if not since or time.time() - since[0] < _SOON_S:
        return good(one.topic, f"{one.called} has been told what happened.")
    said = f"{one.called} is behind: {missing:,} entries wait, the first for {time.time() - since[0]:,.0f} s"
    remedy = f"Mend {one.to}; {folder.log / 'control.log'} says what it answered."
    if shared is not None and shared.fault:
        remedy = f"Mend {one.to}. The control plane that tried last: {written_out(shared.fault)}"
    elif shared is not None and shared.teller:
        remedy = f"Mend {one.to}; the log of the control plane on {shared.teller.partition('/')[0]} tells more."
    if one.enforced:
        return bad(one.topic, f"{said}. It must be told, so the gateways are stopped.", remedy)
    return doubtful(one.topic, f"{said}.", remedy)
