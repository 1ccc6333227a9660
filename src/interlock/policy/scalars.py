"""Single values of the configuration: text, names, counts, durations, dates, addresses, references to secrets.

Each reader returns None when the value is not what it should be, and has then noted why.
"""

import ipaddress
import re
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta

from interlock.domain.durations import format_duration, parse_duration
from interlock.policy.configuration import Address
from interlock.policy.draft import Draft, Path, shown
from interlock.policy.nodes import Listing, Node, Scalar

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+@-]{0,63}", re.ASCII)
_HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_SCHEME = re.compile(r"[a-z][a-z0-9+-]*", re.ASCII)
_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DAY = timedelta(days=1)


def read_text(draft: Draft, node: Node, path: Path, what: str) -> str | None:
    if isinstance(node, Scalar) and node.text and not node.empty:
        if node.text.isprintable():
            return node.text
        draft.add(
            path, f"{what} holds a character that cannot be seen", "write it on one line, without control characters"
        )
        return None
    draft.add(path, f"{what} is {_kind(node)}", "write one word or text")
    return None


def read_name(draft: Draft, node: Node, path: Path, what: str) -> str | None:
    """A name as it stands on command lines and in certificates: letters, digits, dot, underscore, hyphen."""
    return _matching(draft, node, path, what, _NAME, "letters, digits, `.`, `_` and `-`, 63 at most")


def read_person_name(draft: Draft, node: Node, path: Path, what: str) -> str | None:
    """A person's name: it becomes the common name of certificates, which has 64 characters (X.520, ub-common-name)."""
    return _matching(draft, node, path, what, _PERSON, "an e-mail address or letters, digits and `._%+-@`, 64 at most")


def _matching(draft: Draft, node: Node, path: Path, what: str, form: re.Pattern[str], right: str) -> str | None:
    text = read_text(draft, node, path, what)
    if text is None:
        return None
    if form.fullmatch(text) is None:
        draft.add(path, f"{what} {shown(text)} is not a name", f"use {right}")
        return None
    return text


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def read_list(
    draft: Draft, node: Node, path: Path, what: str, *, empty: str = ""
) -> tuple[tuple[Path, str], ...] | None:
    """A list of words, each with its path; a single word counts as a list of one. Nothing may stand there twice.

    An empty list is a mistake when ``empty`` says what to do instead.
    """
    if isinstance(node, Scalar) and not node.empty:
        text = read_text(draft, node, path, what)
        return None if text is None else ((path, text),)
    if not isinstance(node, Listing):
        draft.add(path, f"{what} is {_kind(node)}", "write a list, such as [one, two]")
        return None
    if empty and not node.items:
        draft.add(path, f"{what} is an empty list", empty)
        return None
    seen: dict[str, Path] = {}
    sound = True
    for number, item in enumerate(node.items):
        place = (*path, str(number))
        text = read_text(draft, item, place, f"item {number + 1} of {what}")
        if text is None:
            sound = False
        elif text in seen:
            draft.add(place, f"{what} has {shown(text)} twice", "keep one")
        else:
            seen[text] = place
    return tuple((place, text) for text, place in seen.items()) if sound else None


def read_flag(draft: Draft, node: Node, path: Path, what: str) -> bool | None:
    if isinstance(node, Scalar) and node.plain and node.text in ("true", "false"):
        return node.text == "true"
    draft.add(path, f"{what} is {_quote(node)}", "write true or false")
    return None


def read_count(draft: Draft, node: Node, path: Path, what: str, *, least: int = 1, most: int = 10**9) -> int | None:
    if isinstance(node, Scalar) and node.plain and re.fullmatch(r"[+-]?[0-9]{1,12}", node.text, re.ASCII):
        number = int(node.text)
        if least <= number <= most:
            return number
        draft.add(path, f"{what} is {number}", f"write a number from {least} to {most}")
        return None
    draft.add(path, f"{what} is {_quote(node)}", "write a whole number")
    return None


def read_duration(
    draft: Draft, node: Node, path: Path, what: str, *, most: timedelta = timedelta(days=3650)
) -> timedelta | None:
    """A duration longer than nothing and at most ``most``."""
    if not isinstance(node, Scalar) or node.empty:
        draft.add(path, f"{what} is {_kind(node)}", "write a duration, such as 90s, 30m, 8h or 7d")
        return None
    try:
        duration = parse_duration(node.text)
    except ValueError:
        draft.add(path, f"{what} is {_quote(node)}", "write a whole number and a unit, such as 90s, 30m, 8h or 7d")
        return None
    if duration <= timedelta(0):
        draft.add(path, f"{what} is no time at all", "write a duration longer than nothing, such as 8h")
        return None
    if duration > most:
        draft.add(path, f"{what} is {node.text}", f"{format_duration(most)} is the most")
        return None
    return duration


def read_moment(draft: Draft, node: Node, path: Path, what: str, *, last_day: bool) -> datetime | None:
    """A day or a moment, as aware UTC. A day stands for its first moment, or, as ``last_day``, for the next day's."""
    text = node.text if isinstance(node, Scalar) else ""
    right = "write a day such as 2027-02-28, or a moment such as 2027-02-28T18:00:00Z"
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime.combine(day, time(), UTC) + (_DAY if last_day else timedelta(0))
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            draft.add(path, f"{what} {text} does not say its time zone", "add Z for UTC, or an offset such as +01:00")
            return None
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        draft.add(path, f"{what} is {_quote(node)}, which is no day", right)
        return None


def read_address(draft: Draft, node: Node, path: Path, what: str, *, any_port: bool = False) -> Address | None:
    """``host:port``, ``[IPv6]:port`` or ``/folder/of/a/socket:port``; port 0 only with ``any_port``."""
    text = node.text if isinstance(node, Scalar) else ""
    example = "127.0.0.1:8443" if any_port else "db.example.com:5432"
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        draft.add(path, f"{what} is {_quote(node)}", f"write host and port, such as {example}")
        return None
    if re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) is None or not (0 if any_port else 1) <= int(port) <= 65535:
        right = f"a port is a number from {0 if any_port else 1} to 65535"
        draft.add(path, f"{what} {shown(text)} has no usable port", right)
        return None
    if host.startswith("[") and host.endswith("]") and _is_ip(host[1:-1]):
        return Address(host[1:-1], int(port))
    if host.startswith("/") and not any_port:
        return Address(host, int(port))
    if ":" in host:
        draft.add(path, f"{what} {shown(text)} has more than one colon", "write an IPv6 address as [::1]:5432")
        return None
    if (re.fullmatch(r"[0-9.]+", host) and not _is_ip(host)) or _HOST.fullmatch(host) is None:
        draft.add(path, f"{what} {shown(text)} names no possible host", f"write host and port, such as {example}")
        return None
    return Address(host, int(port))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def read_secret(draft: Draft, node: Node, path: Path, what: str, schemes: Collection[str]) -> str | None:
    """A reference to a secret, of one of ``schemes`` (of any when empty). It is never quoted: it may be the secret."""
    text = node.text if isinstance(node, Scalar) else ""
    scheme, colon, reference = text.partition(":")
    if not colon or not reference.strip() or not (scheme in schemes if schemes else _SCHEME.fullmatch(scheme)):
        known = sorted(schemes or ("env", "file"))
        forms = " or ".join(f"{name}:{'NAME' if name == 'env' else 'PATH'}" for name in known)
        draft.add(path, f"{what} does not say where the secret is kept", f"write {forms}, never the secret itself")
        return None
    if scheme == "env" and _ENVIRONMENT.fullmatch(reference) is None:
        draft.add(path, f"{what} names no possible environment variable", "write env:NAME with letters, digits and _")
        return None
    return text


def _kind(node: Node) -> str:
    if isinstance(node, Scalar):
        return "empty" if node.empty or not node.text else "a single value"
    return "a list" if isinstance(node, Listing) else "a mapping"


def _quote(node: Node) -> str:
    return shown(node.text) if isinstance(node, Scalar) and node.text else _kind(node)
