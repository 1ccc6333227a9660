"""A chain as it stands: its duties, what separates them, and who did what and who still could on its artifacts.

Holds to:

* employees see all chains and artifacts; others see the chains, and the artifacts in which they have a part
* who could is judged as when a duty is taken, for the persons of now; it promises nothing
"""

from collections.abc import Sequence
from dataclasses import dataclass

from interlock.domain.duties import Duty
from interlock.domain.people import Person
from interlock.errors import NotFound, Refusal
from interlock.policy.configuration import Chain
from interlock.ports.state import Reading
from interlock.proof.carrying import Standing, describe
from interlock.services.desk import Desk
from interlock.services.ending_rights import acting_person
from interlock.services.separating import standing_of

_NAMED = 12
_ROWS = 40


@dataclass(frozen=True, slots=True)
class Step:
    """One duty over an artifact: who has it, else who could take it (some of them) and how many those are.

    ``next``: the reader could take it, or carry through what they have taken.
    """

    duty: str
    carried: Duty | None
    could: tuple[str, ...]
    more: int
    next: bool = False


@dataclass(frozen=True, slots=True)
class Square:
    """A person before a duty: ``has``, ``could`` or ``may-not``, with the reason."""

    state: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class ArtifactView:
    """``matrix`` has a row for each of some persons, those who have a part first."""

    artifact: str
    steps: tuple[Step, ...]
    voided: tuple[Duty, ...]
    matrix: tuple[tuple[str, tuple[Square, ...]], ...] = ()


async def list_chains(desk: Desk, *, person: str) -> Sequence[tuple[Chain, tuple[str, ...]]]:
    """Each chain with its latest artifacts that the person may see."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        found = []
        for _, chain in sorted(desk.configuration.chains.items()):
            names = [name for name in await reading.artifacts(chain.name) if await _sees(reading, reader, chain, name)]
            found.append((chain, tuple(names)))
    return found


async def picture_artifact(desk: Desk, *, person: str, chain: str, artifact: str) -> tuple[Chain, ArtifactView]:
    """Raises NotFound for a chain or an artifact that is not there, or that the person may not see."""
    known = desk.configuration.chains.get(chain)
    if known is None:
        raise NotFound(f"There is no chain {chain}.", "See the page Duties.")
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        if not await _sees(reading, reader, known, artifact):
            raise NotFound(f"The chain {chain} has no such artifact.", "See the page Duties.")
        history = await reading.duties(chain, artifact)
        standing = await standing_of(reading, known, desk.clock.now())
    carried = [past for past in history if past.carried]
    who = {past.duty: past.person for past in carried}
    return known, ArtifactView(
        artifact=artifact,
        steps=_steps(standing, known, carried, reader.name),
        voided=tuple(past for past in history if not past.carried),
        matrix=_matrix(standing, known, who) if reader.is_employee else (),
    )


@dataclass(frozen=True, slots=True)
class Mark:
    """A person before a duty of a chain: whether they may carry it at all, over how many of the latest artifacts they
    do, and over which of those a separation does not hold, with the rule."""

    may: bool
    carried: int
    violations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """``rows`` are some persons, those with violations first and then those who carry something; ``more`` are not
    shown. ``looked`` artifacts were looked at."""

    chain: Chain
    rows: tuple[tuple[str, tuple[Mark, ...]], ...]
    more: int
    looked: int

    @property
    def violations(self) -> int:
        return sum(len(mark.violations) for _, marks in self.rows for mark in marks)


async def separation_matrix(desk: Desk, *, person: str, chain: str) -> Matrix:
    """For employees. Raises Refusal (``not-yours``), and NotFound for a chain that is not there."""
    async with desk.state.reading() as reading:
        reader = await acting_person(reading, person)
        if not reader.is_employee:
            raise Refusal("not-yours", f"{person} may not see who could carry what.", "Ask your sponsor.")
        known = desk.configuration.chains.get(chain)
        if known is None:
            raise NotFound(f"There is no chain {chain}.", "See the page Duties.")
        artifacts = await reading.artifacts(chain)
        histories = [[past for past in await reading.duties(chain, name) if past.carried] for name in artifacts]
        standing = await standing_of(reading, known, desk.clock.now())
    carried: dict[tuple[str, str], int] = {}
    broken: dict[tuple[str, str], list[str]] = {}
    for history in histories:
        who = {past.duty: past.person for past in history}
        for past in history:
            square = (past.person, past.duty)
            carried[square] = carried.get(square, 0) + 1
            for rule in standing.at_odds(who, past.duty):
                broken.setdefault(square, []).append(f"{past.artifact}: {describe(rule)}")
    return _as_matrix(standing, known, carried, broken, len(histories))


def _as_matrix(
    standing: Standing,
    chain: Chain,
    carried: dict[tuple[str, str], int],
    broken: dict[tuple[str, str], list[str]],
    looked: int,
) -> Matrix:
    first = sorted({name for name, _ in broken})
    names = [*dict.fromkeys([*first, *sorted({name for name, _ in carried}), *sorted(standing.people)])]
    rows = []
    for name in names[:_ROWS]:
        marks = []
        for duty in chain.duties:
            may = name in standing.people and standing.may_carry(name, duty)
            marks.append(Mark(may, carried.get((name, duty), 0), tuple(broken.get((name, duty), ()))))
        rows.append((name, tuple(marks)))
    return Matrix(chain, tuple(rows), max(0, len(names) - _ROWS), looked)


async def _sees(reading: Reading, reader: Person, chain: Chain, artifact: str) -> bool:
    history = await reading.duties(chain.name, artifact)
    return bool(history) and (reader.is_employee or any(past.person == reader.name for past in history))


def _steps(standing: Standing, chain: Chain, carried: Sequence[Duty], reader: str) -> tuple[Step, ...]:
    """Duties are taken in their order, each when those before it are done."""
    steps: list[Step] = []
    for duty in chain.duties:
        turn = all(step.carried is not None and step.carried.done for step in steps)
        own = next((past for past in carried if past.duty == duty), None)
        if own is not None:
            steps.append(Step(duty, own, (), 0, next=own.person == reader and not own.done))
            continue
        able = standing.instead({past.duty: past.person for past in carried}, duty)
        steps.append(Step(duty, None, able[:_NAMED], max(0, len(able) - _NAMED), next=turn and reader in able))
    return tuple(steps)


def _matrix(standing: Standing, chain: Chain, who: dict[str, str]) -> tuple[tuple[str, tuple[Square, ...]], ...]:
    names = [*dict.fromkeys(who.values()), *sorted(set(standing.people) - set(who.values()))][:_ROWS]
    return tuple((name, tuple(_square(standing, name, duty, who) for duty in chain.duties)) for name in names)


def _square(standing: Standing, name: str, duty: str, who: dict[str, str]) -> Square:
    if who.get(duty) == name:
        return Square("has")
    if name not in standing.people or not standing.may_carry(name, duty):
        return Square("may-not", "The chain does not let them carry it.")
    others = {other: person for other, person in who.items() if other != duty}
    broken = standing.broken(others, duty, name)
    return Square("could") if broken is None else Square("may-not", describe(broken))
