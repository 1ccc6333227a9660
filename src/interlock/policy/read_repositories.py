"""The sections ``forges`` and ``repositories``: where changes are made, and which chain carries them."""

import base64
import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from interlock.policy.configuration import Chain, SeparationKind
from interlock.policy.draft import Draft, Path, Section, dangling, named_entries, shown
from interlock.policy.nodes import Table
from interlock.policy.repositories import Builder, Checks, Environment, ForgeSource, Repository
from interlock.policy.scalars import is_name, read_duration, read_list, read_name, read_secret, read_text

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH = re.compile(r"(?!-)(?!.*(\.\.|//|@\{|\.lock$|/$|\.$))[A-Za-z0-9._/+@-]{1,200}")
_IDENTITIES = frozenset({"email", "ssh", "oidc", "scim"})
_PROJECT = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+")


def read_forges(draft: Draft, schemes: Collection[str]) -> dict[str, ForgeSource]:
    forges = {}
    for key, node in named_entries(draft, "forges", "forge"):
        path = ("forges", key.text)
        read_name(draft, key, path, "the forge's name")
        if key.text in _IDENTITIES:
            # A login there is an identity of the kind that the forge is called.
            draft.add(path, f"{key.text} is a kind of identity already", "call the forge otherwise")
        section = Section(draft, node, path, "forges.NAME", f"the forge {key.text}")
        kind = _text(section, "kind", "write kind: github, gitlab, gitea, git or webhook")
        needed = kind not in ("git", "webhook")
        url = _text(section, "url", "write the address of its API") if needed else _optional(section, "url", "")
        webhook = section.need("webhook", "write where the secret of its messages is kept: env:NAME")
        token = section.get("token")
        if url and not _is_web(url):
            draft.add(section.at("url"), f"{shown(url)} is no address of an API", "write https://HOST/…")
        kept = None if webhook is None else _secret(section, "webhook", schemes)
        token_kept = None if token is None else _secret(section, "token", schemes)
        bots = section.get("bots")
        names = None if bots is None else read_list(draft, bots, section.at("bots"), f"bots of {section.where}")
        if kind is not None and url is not None and kept is not None:
            known = frozenset(name for _, name in names or ())
            forges[key.text] = ForgeSource(key.text, kind, url.rstrip("/"), kept, token_kept, known)
    return forges


def _is_web(url: str) -> bool:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return (
        bool(parts.hostname) and not parts.username and (parts.scheme == "https" or (local and parts.scheme == "http"))
    )


def _secret(section: Section, key: str, schemes: Collection[str]) -> str | None:
    node = section.get(key)
    if node is None:
        return None
    return read_secret(section.draft, node, section.at(key), f"{key} of {section.where}", schemes)


def read_repositories(
    draft: Draft, chains: Mapping[str, Chain], forges: Mapping[str, ForgeSource]
) -> dict[str, Repository]:
    repositories: dict[str, Repository] = {}
    projects: dict[tuple[str, str], str] = {}
    for key, node in named_entries(draft, "repositories", "repository"):
        path = ("repositories", key.text)
        read_name(draft, key, path, "the repository's name")
        section = Section(draft, node, path, "repositories.NAME", f"the repository {key.text}")
        repository = _read_repository(section, key.text, chains, draft.declared("forges") | forges.keys())
        if repository is None:
            continue
        repositories[key.text] = repository
        if repository.forge:
            twin = projects.setdefault((repository.forge, repository.project), key.text)
            if twin != key.text:
                draft.add(path, f"{key.text} and {twin} are one project", "a project is one repository here")
    return repositories


def _read_repository(
    section: Section, name: str, chains: Mapping[str, Chain], forges: frozenset[str]
) -> Repository | None:
    draft = section.draft
    origin = _text(section, "from", "write the folder or the address that it is fetched from")
    since = _text(section, "since", "write the full hash of the commit from which on the chain holds")
    chain_name = _text(section, "chain", "write the chain that its changes go through")
    branch = _optional(section, "branch", "main")
    if origin is not None and not _is_origin(origin):
        draft.add(section.at("from"), f"{shown(origin)} is no origin", "write /FOLDER, https://…, or ssh://…")
    if since is not None and _SHA.fullmatch(since) is None:
        draft.add(section.at("since"), f"{shown(since)} is no full hash", "write all 40 characters")
    if _BRANCH.fullmatch(branch) is None:
        draft.add(section.at("branch"), f"{shown(branch)} is no branch", "write its name, such as main")
    if origin is None or since is None or chain_name is None:
        return None
    if dangling(draft, section.at("chain"), "chain", chain_name, draft.declared("chains")):
        return None
    chain = chains.get(chain_name)
    if chain is None:
        return None
    if len(chain.duties) < 3:
        draft.add(section.at("chain"), f"the chain {chain_name} is too short for a repository", "write, review, deploy")
        return None
    forge, project = _optional(section, "forge", ""), _optional(section, "project", "")
    if forge:
        dangling(draft, section.at("forge"), "forge", forge, forges)
        if _PROJECT.fullmatch(project) is None:
            draft.add(section.at("project"), f"{section.where} does not say which project it is", "write OWNER/NAME")
    reviews = _duty(section, "reviews", chain, chain.duties[1])
    ci_duty, ci_files = _read_ci(section, chain)
    return Repository(
        name,
        origin,
        branch,
        since,
        chain_name,
        reviews,
        forge,
        project,
        ci_duty,
        ci_files,
        _read_checks(section, chain),
        _read_builders(section),
        _read_environments(section, chain),
    )


def _is_origin(text: str) -> bool:
    if text.startswith("/"):
        return PurePosixPath(text).is_absolute() and text.isprintable()
    parts = urlsplit(text)
    return parts.scheme in ("https", "ssh") and bool(parts.hostname) and text.isprintable() and not parts.password


def _read_ci(section: Section, chain: Chain) -> tuple[str, tuple[str, ...]]:
    node = section.get("ci")
    if node is None:
        return "", ()
    inner = Section(section.draft, node, section.at("ci"), "repositories.NAME.ci", f"ci of {section.where}")
    duty = _duty(inner, "duty", chain, "")
    files = inner.get("files")
    items = None if files is None else read_list(inner.draft, files, inner.at("files"), f"files of {inner.where}")
    return duty, tuple(text for _, text in items or ())


def _read_checks(section: Section, chain: Chain) -> Checks | None:
    node = section.get("checks")
    if node is None:
        return None
    inner = Section(section.draft, node, section.at("checks"), "repositories.NAME.checks", f"checks of {section.where}")
    duty = _duty(inner, "duty", chain, "")
    by = _text(inner, "by", "write the login of the application that runs them")
    names = inner.need("names", "name the checks that must have succeeded")
    items = None
    if names is not None:
        items = read_list(inner.draft, names, inner.at("names"), f"names of {inner.where}", empty="name one")
    if not duty:
        inner.draft.add(inner.at("duty"), f"{inner.where} has no duty", "name the duty that they are")
    if by is None or items is None or not duty:
        return None
    return Checks(duty, frozenset(text for _, text in items), by)


def _read_builders(section: Section) -> dict[str, Builder]:
    found = {}
    for name, inner in _named(section, "builders"):
        key = _text(inner, "key", "write its public key: base64 of the DER form")
        owner = _text(inner, "owner", "name the person it counts as")
        if owner is not None:
            dangling(inner.draft, inner.at("owner"), "person", owner, inner.draft.declared("people"))
        if key is not None and not _is_base64(key):
            inner.draft.add(inner.at("key"), f"the key of {inner.where} is not base64", "see docs/evidence.md")
        if key is not None and owner is not None:
            found[name] = Builder(name, key, owner)
    return found


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def _read_environments(section: Section, chain: Chain) -> dict[str, Environment]:
    found = {}
    for name, inner in _named(section, "environments"):
        resource, role = _optional(inner, "resource", ""), _optional(inner, "role", "")
        if bool(resource) != bool(role):
            inner.draft.add(inner.path, f"{inner.where} names one of resource and role", "name both, or none")
        if resource:
            dangling(inner.draft, inner.at("resource"), "resource", resource, inner.draft.declared("resources"))
        if role:
            dangling(inner.draft, inner.at("role"), "role", role, inner.draft.declared("roles"))
        found[name] = Environment(name, resource, role, _read_lend(inner, role, chain))
    return found


def _read_lend(inner: Section, role: str, chain: Chain) -> timedelta | None:
    """What is lent with no approval but the chain's: so that keeps apart who writes, who reviews and who deploys."""
    node = inner.get("lend")
    if node is None:
        return None
    if not role:
        inner.draft.add(inner.at("lend"), f"{inner.where} lends nothing", "name resource and role as well")
    apart = (chain.duties[0], chain.duties[1], chain.duties[-1])
    kept = any(s.kind is SeparationKind.SEPARATE and set(apart) <= set(s.names) for s in chain.separations)
    if not kept:
        inner.draft.add(
            inner.at("lend"),
            f"{inner.where} lends its role by the chain {chain.name} alone, which does not keep apart who carry "
            f"{', '.join(apart)}",
            f"write under chains.{chain.name} separate: all, or leave lend out",
        )
    return read_duration(inner.draft, node, inner.at("lend"), f"lend of {inner.where}")


def _named(section: Section, key: str) -> list[tuple[str, Section]]:
    node = section.get(key)
    if node is None:
        return []
    path: Path = section.at(key)
    if not isinstance(node, Table):
        section.draft.add(path, f"{key} of {section.where} is no mapping", "under it stands one name for each")
        return []
    found = []
    for name, value in node.entries:
        where = f"{key.removesuffix('s')} {name.text} of {section.where}"
        if not is_name(name.text):
            section.draft.add(
                (*path, name.text), f"{shown(name.text)} is no name", "use letters, digits, `.`, `_`, `-`"
            )
        found.append(
            (name.text, Section(section.draft, value, (*path, name.text), f"repositories.NAME.{key}.NAME", where))
        )
    return found


def _duty(section: Section, key: str, chain: Chain, otherwise: str) -> str:
    duty = _optional(section, key, otherwise)
    if duty:
        dangling(section.draft, section.at(key), "duty", duty, chain.duties)
        if duty in (chain.duties[0], chain.duties[-1]):
            section.draft.add(
                section.at(key), f"{duty} is the first or the last duty of {chain.name}", "name one between them"
            )
    return duty


def _optional(section: Section, key: str, otherwise: str) -> str:
    node = section.get(key)
    if node is None:
        return otherwise
    return read_text(section.draft, node, section.at(key), f"{key} of {section.where}") or otherwise


def _text(section: Section, key: str, right: str) -> str | None:
    node = section.need(key, right)
    return None if node is None else read_text(section.draft, node, section.at(key), f"{key} of {section.where}")
