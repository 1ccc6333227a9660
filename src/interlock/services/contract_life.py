"""What happens to a contract between its start and its end: confirmed, taken over, extended.

Holds to:

* the sponsor confirms, in the rhythm that ``review`` says, that the contract is still needed; one that nobody confirmed
  pauses, and confirming lets it run again
* a contract whose sponsor has left pauses; any other employee takes it, by name, and answers for it from then on.
  Nobody takes one from a sponsor who is there
* an extension is asked by the sponsor and agreed to by another employee, who is there (a fresh proof of presence), from
  another key, and who sees the very date that was asked. It moves the end; what was lent keeps its own end
* what a pause ended does not come back: the contractors ask anew
* a contract that has ended is over: it is neither confirmed, taken nor extended
"""

from dataclasses import replace
from datetime import datetime, timedelta

from interlock.domain.people import Contract, Extension, Person
from interlock.domain.rights_events import (
    ContractChanged,
    ContractConfirmed,
    ContractTaken,
    ExtensionAsked,
    ExtensionDecided,
)
from interlock.errors import NotFound, Refusal
from interlock.ports.state import Reading, UnitOfWork
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.logins import active_login, check_presence
from interlock.services.requests import check_reason

LONGEST_EXTENSION = timedelta(days=366)
_WAITS = timedelta(days=14)


async def confirm_contract(desk: Desk, *, by: str, name: str) -> Contract:
    """The sponsor says that it is still needed. Raises Refusal (``not-yours``, ``over``) or NotFound."""
    async with desk.deciding(by) as work:
        now = desk.clock.now()
        await _employee(work, by)
        contract = await _alive(work, name, now)
        _check_sponsor(contract, by)
        confirmed = replace(contract, confirmed_at=now, paused_at=None, paused_reason="")
        await work.save(confirmed)
        work.record(ContractConfirmed(contract=name, sponsor=by, due=confirmed.review_due))
    return confirmed


async def take_contract(desk: Desk, *, by: str, name: str) -> Contract:
    """An employee answers for a contract whose sponsor has left. Raises Refusal (``has-sponsor``, ``not-employee``)."""
    async with desk.deciding(by) as work:
        now = desk.clock.now()
        await _employee(work, by)
        contract = await _alive(work, name, now)
        sponsor = await work.person(contract.sponsor)
        if sponsor is not None and sponsor.active:
            raise Refusal(
                "has-sponsor",
                f"{contract.sponsor} answers for {name}.",
                f"Ask {contract.sponsor}, or an administrator.",
            )
        taken = replace(contract, sponsor=by, confirmed_at=now, paused_at=None, paused_reason="")
        await work.save(taken)
        work.record(ContractTaken(contract=name, sponsor=by, before=contract.sponsor))
    return taken


async def ask_extension(desk: Desk, *, login_id: str, name: str, until: datetime, reason: str) -> Extension:
    """The sponsor asks; a later ask takes the place of an earlier one. Raises Refusal (``bad-end``, ``not-yours``)."""
    reason = check_reason(reason)
    async with desk.state.reading() as reading:
        by = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(by) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await _employee(work, by)
        contract = await _alive(work, name, now)
        _check_sponsor(contract, by)
        if not contract.end < until <= now + LONGEST_EXTENSION:
            raise Refusal(
                "bad-end",
                f"The new end is later than {contract.end:%Y-%m-%d %H:%M} UTC, and within a year from now.",
                "Name another day with --until.",
            )
        extension = Extension(name, until, by, login.key, reason, now, min(now + _WAITS, contract.end))
        await work.save(extension)
        work.record(ExtensionAsked(contract=name, by=by, until=until, reason=reason))
    return extension


async def decide_extension(
    desk: Desk, *, login_id: str, name: str, until: datetime, agree: bool
) -> tuple[Contract, Extension]:
    """``until`` is what the person was shown. Raises Refusal (``self-approval``, ``same-key``, ``stale`` …)."""
    async with desk.state.reading() as reading:
        by = (await active_login(reading, login_id, desk.clock.now())).person
    async with desk.deciding(by) as work:
        now = desk.clock.now()
        login = await active_login(work, login_id, now)
        await _employee(work, by)
        contract = await _alive(work, name, now)
        extension = await _open_extension(work, name, now)
        _check_other(extension, by, login.key, until)
        present_at = check_presence(login, now, desk.configuration.timing.presence) if agree else None
        decided = replace(extension, decided_by=by, decided_at=now, agreed=agree)
        await work.save(decided)
        work.record(ExtensionDecided(contract=name, by=by, until=extension.until, agreed=agree, present_at=present_at))
        if agree:
            asker = await work.person(extension.asked_by)
            if asker is None or not asker.active or asker.name != contract.sponsor:
                raise Refusal(
                    "stale", f"{extension.asked_by} no longer answers for {name}.", "Let the sponsor ask anew."
                )
            contract = await _extend(work, contract, extension.until)
    return contract, decided


async def _extend(work: UnitOfWork, contract: Contract, until: datetime) -> Contract:
    extended = replace(contract, end=until, extended_from=contract.extended_from or contract.end, warned_at=None)
    await work.save(extended)
    work.record(
        ContractChanged(
            contract=extended.name,
            vendor=extended.vendor,
            sponsor=extended.sponsor,
            start=extended.start,
            end=extended.end,
            roles=tuple(sorted(extended.roles)),
        )
    )
    return extended


async def _employee(reading: Reading, name: str) -> Person:
    person = await acting_person(reading, name)
    if not person.is_employee:
        raise Refusal("not-employee", f"{name} comes from {person.vendor}: employees answer for contracts.", "Ask one.")
    return person


async def _alive(reading: Reading, name: str, now: datetime) -> Contract:
    contract = await reading.contract(name)
    if contract is None:
        raise NotFound(f"There is no contract {name}.", "See `interlock contracts`.")
    if contract.ended_at is not None or now >= contract.end:
        raise Refusal("over", f"The contract {name} has ended.", "A new one is written in the configuration.")
    return contract


async def _open_extension(reading: Reading, name: str, now: datetime) -> Extension:
    extension = await reading.extension(name)
    if extension is None or not extension.open(now):
        raise NotFound(f"No extension of {name} waits for an answer.", "See `interlock contracts`.")
    return extension


def _check_sponsor(contract: Contract, by: str) -> None:
    if contract.sponsor != by:
        raise Refusal("not-yours", f"{contract.sponsor} answers for {contract.name}.", f"Ask {contract.sponsor}.")


def _check_other(extension: Extension, by: str, key: str, until: datetime) -> None:
    if extension.asked_by == by:
        raise Refusal("self-approval", "Nobody agrees to what they asked for.", "Ask another employee.")
    if extension.key == key:
        raise Refusal(
            "same-key", f"This is the very key that {extension.asked_by} asked with.", "Use your own machine."
        )
    if extension.until != until:
        raise Refusal("stale", "What you were shown is not what is asked now.", "Look again: interlock contracts")
