"""The page of who gets which answer from which route."""

from collections.abc import Iterable, Sequence

from tests.contract.access_table import COLUMNS, ROWS, expected


def access_by_route() -> tuple[str, Sequence[str], Iterable[Sequence[str]], Sequence[Sequence[str]]]:
    """What the page says first, the head and the rows of its table, and the rows of the table of callers."""
    intro = (
        "What each route answers to whom, as a test of every route and every caller has it. Who sees an environment "
        "not at all gets 404, as if there were none; who sees it and may not do this gets 403 with the role that it "
        "takes. 2xx: it is done. For what the roles are: [the trust model](../explanation/trust.md)."
    )
    rows = []
    for row in ROWS:
        method, _, path = row.route.partition(" ")
        statuses = [str(expected(row, column)) for column in COLUMNS]
        rows.append((f"`{method} {path}`", *statuses, row.note))
    who = [(name, text) for name, text in COLUMNS.items()]
    return intro, ("Route", *COLUMNS, "Note"), rows, who
