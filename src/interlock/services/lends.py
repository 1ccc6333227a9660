"""What a role lends, as approvers see it and say yes to: part of a request's content, and so of its digest.

Without it a role that is widened in the policy would carry the approvals, and the grants, that were given to the
narrower one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.domain.actions import Action
from interlock.domain.roles import Role
from interlock.policy.cedar import permitted_beside
from interlock.policy.configuration import Configuration

NOTHING: frozenset[Action] = frozenset()


def lends_by(configuration: Configuration, role: str) -> dict[str, object]:
    """What ``role`` lends in ``configuration``, as :func:`lends_of` says it."""
    return lends_of(configuration.roles[role], permitted_beside(configuration).get(role, NOTHING))


def lends_of(role: Role, beside: frozenset[Action] = NOTHING) -> dict[str, object]:
    """The actions that ``role`` allows, those that it holds, its fence in rows (None: no fence), the columns that it
    masks and, where Cedar files permit it more (``beside``), what that may be."""
    more = sorted(action.value for action in beside - role.allow)
    return {
        "allow": sorted(action.value for action in role.allow),
        "hold": sorted(action.value for action in role.hold.actions) if role.hold is not None else [],
        "fence_rows": role.fence_rows,
        "masks": sorted(role.masks),
        **({"cedar": more} if more else {}),
    }


def why_wider(role: Role, then: object, beside: frozenset[Action] = NOTHING) -> str | None:
    """What ``role`` lends now beyond what it lent ``then`` (as :func:`lends_of` gave it), or None.

    What nobody wrote down counts as nothing lent.
    """
    lent: Mapping[str, Any] = then if isinstance(then, Mapping) else {}
    allowed = set(_words(lent.get("allow")))
    more = sorted(role.allow - allowed)
    if more:
        return f"the role {role.name} now allows {', '.join(more)} as well"
    # What a file permits it permits without the hold and the fence that the role had on it.
    bound = {*_words(lent.get("hold")), *([] if lent.get("fence_rows") is None else [Action.WRITE.value])}
    by_cedar = sorted(beside - role.allow - (allowed - bound) - set(_words(lent.get("cedar"))))
    if by_cedar:
        return f"a Cedar file now permits {', '.join(by_cedar)} to the role {role.name}"
    held = role.hold.actions if role.hold is not None else frozenset()
    free = sorted((set(_words(lent.get("hold"))) & role.allow) - held)
    if free:
        return f"the role {role.name} no longer holds {', '.join(free)}"
    fence = lent.get("fence_rows")
    if isinstance(fence, int) and (role.fence_rows is None or role.fence_rows > fence):
        return f"the role {role.name} has a wider fence than {fence} rows"
    shown = sorted(set(_words(lent.get("masks"))) - set(role.masks))
    if shown:
        return f"the role {role.name} no longer masks {', '.join(shown)}"
    return None


def _words(value: object) -> Sequence[str]:
    return [str(word) for word in value] if isinstance(value, list | tuple) else []
