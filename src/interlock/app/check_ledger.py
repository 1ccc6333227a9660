"""What `interlock doctor` says of the published ledger: is it signed, does it keep up, did it go backwards."""

import time
from collections.abc import Iterator

from interlock.app.data_folder import DataFolder
from interlock.app.finding import Finding, bad, doubtful, good
from interlock.app.installation import running_state
from interlock.app.ledger_keys import FileLogKeys
from interlock.app.places import Places
from interlock.app.publishing import KEY_FILE, public_key_of
from interlock.app.witnesses import addresses_of
from interlock.errors import InterlockError
from interlock.ledger.audit import Current, Trust, find_current
from interlock.ledger.freshness import explain_cosignatures
from interlock.ledger.notes import NotANote, SignedCheckpoint, VerifierKey
from interlock.ledger.verify import Broken
from interlock.policy.configuration import Witnesses
from interlock.services.rotate_ledger_key import newest_named
from interlock.store.tiles import ObjectTiles
from interlock.wire.objects import check_conditions, open_objects, told_of

_BEHIND = 1000
"""So many entries that are not published yet are more than a second's work."""


async def check_ledger(folder: DataFolder, places: Places, witnesses: Witnesses) -> Finding:
    try:
        current = await find_current(ObjectTiles(places.ledger), Trust(public_key_of(folder)))
        if isinstance(current, Broken):
            return bad("ledger", current.reason, f"See {folder.log / 'control.log'}; verify a copy of the ledger.")
        async with running_state(folder.root) as (_, state), state.reading() as reading:
            entries = await reading.ledger_head()
            # an entry may name one that is not published yet, and is not for want of that very key
            needed = await newest_named(reading) or current.key
        has_key = await _has(folder, needed)
    except InterlockError as error:
        return bad("ledger", error.sentence, error.remedy)
    signed = current.signed
    size = signed.checkpoint.size
    if size > entries:
        return bad(
            "ledger",
            f"The ledger went backwards: it ends with entry {entries}, and {size} entries were published.",
            "A backup older than the ledger was restored, or entries were removed: restore the newest backup.",
        )
    if not has_key:
        return doubtful(
            "ledger",
            f"The ledger goes on with the key {needed.number.hex()}, which is not in {folder.keys}: this control plane "
            "cannot publish it.",
            "Copy ledger*.key there from the control plane where it was rotated.",
        )
    if entries - size > _BEHIND:
        return doubtful(
            "ledger", f"{entries - size} entries are not published yet.", f"See {folder.log / 'control.log'}."
        )
    return check_witnesses(signed, witnesses, time.time()) or good(
        "ledger",
        f"{size:,} entries are published and signed by {signed.checkpoint.origin} with the key "
        f"{current.key.number.hex()}{_followed(current)}.",
    )


async def _has(folder: DataFolder, key: VerifierKey) -> bool:
    """Whether it is among the files; always, where none is: it is in OpenBao then."""
    return not (folder.keys / KEY_FILE).exists() or await FileLogKeys(folder).find(key) is not None


def _followed(current: Current) -> str:
    steps = current.chain.steps
    if not steps:
        return ""
    last = steps[-1]
    return f", which followed {last.older.number.hex()} with entry {last.position:,}"


def check_stores(places: Places) -> Iterator[Finding]:
    """Of the object stores: does each answer, may we write there, and does it keep two writers apart."""
    for name, place in (("ledger store", places.ledger), ("recording store", places.recordings)):
        if place.folder is None:
            what = f"The store {place.where}"
            try:
                check_conditions(open_objects(place, what), what)
            except InterlockError as error:
                yield bad(name, f"{error.sentence} Credentials: {told_of(place)}.", error.remedy)
            else:
                yield good(name, f"{place.where} answers, and keeps two writers apart.")


def check_witnesses(signed: SignedCheckpoint, witnesses: Witnesses, now_s: float) -> Finding | None:
    """A finding when fewer than are needed have cosigned this checkpoint within the last minutes. ``now_s`` is the time
    in seconds since 1970."""
    try:
        wrong = explain_cosignatures(signed, [one.key for one in addresses_of(witnesses)], witnesses.need, now_s)
    except (NotANote, InterlockError) as error:
        return bad("witnesses", f"The cosignatures do not hold: {error}", "Compare the witnesses' keys.")
    if wrong is None:
        return None
    return bad(
        "witnesses",
        wrong,
        "The control plane's log says what they answered. If one has seen another history, find out who rewrote it.",
    )
