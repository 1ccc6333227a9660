"""What connections were let in by is forgotten a day after it was over."""

from pathlib import Path

from alembic import op

from interlock.store.migrations import run_script

revision: str = "0021"
down_revision: str | None = "0020"


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    """There is no way back: a ledger is never undone. Restore a backup instead."""
    raise NotImplementedError("the schema only goes forward; restore a backup to go back")
