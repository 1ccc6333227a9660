"""How far each sink was told, and which control plane tells it."""

from pathlib import Path

from alembic import op

from interlock.store.migrations import run_script

revision: str = "0022"
down_revision: str | None = "0021"


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    """There is no way back: a ledger is never undone. Restore a backup instead."""
    raise NotImplementedError("the schema only goes forward; restore a backup to go back")
