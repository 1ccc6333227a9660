"""x"""

from interlock.protocols.postgres.names import Portal, Running
from interlock.protocols.postgres.relay import Relay, Script


def fence_query(relay: Relay, raw: bytes, running: Running, rows: int) -> Script:
    relay.send_query(raw, running)
    yield from ()


def fence_portal(relay: Relay, raw: bytes, portal: Portal) -> Script:
    yield from ()


def close_block(relay: Relay) -> Script:
    yield from ()
