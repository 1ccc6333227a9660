"""x"""

from collections.abc import Generator
from dataclasses import dataclass

from interlock.ports.protocol import Held, Impact, Verdict
from interlock.protocols.postgres.classify import Classified
from interlock.protocols.postgres.names import Running
from interlock.protocols.postgres.relay import Relay, Wait


@dataclass(frozen=True, slots=True)
class Target:
    text: str
    classified: Classified
    statement: str | None = None
    tail: bytes | None = None


def hold(relay: Relay, running: Running, held: Held, target: Target) -> Generator[Wait, None, Verdict]:
    if relay.replies.expected:
        yield Wait.DRAINED
    return (yield from ask_people(relay, running, Impact(unmeasured="not measured")))


def ask_people(relay: Relay, running: Running, impact: Impact) -> Generator[Wait, None, Verdict]:
    relay.holding = running.number
    relay.outlet.hold(running.number, impact)
    verdict = yield from relay.await_verdict(running.number)
    relay.holding = None
    return verdict
