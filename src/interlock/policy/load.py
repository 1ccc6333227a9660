"""Reads ``interlock.yaml`` and the Cedar files beside it; says every mistake at once, with file and line."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from interlock.domain.people import ADMINISTRATORS
from interlock.errors import ConfigurationError
from interlock.policy.cedar_files import read_cedar_files
from interlock.policy.cedar_policy import Names
from interlock.policy.checks import Parts, check_together
from interlock.policy.configuration import Configuration, ConflictKind
from interlock.policy.draft import Draft, Section
from interlock.policy.mistakes import Mistakes
from interlock.policy.nodes import Scalar, read_tree
from interlock.policy.read_chains import read_chains, read_separations
from interlock.policy.read_detections import read_detections
from interlock.policy.read_gateways import read_gateways
from interlock.policy.read_groups import read_groups
from interlock.policy.read_notify import read_notify
from interlock.policy.read_objects import read_objects
from interlock.policy.read_openbao import read_openbao
from interlock.policy.read_people import read_contracts, read_people, read_vendors
from interlock.policy.read_policy import read_policy_approvals
from interlock.policy.read_receivers import read_receivers
from interlock.policy.read_recordings import read_own_recordings, read_retention
from interlock.policy.read_repositories import read_forges, read_repositories
from interlock.policy.read_resources import SettingsCheck, read_resources
from interlock.policy.read_roles import read_roles
from interlock.policy.read_running import (
    read_listen,
    read_passwords,
    read_providers,
    read_recovery,
    read_scim,
    read_state,
    read_timing,
)
from interlock.policy.read_sinks import read_sinks
from interlock.policy.read_witnesses import read_witnesses
from interlock.policy.read_workloads import read_workloads
from interlock.policy.scalars import read_text

NOTHING: Mapping[str, str] = MappingProxyType({})
NO_CHECKS: Mapping[str, SettingsCheck] = MappingProxyType({})


def load_configuration(
    text: str,
    source: str,
    *,
    cedar: Mapping[str, str] = NOTHING,
    check_settings: Mapping[str, SettingsCheck] = NO_CHECKS,
    schemes: Collection[str] = (),
) -> Configuration:
    """The configuration that ``text`` says.

    ``source`` is the file's name for messages, ``cedar`` the Cedar files by name. ``check_settings`` has, for each
    kind of resource there is, the check of its own settings, and ``schemes`` the known places for secrets; where one
    of the two is empty, any kind or any scheme is taken. Raises ConfigurationError with every mistake as
    ``file:line: sentence; what is right``.
    """
    mistakes = Mistakes(source)
    tree = read_tree(text, mistakes)
    if tree is None:
        mistakes.check()
        raise ConfigurationError((f"{source}:1: the file says nothing",))
    draft = Draft(tree, mistakes)
    top = Section(draft, tree, (), "", "the configuration")
    resources = read_resources(draft, check_settings, schemes)
    vendors = read_vendors(draft)
    people, identities = read_people(draft)
    scim = read_scim(draft, schemes)
    people = read_groups(draft, people, frozenset[str]() if scim is None else scim.groups)
    contracts, uninvited = read_contracts(draft, people)
    openbao = read_openbao(draft, schemes)
    providers = read_providers(draft, schemes)
    passwords = read_passwords(draft, providers)
    receivers = read_receivers(draft, schemes)
    workloads = read_workloads(draft, people, directory=scim is not None)
    outside = frozenset[str]() if scim is None else scim.groups
    groups = frozenset({ADMINISTRATORS}) | outside.union(*(person.groups for person in people.values()))
    recovery = read_recovery(draft, groups)
    gateways = read_gateways(draft)
    roles = read_roles(draft, groups)
    separations = read_separations(draft)
    chains = read_chains(draft, groups)
    listeners = read_listen(draft, frozenset(check_settings))
    timing = read_timing(draft)
    state = read_state(draft)
    objects = read_objects(draft)
    witnesses = read_witnesses(draft)
    sinks = read_sinks(draft, schemes)
    notify = read_notify(draft, schemes)
    detections = read_detections(draft)
    own_recordings = read_own_recordings(draft)
    retention = read_retention(draft, groups)
    forges = read_forges(draft, schemes)
    repositories = read_repositories(draft, chains, forges)
    policy_approvals = read_policy_approvals(draft, groups)
    if (node := top.get("cedar")) is not None:
        read_text(draft, node, ("cedar",), "cedar")
    static = [frozenset(s.names) for s in separations if s.conflict is ConflictKind.STATIC]
    check_together(draft, Parts(resources, people, contracts, roles, static, outside))
    names = Names(draft.declared("roles"), draft.declared("people"), draft.declared("resources"), groups)
    read_cedar_files(cedar, names, mistakes)
    mistakes.check()
    return Configuration(
        resources=resources,
        vendors=vendors,
        people=people,
        identities=identities,
        contracts=contracts,
        uninvited=uninvited,
        roles=roles,
        separations=separations,
        chains=chains,
        listen=listeners.addresses,
        clear_text=listeners.clear_text,
        timing=timing,
        state=state,
        objects=objects,
        witnesses=witnesses,
        scim=scim,
        openbao=openbao,
        providers=providers,
        workloads=workloads,
        receivers=receivers,
        passwords=passwords,
        recovery=recovery,
        gateways=gateways,
        sinks=sinks,
        notify=notify,
        detections=detections,
        forges=forges,
        repositories=repositories,
        own_recordings=own_recordings,
        retention=retention,
        policy_approvals=policy_approvals,
        cedar=dict(cedar),
        text=text,
        digest=digest_of(text, cedar),
        warnings=mistakes.warnings,
    )


def digest_of(text: str, cedar: Mapping[str, str]) -> str:
    """SHA-256 (hex) over the YAML and the Cedar files with their names: what an approver of a policy approves."""
    content = json.dumps([text, sorted(cedar.items())], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def load_configuration_file(
    path: Path, *, check_settings: Mapping[str, SettingsCheck] = NO_CHECKS, schemes: Collection[str] = ()
) -> Configuration:
    """As :func:`load_configuration`, from a file and the ``*.cedar`` files in the folder that its ``cedar`` names."""
    source = path.name
    text = _read(path, source)
    return load_configuration(
        text, source, cedar=_read_cedar(path, text, source), check_settings=check_settings, schemes=schemes
    )


def _read(path: Path, source: str) -> str:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError((f"{source}:{line}: this is not UTF-8 text; save the file as UTF-8",)) from error
    except FileNotFoundError as error:
        raise ConfigurationError(
            (f"{source}:1: there is no file {path}; give its path (to interlock up with --config)",)
        ) from error
    except OSError as error:
        raise ConfigurationError((f"{source}:1: {path} cannot be read: {error.strerror}",)) from error


def _read_cedar(path: Path, text: str, source: str) -> dict[str, str]:
    """The Cedar files by name. Whatever is wrong with the YAML itself is left for the load to say."""
    tree = read_tree(text, Mistakes(source))
    entry = next(((key, value) for key, value in tree.entries if key.text == "cedar"), None) if tree else None
    if entry is None or not isinstance(entry[1], Scalar) or entry[1].empty:
        return {}
    folder = path.parent / entry[1].text
    files = sorted(folder.glob("*.cedar")) if folder.is_dir() else []
    if not files:
        problem = "has no file *.cedar in it" if folder.is_dir() else "is no folder"
        raise ConfigurationError((f"{source}:{entry[0].line}: {folder} {problem}; name the folder of the Cedar files",))
    return {file.name: _read(file, file.name) for file in files}
