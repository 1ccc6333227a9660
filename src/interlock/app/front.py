"""The front desk and the tokens of an installation: for the control plane, and for the operator on its machine."""

from interlock.app.plan import Plan
from interlock.identity.authority import Authority
from interlock.identity.key_ring import read_ring
from interlock.identity.passwords import Argon2Passwords
from interlock.identity.tokens import Tokens
from interlock.identity.totp import TotpCodes
from interlock.ports.clock import Clock
from interlock.services.desk import Desk
from interlock.services.front_desk import FrontDesk, open_front_desk


def open_front(desk: Desk, authority: Authority, tokens: Tokens) -> tuple[FrontDesk, Argon2Passwords]:
    """The front desk with the adapters of this version. Close the second when done."""
    passwords = Argon2Passwords()
    return open_front_desk(desk, passwords, TotpCodes(), authority, tokens), passwords


def open_tokens(plan: Plan, clock: Clock) -> Tokens:
    ring = read_ring(plan.folder.keys, clock.now())
    return Tokens(ring.signing, clock, ring.older)
