"""What use cases ask of the login in which somebody acts."""

from datetime import datetime, timedelta

from interlock.domain.grants import Login
from interlock.errors import Refusal
from interlock.ports.state import Reading


async def active_login(reading: Reading, login_id: str, now: datetime) -> Login:
    """The login, if it is still good at ``now``."""
    login = await reading.login(login_id)
    if login is None or not login.active(now):
        raise Refusal("login-ended", "This login is over.", "Type `interlock login`.")
    return login


def check_presence(login: Login, now: datetime, within: timedelta) -> datetime:
    """When the person last proved to be there, if that was less than ``within`` ago."""
    present_at = login.present_at
    if present_at is None or not present_at <= now < present_at + within:
        raise Refusal(
            "presence-needed",
            f"An approval needs a proof that {login.person} is there, not older than {within.total_seconds():.0f} s.",
            "Repeat it with a fresh one-time code from your authenticator.",
        )
    return present_at
