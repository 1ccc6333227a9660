"""The state, as scim2-server wants it: resources in and out, each write one unit of work with all that follows."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Union

from scim2_models import (
    ForbiddenException,
    Meta,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimFilter,
    ScimProvider,
    SearchRequest,
    UniquenessException,
)
from scim2_server.storage import AsyncScimStorage, SearchPage

from interlock.domain.provisioning import USER, Provisioned
from interlock.errors import Refusal
from interlock.policy.configuration import Scim
from interlock.ports.state import UnitOfWork
from interlock.services.desk import Desk
from interlock.services.endings import upto, with_positions
from interlock.services.provision import DIRECTORY, Provisioning

AnyResource = Resource[Any]
_OURS = ("id", "meta", "password", "groups")
"""What is never kept: made here, or no business of ours."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A resource and the row that it was read from."""

    row: Provisioned
    resource: AnyResource


class StateStorage(AsyncScimStorage):
    """``provider`` knows the models; ``scim`` is the configuration's section."""

    def __init__(self, desk: Desk, provider: ScimProvider, scim: Scim) -> None:
        self._desk = desk
        self._provider = provider
        self._scim = scim
        self.ended_upto = 0
        """The place in the ledger of the last thing that the writes ended; 0: they ended nothing."""

    async def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> AnyResource:
        async with self._desk.state.reading() as reading:
            row = await reading.provisioned_one(resource_id)
        return self._resource(resource_type, _there(row, resource_type))

    async def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        found: list[AnyResource] = []
        async with self._desk.state.reading() as reading:
            for resource_type in resource_types:
                rows = await reading.provisioned(str(resource_type.name))
                found += [self._resource(resource_type, row) for row in rows]
        scim_filter = search_request.filter
        if scim_filter is not None and found:
            if not scim_filter.models:
                models = tuple(dict.fromkeys(type(one) for one in found))
                joint: Any = Union[models]  # noqa: UP007 -- the union is made of what was found
                scim_filter = ScimFilter[joint](str(scim_filter))
            found = [one for one in found if scim_filter.match(one)]
        if search_request.sort_by is not None:
            descending = search_request.sort_order == SearchRequest.SortOrder.descending
            keys = [(search_request.sort_value(one), one) for one in found]
            there = sorted((pair for pair in keys if pair[0] is not None), key=lambda p: p[0], reverse=descending)
            found = [one for _, one in there] + [one for value, one in keys if value is None]
        start = search_request.start_index_0 or 0
        stop = None if search_request.count is None else start + search_request.count
        return SearchPage(len(found), found[start:stop])

    async def create(self, resource_type: ResourceType, resource: AnyResource) -> AnyResource:
        async with self._desk.deciding(DIRECTORY) as work:
            now = self._desk.clock.now()
            row = _row(secrets.token_hex(16), resource_type, resource, now, None)
            await self._refuse_taken(work, row)
            head, provisioning = await work.ledger_head(), self._provisioning(work, now)
            kept = await _saved(provisioning, None, row)
        await self._note_ends(head, provisioning)
        return self._resource(resource_type, kept)

    async def update(
        self, resource_type: ResourceType, resource: AnyResource, *, expected_version: str | None = None
    ) -> AnyResource:
        async with self._desk.deciding(DIRECTORY) as work:
            now = self._desk.clock.now()
            before = _there(await work.provisioned_one(str(resource.id)), resource_type)
            _check_version(before, expected_version)
            row = _row(before.id, resource_type, resource, now, before)
            await self._refuse_taken(work, row)
            head, provisioning = await work.ledger_head(), self._provisioning(work, now)
            kept = await _saved(provisioning, before, row)
        await self._note_ends(head, provisioning)
        return self._resource(resource_type, kept)

    async def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        # Taking away needs no policy: it works under whichever is active.
        async with self._desk.ending(DIRECTORY) as work:
            now = self._desk.clock.now()
            before = _there(await work.provisioned_one(resource_id), resource_type)
            _check_version(before, expected_version)
            head, provisioning = await work.ledger_head(), self._provisioning(work, now)
            try:
                await provisioning.delete(before)
            except Refusal as refusal:
                raise ForbiddenException(detail=str(refusal)) from refusal
        await self._note_ends(head, provisioning)

    def _provisioning(self, work: UnitOfWork, now: datetime) -> Provisioning:
        return Provisioning(work, self._desk.configuration, self._scim, now)

    async def _note_ends(self, head: int, provisioning: Provisioning) -> None:
        """``head`` is the ledger's before what ``provisioning`` wrote, which is committed now."""
        if provisioning.ended:
            placed = await with_positions(self._desk.state, head, provisioning.ended)
            self.ended_upto = max(self.ended_upto, upto(placed))

    async def _refuse_taken(self, work: Any, row: Provisioned) -> None:
        """``userName`` is unique, letter case aside (RFC 7643 section 4.1.1)."""
        if row.kind == USER and any(o.name == row.name and o.id != row.id for o in await work.provisioned(USER)):
            raise UniquenessException(detail="There is a user of that name.")

    def _resource(self, resource_type: ResourceType, row: Provisioned) -> AnyResource:
        model: Any = self._provider.model_for(resource_type)
        meta = Meta(
            resource_type=str(resource_type.name),
            created=row.created_at,
            last_modified=row.modified_at,
            version=f'W/"{row.version}"',
        )
        resource: AnyResource = model.model_validate({**row.content, "id": row.id})
        resource.meta = meta
        return resource


async def _saved(provisioning: Provisioning, before: Provisioned | None, after: Provisioned) -> Provisioned:
    try:
        return await provisioning.save(before, after)
    except Refusal as refusal:
        raise ForbiddenException(detail=str(refusal)) from refusal


def _row(
    resource_id: str, resource_type: ResourceType, resource: AnyResource, now: datetime, before: Provisioned | None
) -> Provisioned:
    dumped: Mapping[str, Any] = resource.model_dump()
    content = {name: value for name, value in dumped.items() if name not in _OURS}
    name = str(content.get("userName") or content.get("displayName") or "").lower()
    return Provisioned(
        id=resource_id,
        kind=str(resource_type.name),
        name=name,
        content=content,
        version=before.version + 1 if before else 1,
        created_at=before.created_at if before else now,
        modified_at=now,
        person=before.person if before else None,
        suspended_at=before.suspended_at if before else None,
    )


def _there(row: Provisioned | None, resource_type: ResourceType) -> Provisioned:
    if row is None or row.kind != resource_type.name or row.deleted_at is not None:
        raise NotFoundException
    return row


def _check_version(row: Provisioned, expected: str | None) -> None:
    if expected is not None and expected != f'W/"{row.version}"':
        raise PreconditionFailedException
