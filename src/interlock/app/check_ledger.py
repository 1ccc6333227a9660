"""What `interlock doctor` says of the published ledger: is it signed, does it keep up, did it go backwards."""

from interlock.app.data_folder import DataFolder
from interlock.app.finding import Finding, bad, doubtful, good
from interlock.app.installation import running_state
from interlock.app.publishing import public_key_of
from interlock.errors import InterlockError
from interlock.ledger.audit import Trust, current_checkpoint
from interlock.ledger.verify import Broken
from interlock.store.tiles import ObjectTiles

_BEHIND = 1000
"""So many entries that are not published yet are more than a second's work."""


async def check_ledger(folder: DataFolder) -> Finding:
    try:
        signed = await current_checkpoint(ObjectTiles(str(folder.ledger)), Trust(public_key_of(folder)))
        if isinstance(signed, Broken):
            return bad("ledger", signed.reason, f"See {folder.log / 'control.log'}; verify a copy of the ledger.")
        async with running_state(folder.root) as (_, state), state.reading() as reading:
            entries = await reading.ledger_head()
    except InterlockError as error:
        return bad("ledger", error.sentence, error.remedy)
    size = signed.checkpoint.size
    if size > entries:
        return bad(
            "ledger",
            f"The ledger went backwards: it ends with entry {entries}, and {size} entries were published.",
            "A backup older than the ledger was restored, or entries were removed: restore the newest backup.",
        )
    if entries - size > _BEHIND:
        return doubtful(
            "ledger", f"{entries - size} entries are not published yet.", f"See {folder.log / 'control.log'}."
        )
    return good("ledger", f"{size:,} entries are published and signed by {signed.checkpoint.origin}.")
