"""Routes of the audit log: auditors and admins read all of it, owners what concerns their environments."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from environments.api import presenting_audit
from environments.api.concurrency import BackendCalls
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import Forbidden, NotFound, UnknownEnvironment
from environments.service.storage.audit import AuditFilter, Head, StoredEntry
from environments.wire.audit import AuditEntryView, AuditHeadView, VerdictView
from environments.wire.fields import Moment, NoNul

MOST_EXPORTED = 1_000_000
"""Lines of one export; the next one goes on after the last position."""

LINES = "application/x-ndjson"

_LARGEST = 2**63 - 1
_LONGEST = 200

Text = Annotated[Annotated[str, NoNul] | None, Query(min_length=1, max_length=_LONGEST)]
When = Annotated[Moment | None, Query(description="With a zone, such as 2026-11-27T09:00:00Z.")]


def audit_routes(service: Service, backend_calls: BackendCalls) -> APIRouter:
    """Everything below /v1/audit."""
    router = APIRouter(prefix="/v1/audit", tags=["audit"])
    audit = service.audit

    @router.get("", responses=problems(Forbidden, UnknownEnvironment))
    def list_audit(
        caller: Caller,
        request: Request,
        response: Response,
        actor: Text = None,
        action: Annotated[Text, Query(description="Such as `environment:destroy`.")] = None,
        environment: Annotated[Text, Query(description="Its name or id; its owners may ask with it.")] = None,
        object: Annotated[Text, Query(description="The id or name of anything else.")] = None,
        outcome: Literal["allowed", "refused", "failed"] | None = None,
        address: Text = None,
        since: When = None,
        until: When = None,
        limit: Limit = PAGE,
        before: Annotated[int | None, Query(ge=1, le=_LARGEST, description="Only older than this id.")] = None,
        after: Annotated[
            int | None, Query(ge=0, le=_LARGEST, description="Chained ones after this position, oldest first.")
        ] = None,
    ) -> list[AuditEntryView]:
        """Lists entries of the audit log, newest first."""
        which = AuditFilter(
            actor=actor,
            action=action,
            object=object,
            outcome=outcome,
            address=address,
            since=since,
            until=until,
        )
        found = audit.list(caller, which, environment=environment, limit=limit, before=before, after=after)
        if after is None:
            link_next(request, response, found, limit, before=found[-1].id if found else 0)
        else:
            link_next(request, response, found, limit, after=(found[-1].position if found else None) or after)
        return [presenting_audit.audit_entry(one) for one in found]

    @router.get("/entries/{entry_id}", responses=problems(Forbidden, NotFound))
    def show_audit_entry(caller: Caller, entry_id: Annotated[int, Path(ge=1, le=_LARGEST)]) -> AuditEntryView:
        """One entry of the audit log."""
        return presenting_audit.audit_entry(audit.entry(caller, entry_id))

    @router.get(
        "/export",
        responses=problems(Forbidden),
        response_class=StreamingResponse,
    )
    def export_audit(
        caller: Caller,
        after: Annotated[int, Query(ge=0, le=_LARGEST, description="Only after this position.")] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_EXPORTED)] = MOST_EXPORTED,
    ) -> StreamingResponse:
        """Chained entries as JSON lines, oldest first, for a SIEM."""
        return StreamingResponse(_lines(audit.export(caller, after, limit)), media_type=LINES)

    @router.get("/head", responses=problems(Forbidden))
    def audit_head(caller: Caller) -> AuditHeadView:
        """The end of the chain."""
        return presenting_audit.audit_head(audit.state(caller))

    @router.get("/verify", responses=problems(Forbidden))
    async def verify_audit(
        caller: Caller,
        after: Annotated[int | None, Query(ge=0, le=_LARGEST, description="`next` of the part before.")] = None,
        head: Annotated[
            str | None,
            Query(pattern=r"^\d{1,18}:[0-9a-f]{64}$", description="POSITION:HASH, as the service's log has it."),
        ] = None,
    ) -> VerdictView:
        """Walks along a part of the chain, and tells what was removed, changed, added or moved."""
        known = _head(head)
        return presenting_audit.verdict(
            await backend_calls.run(caller.owner, lambda: audit.verify(caller, after=after, head=known))
        )

    return router


def _lines(entries: Iterator[StoredEntry]) -> Iterator[str]:
    for one in entries:
        yield f"{presenting_audit.audit_entry(one).model_dump_json()}\n"


def _head(given: str | None) -> Head | None:
    if given is None:
        return None
    position, _, hash_ = given.partition(":")
    return Head(int(position), hash_)
