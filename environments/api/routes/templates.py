"""Routes of templates."""

import base64
import binascii
from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from environments.api import presenting, presenting_access
from environments.api.concurrency import BackendCalls
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, Skip, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import (
    CheckTooCostly,
    Forbidden,
    InvalidSource,
    InvalidTemplate,
    MachineError,
    RequestTooLarge,
    SourceDenied,
    SourceFailed,
    SourceUnavailable,
    TemplateInUse,
    TooManyRequests,
    UnknownRevision,
    UnknownTemplate,
)
from environments.domain.faults import Fault
from environments.domain.template import Bundle, make_bundle
from environments.service.authorization import Action, Principal, check_service
from environments.service.records import CataloguedTemplate
from environments.wire.templates import (
    GitPushRequest,
    PushRequest,
    TemplateDeletionView,
    TemplateVersionView,
    TemplateView,
    Validation,
)

_Digest = Annotated[str | None, Query(description="This version and not the newest.")]


def template_routes(service: Service, backend_calls: BackendCalls) -> APIRouter:
    """Everything below /v1/templates."""
    router = APIRouter(prefix="/v1", tags=["templates"])
    catalogue, sources = service.catalogue, service.sources

    def _shown(caller: Principal, found: Sequence[CataloguedTemplate]) -> list[TemplateView]:
        creations = service.creators.creations(caller, [one.template for one in found])
        times = catalogue.times(one.name for one in found)
        return [
            presenting.template(
                one,
                presenting_access.creation(creations[one.name]) if one.name in creations else None,
                times.get(one.name),
            )
            for one in found
        ]

    @router.get("/templates", responses=problems())
    def list_templates(
        caller: Caller,
        request: Request,
        response: Response,
        limit: Limit = PAGE,
        after: Annotated[str, Query(description="Only those whose names come behind this one.")] = "",
    ) -> list[TemplateView]:
        """Lists the newest version of each template, by name."""
        found = catalogue.templates(after=after, limit=limit)
        link_next(request, response, found, limit, after=found[-1].name if found else after)
        return _shown(caller, found)

    @router.post(
        "/templates", responses=problems(Forbidden, InvalidTemplate, RequestTooLarge, CheckTooCostly, TooManyRequests)
    )
    def push_template(caller: Caller, request: PushRequest) -> TemplateView:
        """Adds a version of a template for new environments; the same content changes nothing. Admins only."""
        return presenting.template(catalogue.push(caller, _bundle(request)))

    @router.post(
        "/templates/from-git",
        responses=problems(
            Forbidden,
            InvalidTemplate,
            CheckTooCostly,
            TooManyRequests,
            InvalidSource,
            UnknownRevision,
            SourceDenied,
            SourceFailed,
            SourceUnavailable,
            MachineError,
        ),
    )
    async def push_template_from_git(caller: Caller, request: GitPushRequest) -> TemplateView:
        """Reads a template from a git repository, pins its commit, and adds it like one that was pushed. Admins only.

        Each request reads again; the same content from the same commit changes nothing.
        """
        push = partial(sources.push, caller, request.url, request.ref, request.path)
        return presenting.template(await backend_calls.run(caller.owner, push))

    @router.post("/templates/validate", responses=problems(Forbidden, RequestTooLarge, CheckTooCostly, TooManyRequests))
    def validate_template(caller: Caller, request: PushRequest) -> Validation:
        """Names every fault of a template that can be found without running it. Admins only."""
        check_service(caller, Action.TEMPLATE_VALIDATE)
        try:
            bundle = _bundle(request)
        except InvalidTemplate as error:
            return Validation.of([Fault(message=error.message.rstrip("."))])
        return Validation.of(catalogue.validate(caller, bundle))

    @router.get("/templates/{name}", responses=problems(UnknownTemplate))
    def show_template(caller: Caller, name: str, digest: _Digest = None) -> TemplateView:
        """Shows a template: parameters, lifetime, steps, outputs."""
        return _shown(caller, [catalogue.template(name, digest)])[0]

    @router.delete("/templates/{name}", responses=problems(Forbidden, UnknownTemplate, TemplateInUse))
    def delete_template(
        caller: Caller,
        name: str,
        digest: Annotated[str | None, Query(description="Only this version; default: every one.")] = None,
    ) -> TemplateDeletionView:
        """Deletes a template from the catalogue, unless environments made from it exist. Admins only.

        With a digest it counts which environments are at that version. What destroys and rollbacks need is kept; a plan
        to create or update with a deleted version can't be applied. What is deleted already is unknown. It can be
        pushed again.
        """
        return presenting.template_deletion(catalogue.delete(caller, name, digest))

    @router.get("/templates/{name}/bundle", responses=problems(UnknownTemplate))
    def show_bundle(caller: Caller, name: str, digest: _Digest = None) -> PushRequest:
        """Gives the files of a template."""
        bundle = catalogue.bundle(name, digest)
        return PushRequest(files={path: base64.b64encode(content).decode() for path, content in bundle.files.items()})

    @router.get("/templates/{name}/versions", responses=problems(UnknownTemplate))
    def list_template_versions(
        caller: Caller,
        request: Request,
        response: Response,
        name: str,
        deleted: Annotated[bool, Query(description="Versions that were deleted, in place of those there are.")] = False,
        limit: Limit = PAGE,
        skip: Skip = 0,
    ) -> list[TemplateVersionView]:
        """Lists every push of a template, newest first, with the number of environments at it that the caller sees."""
        found = catalogue.versions(caller, name, deleted=deleted, limit=limit, skip=skip)
        link_next(request, response, found, limit, skip=skip + len(found))
        return [presenting.template_version(one) for one in found]

    return router


def _bundle(request: PushRequest) -> Bundle:
    files = {}
    for path, content in request.files.items():
        try:
            files[path] = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidTemplate(f"The content of {path!r} is not base64.") from error
    return make_bundle(files)
