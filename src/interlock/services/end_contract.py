"""A contract ends before its time, and everything that rests on it with it.

Holds to:

* the contract's sponsor ends it, or an administrator; never somebody of another contract
* in the same moment end: every grant that rests on it, every open request that rests on it, and the logins of persons
  whom no running contract covers any more
* an ended contract never runs again, whatever the configuration says later
"""

from interlock.errors import NotFound, Refusal
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person, is_administrator
from interlock.services.endings import Ended, Endings, with_positions
from interlock.services.requests import check_reason


async def end_contract(desk: Desk, *, by: str, contract_name: str, reason: str) -> tuple[Ended, ...]:
    """What ended, each with its place in the ledger. Raises Refusal (``not-yours``, ``over``) or NotFound."""
    reason = check_reason(reason)
    async with desk.ending(by) as work:
        now = desk.clock.now()
        person = await acting_person(work, by)
        contract = await work.contract(contract_name)
        if contract is None:
            raise NotFound(f"There is no contract {contract_name}.", "See `interlock contracts`.")
        if contract.sponsor != by and not is_administrator(person):
            raise Refusal(
                "not-yours",
                f"{by} may not end the contract {contract.name}: {contract.sponsor} answers for it.",
                f"Ask {contract.sponsor} or an administrator.",
            )
        if contract.ended_at is not None:
            raise Refusal("over", f"The contract {contract.name} has ended already.", "See `interlock contracts`.")
        head = await work.ledger_head()
        endings = Endings(work, by=by, reason=reason, at=now)
        await endings.contract(contract)
    return await with_positions(desk.state, head, endings.ended)
