"""Where the key of the checkpoints and the master key of recordings are: in files, or in OpenBao's transit engine."""

from pathlib import Path

from interlock.app.data_folder import DataFolder
from interlock.app.publishing import KEY_FILE, PUBLIC_FILE, new_log_name, open_signer
from interlock.domain.resources import CredentialSource
from interlock.errors import Failure
from interlock.identity.keys import write_private
from interlock.identity.master_key import MASTER_FILE, FileMasterKey
from interlock.identity.openbao import Transit, TransitMasterKey, read_signing_key
from interlock.ledger.notes import ED25519, VerifierKey, read_verifier, signature_line
from interlock.policy.configuration import OpenBao
from interlock.ports.master_key import MasterKey
from interlock.services.credentials import Credentials
from interlock.store.sequencer import LogKey


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


async def open_log_key(folder: DataFolder, section: OpenBao | None, transit: Transit | None) -> LogKey:
    """Raises Failure, also when the ledger was signed with another key before: who verifies it knows that one."""
    if section is None or transit is None or not section.ledger:
        signer = open_signer(folder)

        async def sign_here(text: str) -> str:
            return signer.sign(text)

        return LogKey(signer.verifier, sign_here)
    name = section.ledger
    if (folder.keys / KEY_FILE).exists():
        raise Failure(
            f"The ledger is signed with {folder.keys / KEY_FILE}, and openbao.ledger names another key.",
            "A ledger keeps its key. Leave openbao.ledger out, or begin with a fresh data folder.",
        )
    verifier = _known_as(folder.keys / PUBLIC_FILE, await read_signing_key(transit, name), name)

    async def sign_there(text: str) -> str:
        return signature_line(verifier, await transit.sign(name, text.encode()))

    return LogKey(verifier, sign_there)


def _known_as(path: Path, public: bytes, name: str) -> VerifierKey:
    if not path.exists():
        verifier = VerifierKey(new_log_name(), ED25519, public)
        write_private(path, f"{verifier}\n".encode())
        return verifier
    verifier = read_verifier(path.read_text())
    if verifier.public != public:
        raise Failure(
            f"The ledger was signed with another key than {name} in OpenBao: {path} says which.",
            "Name the key that it was signed with in openbao.ledger.",
        )
    return verifier
