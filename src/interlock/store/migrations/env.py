"""What Alembic runs. The connection comes from :mod:`interlock.store.migrate`, inside its transaction."""

from alembic import context
from sqlalchemy import Connection

from interlock.store.tables import SCHEMA, metadata


def run() -> None:
    connection = context.config.attributes["connection"]
    if not isinstance(connection, Connection):
        raise TypeError("migrations run on the connection that interlock.store.migrate gives")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
        include_name=lambda name, kind, _: kind != "schema" or name == SCHEMA,
        compare_type=True,
        compare_server_default=True,
    )
    context.run_migrations()


run()
