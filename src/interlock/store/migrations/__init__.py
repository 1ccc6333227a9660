"""The schema's history. A migration is never edited once it was released; the next one changes what it made.

Each version is an SQL script with a Python file of the same name beside it, which tells Alembic its place.
"""

from pathlib import Path

from alembic import op


def run_script(version: str) -> None:
    """Run the SQL beside the Python file ``version``, whole, in the migration's transaction."""
    script = Path(version).with_suffix(".sql").read_text()
    connection = op.get_bind().connection.dbapi_connection
    if connection is None:
        raise RuntimeError("the migration's connection is gone")
    # SQLAlchemy prepares what it runs, and one statement at a time; a script is many.
    connection.run_async(lambda driver: driver.execute(script))
