"""Where the keys of the checkpoints and the master key of recordings are: in files, or in OpenBao's transit engine."""

from interlock.app.data_folder import DataFolder
from interlock.app.ledger_keys import FileLogKeys
from interlock.app.ledger_keys_openbao import TransitLogKeys
from interlock.app.publishing import KEY_FILE
from interlock.domain.resources import CredentialSource
from interlock.errors import Failure
from interlock.identity.master_key import MASTER_FILE, FileMasterKey
from interlock.identity.openbao import Transit, TransitMasterKey
from interlock.policy.configuration import OpenBao
from interlock.ports.log_keys import LogKeys
from interlock.ports.master_key import MasterKey
from interlock.services.credentials import Credentials


def open_transit(section: OpenBao | None, credentials: Credentials) -> Transit | None:
    """None where nothing is in OpenBao. Raises Failure."""
    if section is None:
        return None

    async def fetch_token() -> str:
        return (await credentials.fetch(CredentialSource("openbao", section.token))).secret or ""

    return Transit(section.address, fetch_token, mount=section.mount, ca=section.ca)


def open_master_key(folder: DataFolder, section: OpenBao | None, transit: Transit | None) -> MasterKey:
    in_file = FileMasterKey(folder.keys / MASTER_FILE)
    if section is None or transit is None or not section.recordings:
        return in_file
    return TransitMasterKey(transit, section.recordings, in_file)


async def open_log_keys(folder: DataFolder, section: OpenBao | None, transit: Transit | None) -> LogKeys:
    """Raises Failure, also when the ledger was signed with another key before: who verifies it knows that one."""
    if section is None or transit is None or not section.ledger:
        return FileLogKeys.open(folder)
    if (folder.keys / KEY_FILE).exists():
        raise Failure(
            f"The ledger is signed with {folder.keys / KEY_FILE}, and openbao.ledger names another key.",
            "A ledger's keys stay where they are. Leave openbao.ledger out, or begin with a fresh data folder.",
        )
    return await TransitLogKeys.open(transit, section.ledger, folder)
