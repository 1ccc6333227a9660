"""A cluster asks whether images may run in an environment: each by its digest, built from a commit with a whole chain.

Holds to:

* an image without a digest is refused: its name may mean another one tomorrow
* the digest must be in provenance that a builder of the repository has signed, and all provenance of it must name one
  commit
* that commit has been deployed to the environment through the gate, or the gate would let it be deployed now
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from interlock.domain.delivery import Known
from interlock.services.delivery import Delivery
from interlock.services.gate import ask_gate

_DIGEST = re.compile(r"[^@\s]{1,400}@(sha256:[0-9a-f]{64})")
_LISTS = ("containers", "initContainers", "ephemeralContainers")
_DEEPEST = 12


def images_of(thing: object, depth: int = 0) -> Iterable[str]:
    """The images of whatever holds a pod's specification: a pod, a deployment, a job, a cron job; image volumes too.

    An empty one stands for what cannot be told, and is refused.
    """
    if not isinstance(thing, Mapping):
        return
    if depth > _DEEPEST:
        yield ""
        return
    for name, value in thing.items():
        if name in _LISTS and isinstance(value, list):
            for container in value:
                image = container.get("image") if isinstance(container, Mapping) else None
                yield image if isinstance(image, str) else ""
        elif name == "volumes" and isinstance(value, list):
            mounted = (volume.get("image") for volume in value if isinstance(volume, Mapping))
            for image in (one for one in mounted if one is not None):
                reference = image.get("reference") if isinstance(image, Mapping) else None
                yield reference if isinstance(reference, str) else ""
        elif isinstance(value, Mapping):
            yield from images_of(value, depth + 1)


async def admit_images(delivery: Delivery, *, repository: str, environment: str, thing: Mapping[str, Any]) -> list[str]:
    """Why it is refused, one sentence an image; empty when it is admitted."""
    known = delivery.repository(repository)
    found = list(dict.fromkeys(images_of(thing)))
    if not found:
        return ["There is no image in what was asked about, so nothing can be said of it."]
    refusals = []
    for image in found:
        refusal = await _refuse(delivery, known.name, environment, image)
        if refusal:
            refusals.append(refusal)
    return refusals


async def _refuse(delivery: Delivery, repository: str, environment: str, image: str) -> str:
    shown = image[:120] or "a container"
    match = _DIGEST.fullmatch(image)
    if match is None:
        return f"{shown} names no image by its digest (NAME@sha256:…)."
    async with delivery.desk.state.reading() as reading:
        builds = [one for one in await reading.evidence_of_build(match[1]) if one.counts and one.how is Known.BUILD]
        commits = {(one.repository, one.commit) for one in builds}
        if len(commits) != 1 or next(iter(commits))[0] != repository:
            why = (
                "no builder of its repository says what it was built from"
                if not commits
                else "is said to come from two"
            )
            return f"{shown}: {why}."
        ((_, commit),) = commits
        chain = delivery.desk.configuration.chains[delivery.repository(repository).chain]
        duty = chain.duties[-1]
        deployed = await reading.evidence(repository, [commit])
    if any(one.counts and one.duty == duty and one.environment == environment for one in deployed):
        return ""
    verdict = await ask_gate(
        delivery,
        chain=chain.name,
        duty=duty,
        artifact=f"git:{repository}@{commit}",
        environment=environment,
        person=None,
    )
    return "" if verdict.open else f"{shown}: " + " ".join(one.sentence for one in verdict.missing[:5])
