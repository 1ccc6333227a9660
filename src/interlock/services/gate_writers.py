"""Who wrote what a deployment would bring to an environment, or take from it: who has no say in an emergency."""

from interlock.domain.delivery import Commit, Evidence, Known
from interlock.services.delivery import Delivery, Persons, revision_of
from interlock.services.gate_authors import Authors, by_commit, find_authors


async def find_writers(delivery: Delivery, *, artifact: str, environment: str) -> Authors:
    """The writers of all commits between what the environment has and ``artifact``, whichever of them is the older.

    A merge that brings nothing of its own has no writer. ``missing`` says of which commits nobody knows who made them.
    """
    revision = revision_of(artifact)
    repository = delivery.repository(revision.repository)
    chain = delivery.desk.configuration.chains[repository.chain]
    repositories, name = delivery.repositories, repository.name
    async with delivery.desk.state.reading() as reading:
        last = await reading.last_evidence(name, chain.duties[-1], environment)
        base = repository.since if last is None else last.commit
        found: dict[str, Commit] = {}
        for older, newer in ((base, revision.commit), (revision.commit, base)):
            clean = {step.sha for step in (await repositories.change(name, older, newer)).steps if step.clean}
            brought = await repositories.between(name, older, newer)
            found |= {sha: commit for sha, commit in brought.items() if sha not in clean}
        evidence = [one for one in await reading.evidence(name, list(found), sealed=False) if one.chain == chain.name]
        claimed = {one.id: await _claims(delivery, one) for one in evidence if _says(one, chain.duties[0])}
        persons = Persons(reading, repository.forge, delivery.forges.get(repository.forge))
        return await find_authors(found.values(), persons, by_commit(evidence, claimed))


def _says(evidence: Evidence, first: str) -> bool:
    return evidence.counts and evidence.duty == first and evidence.how is Known.CLI


async def _claims(delivery: Delivery, evidence: Evidence) -> list[str]:
    return list(await delivery.repositories.between(evidence.repository, evidence.base, evidence.commit))
