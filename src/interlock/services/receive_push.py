"""A plain git server asks whether a push may be taken.

The protected branch takes only a commit on which the chain's duties of review are done, from whoever pushes it; such a
commit is pushed to another branch first. It is never deleted and never loses a commit, which the hook itself looks at,
as it does with tags. What else is pushed is free, and counts as written by who pushed it.
"""

from interlock.domain.delivery import Missing
from interlock.errors import NotFound
from interlock.ports.forge import News
from interlock.services.delivery import Delivery, Persons
from interlock.services.gate import ask_gate


async def judge_push(delivery: Delivery, *, forge: str, news: News) -> list[str]:
    """Why the push is refused, one sentence each; empty when it may be taken."""
    repository, pushed = delivery.repository_of(forge, news.project), news.pushed
    if repository is None or pushed is None:
        raise NotFound(f"The project {news.project[:80]} of {forge} is none here.", "See `repositories`.")
    async with delivery.desk.state.reading() as reading:
        login = "" if pushed.by is None else pushed.by.login
        person = await Persons(reading, forge, None).of_login(login)
    if person is None:
        return [f"{login or 'Nobody'} is no person's account here. Ask who keeps interlock.yaml to add it."]
    if pushed.ref != f"refs/heads/{repository.branch}":
        return []
    if not pushed.after.strip("0"):
        return [f"{repository.branch} is not deleted."]
    chain = delivery.desk.configuration.chains[repository.chain]
    reviews = [chain.duties.index(one) for one in (repository.reviews, repository.ci_duty) if one]
    verdict = await ask_gate(
        delivery,
        chain=chain.name,
        duty=chain.duties[max(reviews) + 1],
        artifact=f"git:{repository.name}@{pushed.after}",
        person=None,
        environment="",
        merging=True,
    )
    return [_told(one, repository.branch) for one in verdict.missing]


def _told(missing: Missing, branch: str) -> str:
    if missing.code == "unknown-revision":
        return f"Push it to a branch of its own first, and have it reviewed there; then push it to {branch}."
    return missing.sentence + (f" Who could: {', '.join(missing.who)}." if missing.who else "")
