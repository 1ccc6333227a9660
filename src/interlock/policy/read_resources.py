"""The section ``resources``."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from interlock.domain.resources import CredentialSource, Resource
from interlock.policy.configuration import Address
from interlock.policy.draft import Draft, Path, Section, named_entries, shown
from interlock.policy.mistakes import did_you_mean
from interlock.policy.nodes import Listing, Node, Scalar, Table
from interlock.policy.scalars import read_address, read_name, read_secret, read_text

SettingsCheck = Callable[[Mapping[str, Any]], tuple[str, ...]]
"""A protocol's own check of a resource's settings: the mistakes, one sentence each."""

RESERVED_LABELS = frozenset({"kind", "resources"})
"""Keys that mean something else in a role's ``on``, so that no label may have their name."""


def read_resources(
    draft: Draft, check_settings: Mapping[str, SettingsCheck], schemes: Collection[str]
) -> dict[str, Resource]:
    resources: dict[str, Resource] = {}
    for key, node in named_entries(draft, "resources", "resource"):
        path = ("resources", key.text)
        read_name(draft, key, path, "the resource's name")
        resource = _read_resource(
            Section(draft, node, path, "resources.NAME", f"the resource {key.text}", extra=True),
            key.text,
            check_settings,
            schemes,
        )
        if resource is not None:
            resources[key.text] = resource
    return resources


def _read_resource(
    section: Section, name: str, check_settings: Mapping[str, SettingsCheck], schemes: Collection[str]
) -> Resource | None:
    draft = section.draft
    known_kinds = ", ".join(sorted(check_settings)) or "postgres"
    kind_node = section.need("kind", f"write kind: {known_kinds}")
    kind = None if kind_node is None else read_name(draft, kind_node, section.at("kind"), f"kind of {section.where}")
    if kind is not None and check_settings and kind not in check_settings:
        draft.add(section.at("kind"), f"there is no kind {shown(kind)}", did_you_mean(kind, check_settings))
        kind = None
    address_node = section.need("address", "write host and port, such as db.example.com:5432")
    address = None
    if address_node is not None:
        address = read_address(draft, address_node, section.at("address"), f"address of {section.where}")
    settings = {key: plain_value(value) for key in section.extra() if (value := section.get(key)) is not None}
    if kind is not None and kind in check_settings:
        for sentence in check_settings[kind](settings):
            draft.add(_place_of(sentence, section, settings), sentence.rstrip("."))
    credential = _read_credential(section, schemes)
    labels = _read_labels(section)
    if kind is None:
        return None
    if address is None:
        # A mistake is noted and the load fails; the rest of the resource still lets roles be checked.
        address = Address("", 0)
    return Resource(name, kind, address.host, address.port, credential, labels, settings)


def _read_credential(section: Section, schemes: Collection[str]) -> CredentialSource | None:
    node = section.get("credential")
    if node is None:
        return None
    draft, path = section.draft, section.at("credential")
    inner = Section(draft, node, path, "resources.NAME.credential", f"the credential of {section.where}")
    user_node = inner.need("user", "write the user that the gateway signs in as")
    user = None if user_node is None else read_text(draft, user_node, inner.at("user"), f"user of {inner.where}")
    secret_node = inner.get("secret")
    secret = None
    if secret_node is not None:
        secret = read_secret(draft, secret_node, inner.at("secret"), f"secret of {inner.where}", schemes)
    return None if user is None else CredentialSource(user, secret)


def _read_labels(section: Section) -> dict[str, str]:
    node = section.get("labels")
    if node is None:
        return {}
    draft = section.draft
    if not isinstance(node, Table):
        draft.add(section.at("labels"), f"labels of {section.where} are no mapping", "write {environment: production}")
        return {}
    labels: dict[str, str] = {}
    for key, value in node.entries:
        path = (*section.path, "labels", key.text)
        read_name(draft, key, path, "the label")
        if key.text in RESERVED_LABELS:
            draft.add(path, f"no label can be called {key.text}", f"a role's `on` means something else by {key.text}")
        text = read_text(draft, value, path, f"label {shown(key.text)} of {section.where}")
        if text is not None:
            labels[key.text] = text
    return labels


def _place_of(sentence: str, section: Section, settings: Mapping[str, Any]) -> Path:
    """Where a protocol's sentence about the settings belongs: at the first setting that it names."""
    words = re.findall(r"[A-Za-z0-9_-]+", sentence)
    return next((section.at(word) for word in words if word in settings), section.path)


def plain_value(node: Node) -> Any:
    """A protocol's own setting in Python's types: true and false, whole numbers, text, lists and mappings of them."""
    if isinstance(node, Table):
        return {key.text: plain_value(value) for key, value in node.entries}
    if isinstance(node, Listing):
        return [plain_value(item) for item in node.items]
    return _plain_scalar(node)


def _plain_scalar(node: Scalar) -> str | int | bool | None:
    if not node.plain:
        return node.text
    if node.empty:
        return None
    if node.text in ("true", "false"):
        return node.text == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", node.text, re.ASCII):
        return int(node.text)
    return node.text
