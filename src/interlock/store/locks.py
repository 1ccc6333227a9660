"""The advisory locks in the state's database. Every part takes them by their numbers here."""

from enum import Enum, unique

_OURS = 18764


@unique
class Lock(Enum):
    """INVARIANT: no two have one number, or who holds the one for good would keep everybody from the other. A number
    stays what it is: an older control plane that still runs takes it too."""

    LEDGER = (_OURS, 1)
    """A transaction that writes; the triggers of the schema take it by this number as well."""
    SEQUENCER = (_OURS, 2)
    WATCH = (_OURS, 3)
    KEEPING = (_OURS, 4)
    NOTIFYING = (_OURS, 5)
    MIGRATION = (_OURS, 6)


LEDGER_LOCK = Lock.LEDGER.value
SEQUENCER_LOCK = Lock.SEQUENCER.value
WATCH_LOCK = Lock.WATCH.value
KEEPING_LOCK = Lock.KEEPING.value
NOTIFYING_LOCK = Lock.NOTIFYING.value
MIGRATION_LOCK = Lock.MIGRATION.value
