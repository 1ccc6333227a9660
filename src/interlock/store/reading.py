"""Reads of one consistent state."""

from interlock.store.reads_credentials import CredentialReads
from interlock.store.reads_log import LogReads
from interlock.store.reads_people import PeopleReads
from interlock.store.reads_recordings import RecordingReads
from interlock.store.reads_rights import RightsReads
from interlock.store.reads_work import WorkReads


class PostgresReading(PeopleReads, RightsReads, CredentialReads, WorkReads, RecordingReads, LogReads):
    """Implements :class:`interlock.ports.state.Reading`, each part in a file of its own."""
