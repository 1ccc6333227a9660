"""Bringing a database to the schema that this version works with."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from interlock.errors import Failure, Misuse
from interlock.store.connecting import connect
from interlock.store.failures import as_failures
from interlock.store.locks import MIGRATION_LOCK
from interlock.store.migrations import run_script
from interlock.store.tables import SCHEMA

_RIGHTS = Path(__file__).with_name("migrations") / "rights.sql"


async def migrate(url: str) -> None:
    """Make or upgrade the schema, as one transaction. Two that start at once take turns.

    ``url``'s role owns what is made, and needs CREATE on the database. Where it may make roles, or the operator has
    made it a member of ``interlock_application``, the control plane works with that role's rights from then on.
    Raises Failure, also when the schema is a later version's.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(url, as_application=False), poolclass=NullPool
    )
    try:
        with as_failures():
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade)
    except Misuse as error:
        raise Failure(
            f"The state's schema cannot be made: {error}.", "The schema `interlock` of that database is ours alone."
        ) from error
    finally:
        await engine.dispose()


def configuration(connection: Connection) -> Config:
    """Alembic's configuration, on a connection whose transaction the caller holds."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:one, :two)"), dict(zip(("one", "two"), MIGRATION_LOCK, strict=True))
    )
    version = connection.execute(text("SELECT current_setting('server_version_num')::int")).scalar_one()
    if version < 140000:
        raise Failure(f"The state's database is PostgreSQL {version // 10000}.", "Interlock needs 14 or later.")
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    config = configuration(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = set(MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA}).get_current_heads())
    if present - known:
        raise Failure(
            "The state was written by a later version of Interlock than this one.",
            "Install that version again, or restore a backup that is older than it.",
        )
    command.upgrade(config, "head")
    run_script(connection, _RIGHTS)
