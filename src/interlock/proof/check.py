"""The checker of certificates. With ``check_world``, ``check_few`` and ``check_guests`` it shares no
code with the prover: these four import nothing but the standard library.

A certificate holds the model, the claims and, for each that is proven, *cuts*: sets of persons of which every team that
can do the thing is said to have one. The checker finds out by itself, in three steps:

1. how many it takes by counting alone: who asks, and those whose yes the rules ask for; the duties that are separate.
   What takes as many as claimed needs no cut;
2. for each cut, that all persons outside of it together cannot do the thing by what is left;
3. that no team smaller than claimed has one of each cut; hence, since more persons never reach less, that no smaller
   team can. Where a certificate gives no cuts, smaller teams are tried: all that have somebody of each of the sets of
   which every team that can has one;
4. that no fewer can come in as others, who could;
5. that no fewer can with guests whom they bring in: all smaller teams that can bring in any are tried.

A claim on absences is the same with both sides turned: each cut is a set of persons who can do the chain without
anybody else, and no set of so few persons touches all of them. Where all together cannot do a thing, the only cut is
empty, and step 2 says it.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from interlock.proof.check_few import Few
from interlock.proof.check_guests import Hosts
from interlock.proof.check_world import Names, World

_COUNTED = ("persons", "vendors", "absences")
_ACTIONS = ("connect", "read", "write", "alter", "destroy", "grant", "execute", "export", "replay")
"""Of an action that nobody knows anything could be said."""


class OtherModelError(ValueError):
    """The model in a certificate is not the one whose digest it names."""

    def __init__(self, named: str, found: str) -> None:
        super().__init__(f"it names the model {named} and holds {found}")
        self.named, self.found = named[:64], found


@dataclass(frozen=True)
class Checked:
    """``claims``: for each what it says, whether the certificate proves it, and why not. ``model_sha256`` was worked
    out from the model that is in the certificate; ``absent`` are in no team."""

    claims: list[tuple[str, bool, str]]
    model_sha256: str
    absent: tuple[str, ...]


def check_certificate(text: str) -> Checked:
    """Raises ValueError, KeyError or TypeError for what is no certificate, and OtherModelError for one whose model
    is not the one that it names: the digest is what people compare with that of their installation."""
    document = json.loads(text)
    model, absent = document["model"], frozenset(document["away"])
    plain = json.dumps(model, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(plain.encode(errors="surrogatepass")).hexdigest()
    if digest != document["model_sha256"]:
        raise OtherModelError(str(document["model_sha256"]), digest)
    world = World(model, absent)
    few = Few(world)
    return Checked([_check(world, few, verdict) for verdict in document["verdicts"]], digest, tuple(sorted(absent)))


def _check(world: World, few: Few, verdict: dict[str, Any]) -> tuple[str, bool, str]:
    claim = verdict["claim"]
    goal, counted, least = claim["goal"], claim["counted"], claim["least"]
    thing = f"the chain {goal['chain']}" if goal["chain"] else f"{goal['action']} on {goal['resource']}"
    says = f"{thing} takes {least} {counted} at least"
    if counted == "absences":
        says = f"{thing} can be done with any {least} persons absent"
    if counted not in _COUNTED or not (goal["chain"] or goal["action"] in _ACTIONS):
        return says, False, "nothing of the kind is counted, or done"
    if verdict["outcome"] != "proven":
        return says, False, f"the certificate itself says: {verdict['outcome']}"
    over = "" if counted == "absences" else world.taken_over(goal, counted, least)
    if over:
        return says, False, f"{over} could do it"
    try:
        if counted != "absences" and Hosts(world, few).can(goal, counted, least - 1):
            return says, False, "fewer could do it with a guest whom they bring in"
    except ValueError as error:
        return says, False, str(error)
    if counted != "absences" and world.least(goal, counted) >= least:
        return says, True, ""
    if counted == "persons" and not goal["chain"] and not verdict["cuts"]:
        return says, *_try_few(world, few, goal, least)
    units = world.units(counted)
    cuts = [frozenset(units) - Names(cut["names"]) if cut["but"] else Names(cut["names"]) for cut in verdict["cuts"]]
    for cut in cuts:
        if not cut <= frozenset(units):
            return says, False, f"a cut names {', '.join(sorted(cut - frozenset(units)))}, who is nobody here"
        if counted == "absences":
            if not world.can(cut, goal):
                return says, False, f"{', '.join(sorted(cut))} cannot do it alone"
            continue
        outside = frozenset(name for unit, names in units.items() if unit not in cut for name in names)
        if world.can(outside, goal, least if counted == "persons" else None):
            return says, False, f"it can be done without {', '.join(sorted(cut))}"
    fewer = least if counted == "absences" else least - 1
    if _touches_all(cuts, fewer):
        return says, False, f"{fewer} could be in every cut: the cuts prove less than is claimed"
    return says, True, ""


def _try_few(world: World, few: Few, goal: dict[str, str], least: int) -> tuple[bool, str]:
    try:
        for lend, action in world.ways(goal):
            if world.counted(lend, action) < least and few.can(lend, action, least - 1):
                return False, "a smaller team can do it, and the certificate gives no cuts"
    except ValueError as error:
        return False, str(error)
    return True, ""


def _touches_all(cuts: list[Names], few: int) -> bool:
    """Whether some ``few`` names are in all cuts together: one of the first cut, and then of those it is not in."""
    if not cuts:
        return True
    if few == 0:
        return False
    first = min(cuts, key=len)
    tried: set[tuple[bool, ...]] = set()
    for name in first:
        pattern = tuple(name in cut for cut in cuts)
        if pattern not in tried:
            tried.add(pattern)
            if _touches_all([cut for cut in cuts if name not in cut], few - 1):
                return True
    return False
