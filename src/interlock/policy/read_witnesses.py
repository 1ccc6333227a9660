"""The section ``witnesses``: who must have seen the ledger besides the people who run it."""

import base64
import re
from urllib.parse import urlsplit

from interlock.policy.configuration import Witnesses, WitnessSource
from interlock.policy.draft import Draft, Section
from interlock.policy.nodes import Listing, Scalar
from interlock.policy.scalars import read_count, read_text

_KEY = re.compile(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}", re.ASCII)
_COSIGNATURE = 0x04
"""tlog-cosignature: a witness's key is of its own kind. A log's own key is none."""


def read_witnesses(draft: Draft) -> Witnesses:
    node = next((value for key, value in draft.tree.entries if key.text == "witnesses"), None)
    if node is None or (isinstance(node, Scalar) and node.empty):
        return Witnesses()
    section = Section(draft, node, ("witnesses",), "witnesses", "witnesses")
    named = section.need("of", "write of: [{url: https://witness.example, key: NAME+NUMBER+KEY}]")
    found: list[WitnessSource] = []
    if named is not None and not isinstance(named, Listing):
        draft.add(section.at("of"), "of of witnesses is no list", "write - {url: …, key: …}")
    elif isinstance(named, Listing):
        for number, item in enumerate(named.items):
            one = Section(draft, item, ("witnesses", "of", str(number)), "witnesses.of[]", f"witness {number + 1}")
            source = _read_one(draft, one)
            if source is not None:
                found.append(source)
        _check_distinct(draft, found)
    asked = section.need("need", "write need: 1")
    need = None if asked is None else read_count(draft, asked, section.at("need"), "need of witnesses")
    if need is not None and isinstance(named, Listing) and need > len(named.items):
        draft.add(
            section.at("need"),
            f"need of witnesses is {need}, and {len(named.items)} are named",
            "name more, or need less",
        )
    return Witnesses(tuple(found), need or 0)


def _read_one(draft: Draft, one: Section) -> WitnessSource | None:
    where = one.need("url", "write url: https://witness.example")
    what = one.need("key", "write the key that `interlock witness` prints")
    url = None if where is None else read_text(draft, where, one.at("url"), f"url of {one.where}")
    key = None if what is None else read_text(draft, what, one.at("key"), f"key of {one.where}")
    if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        draft.add(
            one.at("url"), f"url of {one.where} is no address of a witness", "write https://HOST or http://HOST:PORT"
        )
        return None
    if key is not None and (_KEY.fullmatch(key) is None or _raw(key)[0] != _COSIGNATURE):
        draft.add(one.at("key"), f"key of {one.where} is no witness's key", "write what `interlock witness` prints")
        return None
    return None if url is None or key is None else WitnessSource(url, key)


def _raw(key: str) -> bytes:
    """The kind of the key, and the key; a name and a number are nobody's proof."""
    return base64.b64decode(key.split("+", 2)[2])


def _check_distinct(draft: Draft, found: list[WitnessSource]) -> None:
    """One witness named twice would count as two, under two names also."""
    if len({_raw(one.key) for one in found}) < len(found) or len({one.url for one in found}) < len(found):
        draft.add(("witnesses", "of"), "a witness is named twice", "leave one out: it counts once")
