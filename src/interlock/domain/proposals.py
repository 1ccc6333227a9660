"""A change of the policy that somebody proposes: the whole of the new text, and which policy it is a change of."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the request ``request`` asks to be activated. ``base`` is the digest of the policy that was active then.

    ``digest`` is that of ``yaml`` and ``cedar`` together; the request's own digest covers it.
    """

    request: str
    base: str
    digest: str
    yaml: str
    cedar: Mapping[str, str] = field(default_factory=dict)
