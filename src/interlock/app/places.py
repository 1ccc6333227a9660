"""Where this installation keeps its ledger and its recordings: folders of the data folder, or object stores."""

from dataclasses import dataclass

from interlock.app.data_folder import DataFolder
from interlock.policy.configuration import Configuration
from interlock.wire.objects import Place


@dataclass(frozen=True, slots=True)
class Places:
    ledger: Place
    recordings: Place


def places_of(folder: DataFolder, configuration: Configuration) -> Places:
    """Of the machine's own configuration, as with ``state``: not of the active policy."""
    kept = configuration.objects

    def place(url: str, otherwise: str) -> Place:
        return Place(url, kept.endpoint, kept.region, kept.credentials) if url else Place(otherwise)

    return Places(place(kept.ledger, str(folder.ledger)), place(kept.recordings, str(folder.recordings)))
