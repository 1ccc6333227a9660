"""People's own accounts on resources, kept beside the API: made with their grants, ended with them."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from interlock.app.data_folder import DataFolder
from interlock.errors import InterlockError
from interlock.identity.keys import load_or_create_nonce_secret
from interlock.ports.accounts import AccountKeeping
from interlock.ports.protocol import ProtocolAdapter
from interlock.services.credentials import AccountSecrets, Credentials
from interlock.services.desk import Desk
from interlock.services.keep_accounts import AccountKeeper
from interlock.web.news import News, wait_for

_LOOK_S = 2.0
"""How soon the end of a grant's window is seen, which nobody tells of."""

_log = logging.getLogger("interlock.accounts")


def open_account_secrets(folder: DataFolder) -> AccountSecrets:
    """From the key that all control planes of an installation share. Raises Failure."""
    key = load_or_create_nonce_secret(folder.keys / "accounts.key")
    return AccountSecrets(hashlib.sha256(b"installation\0" + key).hexdigest()[:16], key)


def keepers_of(protocols: Mapping[str, ProtocolAdapter]) -> dict[str, AccountKeeping]:
    """The protocols' ways of keeping accounts, by the kind of resource."""
    found = {name: getattr(adapter, "accounts", None) for name, adapter in protocols.items()}
    return {name: keeper for name, keeper in found.items() if keeper is not None}


@asynccontextmanager
async def keeping_accounts(
    desk: Desk, credentials: Credentials, keepers: Mapping[str, AccountKeeping]
) -> AsyncIterator[None]:
    """Accounts are kept while the block runs."""
    news = News(desk.state)
    task = asyncio.create_task(_keep(AccountKeeper(desk, credentials, keepers), news))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await news.close()


async def _keep(keeper: AccountKeeper, news: News) -> None:
    while True:
        happened = news.latest()
        try:
            await keeper.settle()
        except InterlockError as error:
            _log.warning("The accounts could not be looked at: %s", error)
        except Exception:  # noqa: BLE001 -- one fault of ours must not stop the accounts of every resource from ending
            _log.exception("The accounts could not be looked at by a fault of ours.")
        await wait_for(happened, _LOOK_S)
