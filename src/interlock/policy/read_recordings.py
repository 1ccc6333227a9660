"""The section ``recordings``: who may read those of their own sessions."""

from interlock.policy.draft import Draft, Section
from interlock.policy.scalars import read_text


def read_own_recordings(draft: Draft) -> bool:
    """Whether people may read the recordings of their own sessions."""
    node = next((value for key, value in draft.tree.entries if key.text == "recordings"), None)
    if node is None:
        return True
    section = Section(draft, node, ("recordings",), "recordings", "recordings")
    own = section.get("own")
    if own is None:
        return True
    text = read_text(draft, own, section.at("own"), "own of recordings")
    if text not in {"allow", "refuse"}:
        draft.add(section.at("own"), "own of recordings is neither allow nor refuse", "write allow or refuse")
    return text == "allow"
