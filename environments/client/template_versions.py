"""Calls for the versions of templates."""

from environments.client.connection import Connection, Query, next_query
from environments.client.names import name_part
from environments.wire.templates import TemplateVersionView


class TemplateVersionCalls(Connection):
    """See `environments.client.Client`."""

    def template_versions(
        self, name: str, *, deleted: bool = False, skip: int = 0, limit: int = 50
    ) -> tuple[list[TemplateVersionView], int | None]:
        """A page of the pushes of a template, newest first, and what to skip for the next one if there may be one.

        `deleted`: the versions that were deleted, in place of those that there are.
        """
        query: Query = {"deleted": deleted or None, "skip": skip, "limit": limit}
        answer = self._get(f"/v1/templates/{name_part(name)}/versions", query)
        behind = next_query(answer).get("skip")
        found = self._read(answer, list[TemplateVersionView])
        return found, int(behind[0]) if behind and behind[0].isascii() and behind[0].isdecimal() else None
