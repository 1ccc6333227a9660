"""The demo's protected database, and the configuration that goes with it."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from interlock.app.data_folder import DataFolder, open_data_folder
from interlock.app.demo.shop import Shop
from interlock.errors import Failure
from interlock.identity.keys import write_private
from interlock.store.embedded import EmbeddedPostgres

OWNER = "orders_app"
DATABASE = "orders"
_MARK = "demo"


def open_demo_folder(folder: DataFolder, *, anew: bool) -> None:
    """Mark ``folder`` as a demo's. With ``anew`` an earlier demo's data is removed first; nobody else's ever is.

    Raises Failure for a folder that holds something else.
    """
    mark = folder.root / _MARK
    state = folder.root / "postgres"
    if state.exists() and not mark.exists():
        raise Failure(
            f"{folder.root} holds an installation that is no demo.",
            "Give the demo a folder of its own with --data DIR.",
        )
    if anew and mark.exists():
        _remove_earlier(folder)
    mark.touch()


def protected_database(folder: DataFolder) -> EmbeddedPostgres:
    """The second server: it plays production, and its owner's account is no superuser."""
    return EmbeddedPostgres(folder.root / "orders", logins=(OWNER,), database=DATABASE)


async def fill(server: EmbeddedPostgres) -> None:
    """Put the orders into the database, unless they are there."""
    connection = await asyncpg.connect(server.url_for(OWNER))
    try:
        if await connection.fetchval("SELECT to_regclass('public.orders') IS NULL"):
            async with connection.transaction():
                await connection.execute(files(__package__).joinpath("orders.sql").read_text())
            await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def write_configuration(
    folder: DataFolder, server: EmbeddedPostgres, *, free_ports: bool, shop: Shop | None = None
) -> Path:
    """interlock.yaml in the folder; one that is there is kept, whoever changed it. The secret is always renewed."""
    url = urlsplit(server.url_for(OWNER))
    secret = folder.keys / "orders-password"
    write_private(secret, unquote(url.password or "").encode())
    path = folder.root / "interlock.yaml"
    if path.exists():
        return path
    where = parse_qs(url.query)
    today = datetime.now(UTC)
    name = "interlock.yaml" if shop is None else "delivery.yaml"
    of_shop = {} if shop is None else {"origin": shop.origin, "hook": shop.secret, "first": shop.first}
    text = Template(files(__package__).joinpath(name).read_text()).substitute(
        console="127.0.0.1:0" if free_ports else "127.0.0.1:8443",
        postgres="127.0.0.1:0" if free_ports else "127.0.0.1:15432",
        address=f"{where['host'][0]}:{where['port'][0]}",
        secret=str(secret),
        start=f"{today - timedelta(days=30):%Y-%m-%d}",
        end=f"{today + timedelta(days=90):%Y-%m-%d}",
        **of_shop,
    )
    path.write_text(text)
    return path


async def start_database(folder: DataFolder) -> EmbeddedPostgres:
    """The protected server, running and filled."""
    server = protected_database(folder)
    await asyncio.to_thread(server.start)
    try:
        await fill(server)
    except (OSError, asyncpg.PostgresError) as error:
        await asyncio.to_thread(server.stop)
        raise Failure(
            f"The demo's database could not be filled: {error}.", f"See {server.folder / 'server.log'}."
        ) from error
    return server


def _remove_earlier(folder: DataFolder) -> None:
    for name in ("postgres", "orders", "homes", "keys", "recordings", "journal", "run", "log", "repositories"):
        shutil.rmtree(folder.root / name, ignore_errors=True)
    (folder.root / "interlock.yaml").unlink(missing_ok=True)
    open_data_folder(folder.root)
