"""People's own accounts on resources, kept beside the API: made with their grants, ended with them."""

import hashlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from interlock.app.background import beside, for_good
from interlock.app.data_folder import DataFolder
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
    work = partial(_keep, AccountKeeper(desk, credentials, keepers), news)
    try:
        async with beside(for_good(work, "The accounts could not be looked at", _log, pause_s=_LOOK_S)):
            yield
    finally:
        await news.close()


async def _keep(keeper: AccountKeeper, news: News) -> None:
    while True:
        happened = news.latest()
        await keeper.settle()
        await wait_for(happened, _LOOK_S)
