"""A gateway host is let in to follow the feed.

Holds to:

* the operator lets it in, on the control plane's own machine, by its key; it is in the ledger
* where the policy names the gateways, one with another key is let in by nobody, the operator neither: it is proposed,
  proved, approved by another and activated, as any change of the policy (``active_gateway`` asks at every beat)
* idempotent: a gateway that is in stays in, under its name; one that was ended is never let in again with that key
"""

from interlock.domain.signin import GatewayIdentity
from interlock.domain.work_events import GatewayJoined
from interlock.errors import Refusal
from interlock.services.desk import SYSTEM, Desk


async def join_gateway(desk: Desk, *, name: str, key: str) -> GatewayIdentity:
    """``key`` is the RFC 7638 thumbprint of the gateway's key. Raises Refusal (``gateway-ended``)."""
    if not desk.configuration.admits_gateway(key):
        raise Refusal(
            "gateway-unnamed",
            f"The policy names the gateways that follow the feed, and none has the key {key}.",
            f"Propose it: gateways: {{{name}: {{key: {key}}}}} in interlock.yaml.",
        )
    async with desk.state.reading() as reading:
        known = await reading.gateway(key)
    if known is None:
        known = GatewayIdentity(name, key, desk.clock.now())
        async with desk.state.changing(SYSTEM) as work:
            await work.lock(GatewayIdentity, key)
            await work.save(known)
            work.record(GatewayJoined(gateway=name, key=key))
    if known.ended_at is not None:
        raise Refusal("gateway-ended", f"The gateway {known.name} was ended with this key.", "Give it a new key.")
    return known
