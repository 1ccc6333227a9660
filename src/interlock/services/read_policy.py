"""The versions of the policy, for administrators."""

from collections.abc import Sequence

from interlock.domain.snapshot import PolicyText
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.reading_rights import check_may_read_policy


async def read_policies(desk: Desk, *, person: str) -> Sequence[PolicyText]:
    """The newest first; the first is the active one. Raises Refusal (``not-yours``)."""
    async with desk.state.reading() as reading:
        check_may_read_policy(await acting_person(reading, person))
        return await reading.policies()
