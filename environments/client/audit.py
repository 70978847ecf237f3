"""The client's calls about the audit log."""

from collections.abc import Iterator

from environments.client.connection import Connection, Query
from environments.wire.audit import AuditEntryView, AuditHeadView, VerdictView

PAGE = 1000
"""Entries of one request; the service's maximum."""


class AuditCalls(Connection):
    """Reading and verifying the audit log. See `environments.client.http.Client`."""

    def audit(self, asked: Query, limit: int | None = None) -> list[AuditEntryView]:
        """Entries, newest first, at most `limit`; `asked` has the filters of the API."""
        most = None if limit is None else min(limit, PAGE)
        return self._pages("/v1/audit", AuditEntryView, {**asked, "limit": most}, limit)

    def audit_entry(self, entry_id: int) -> AuditEntryView:
        """One entry."""
        return self._read(self._get(f"/v1/audit/entries/{entry_id}"), AuditEntryView)

    def audit_after(self, position: int) -> Iterator[AuditEntryView]:
        """Chained entries from after a position, oldest first."""
        while True:
            query: Query = {"after": position, "limit": PAGE}
            page = self._read(self._get("/v1/audit", query), list[AuditEntryView])
            if not page:
                return
            yield from page
            position = page[-1].position or position

    def audit_head(self) -> AuditHeadView:
        """The end of the chain."""
        return self._read(self._get("/v1/audit/head"), AuditHeadView)

    def verify_audit(self, *, after: int | None = None, head: str | None = None) -> VerdictView:
        """A part of a walk along the chain; `next` of the answer is where the next part begins."""
        return self._read(self._get("/v1/audit/verify", {"after": after, "head": head}), VerdictView)
