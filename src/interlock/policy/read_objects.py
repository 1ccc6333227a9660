"""The section ``objects``: object stores in which the ledger and the recordings are kept, by URL."""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from interlock.policy.configuration import Objects
from interlock.policy.draft import Draft, Section
from interlock.policy.scalars import read_text

_SCHEMES = ("s3", "gs", "az", "file")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def read_objects(draft: Draft) -> Objects:
    node = next((value for key, value in draft.tree.entries if key.text == "objects"), None)
    if node is None:
        return Objects()
    section = Section(draft, node, ("objects",), "objects", "objects")
    found: dict[str, str] = {}
    for key in section.written():
        value = section.get(key)
        text = None if value is None else read_text(draft, value, section.at(key), f"{key} of objects")
        if text is None:
            continue
        wrong, right = _look_at(key, text)
        if wrong:
            draft.add(section.at(key), wrong, right)
        else:
            found[key] = text.removeprefix("file:") if key == "credentials" else text
    stores = [text for key, text in found.items() if key in ("ledger", "recordings")]
    if not stores and not {"ledger", "recordings"} & set(section.written()):
        draft.add(("objects",), "objects keeps nothing", "say where with ledger, with recordings, or both")
    if found.get("ledger") and found.get("ledger", "").rstrip("/") == found.get("recordings", "").rstrip("/"):
        draft.add(section.at("recordings"), "ledger and recordings are one place", "give each a prefix of its own")
    _look_at_endpoint(draft, section, found, {urlsplit(text).scheme for text in stores})
    return Objects(**found)


def _look_at_endpoint(draft: Draft, section: Section, found: Mapping[str, str], schemes: Collection[str]) -> None:
    if "endpoint" in found and not {"s3", "az"} & set(schemes):
        draft.add(section.at("endpoint"), "endpoint is of s3:// and az://, and nothing is kept there", "leave it out")
    if "endpoint" in found and {"s3", "az"} <= set(schemes):
        draft.add(
            section.at("endpoint"),
            "endpoint would be that of two clouds",
            "keep ledger and recordings in one, or name the endpoint of one in the environment instead",
        )


def _look_at(key: str, text: str) -> tuple[str, str]:
    """What is wrong and what is right, empty where nothing is. Nothing is quoted: it may hold a secret."""
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname or (parts.scheme == "file" and parts.path.strip("/")))
        held = parts.password is not None or parts.username is not None or bool(parts.query)
    except ValueError:
        return f"{key} of objects is no address", "write s3://BUCKET/PREFIX"
    if key in ("ledger", "recordings"):
        if held:
            return f"{key} of objects carries more than a place", "keep credentials in the environment, or in a file"
        if parts.scheme not in _SCHEMES or not named:
            return f"{key} of objects is no place", "write s3://BUCKET/PREFIX, gs://…, az://… or file:///FOLDER"
    elif key == "endpoint":
        if held or not parts.hostname or parts.scheme not in ("https", "http"):
            return "endpoint of objects is no address of a server", "write https://HOST, without credentials"
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            return "endpoint of objects would be spoken to in clear text", "write https://, or listen on this machine"
    elif key == "credentials" and not text.startswith("file:/"):
        return (
            "credentials of objects do not say where they are kept",
            "write file:/PATH, or set them in the environment",
        )
    return "", ""
