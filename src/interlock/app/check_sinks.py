"""What `interlock doctor` says of the sinks: which is behind, by how much, and whether it stops the gateways."""

import time
from collections.abc import Iterable, Mapping

from interlock.app.data_folder import DataFolder
from interlock.app.discovery import find_sinks
from interlock.app.finding import Finding, bad, doubtful, good
from interlock.app.installation import kept_state_address, running_state
from interlock.app.sinking import Cursor
from interlock.domain.plain_text import written_out
from interlock.errors import InterlockError
from interlock.policy.configuration import SinkSource
from interlock.store.tellings import PostgresTellings, Told

_SOON_S = 10.0
"""An entry of so long ago would be told by now."""


async def check_sinks(folder: DataFolder, sinks: Mapping[str, SinkSource]) -> Iterable[Finding]:
    if not sinks:
        return []
    try:
        shared = await _shared(folder, sinks)
        async with running_state(folder.root) as (_, state), state.reading() as reading:
            told = {
                name: shared[name].position if name in shared else Cursor(folder.sinks / f"{name}.json").read()
                for name in sinks
            }
            behind = {
                name: [entry.at.timestamp() for entry in await reading.ledger(after=position, limit=1)]
                for name, position in told.items()
            }
            head = await reading.ledger_head()
    except InterlockError as error:
        return [bad("sinks", error.sentence, error.remedy)]
    return [
        _finding(folder, one, head - told[name], behind[name], shared.get(name)) for name, one in sorted(sinks.items())
    ]


async def _shared(folder: DataFolder, sinks: Mapping[str, SinkSource]) -> Mapping[str, Told]:
    """Of the sinks that any control plane tells, how far. Those that each tells by itself are not among them."""
    tellings = PostgresTellings(kept_state_address(folder).url)
    kinds = find_sinks()
    try:
        found = {
            name: await tellings.look(name)
            for name, one in sinks.items()
            if one.kind not in kinds or not kinds[one.kind].here
        }
    finally:
        await tellings.close()
    return {name: told for name, told in found.items() if told is not None}


def _finding(folder: DataFolder, sink: SinkSource, missing: int, since: list[float], shared: Told | None) -> Finding:
    if not since or time.time() - since[0] < _SOON_S:
        return good("sinks", f"The sink {sink.name} has been told what happened.")
    said = f"The sink {sink.name} is behind: {missing:,} entries wait, the first for {time.time() - since[0]:,.0f} s"
    remedy = f"Mend {sink.to}; {folder.log / 'control.log'} says what it answered."
    if shared is not None and shared.fault:
        remedy = f"Mend {sink.to}. The control plane that tried last: {written_out(shared.fault)}"
    elif shared is not None and shared.teller:
        remedy = f"Mend {sink.to}; the log of the control plane on {shared.teller.partition('/')[0]} tells more."
    if sink.enforced:
        return bad("sinks", f"{said}. It must be told, so the gateways are stopped.", remedy)
    return doubtful("sinks", f"{said}.", remedy)
