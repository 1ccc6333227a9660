"""The schema's history. A migration is never edited once it was released; the next one changes what it made.

Each version is an SQL script with a Python file of the same name beside it, which tells Alembic its place.
"""

from pathlib import Path

from sqlalchemy import Connection


def run_script(connection: Connection, script: Path) -> None:
    """Run an SQL script, whole, in the connection's transaction."""
    # SQLAlchemy prepares what it runs, and one statement at a time; a script is many.
    driver = connection.connection.dbapi_connection
    if driver is None:
        raise RuntimeError("the migration's connection is gone")
    text = script.read_text()
    driver.run_async(lambda opened: opened.execute(text))
