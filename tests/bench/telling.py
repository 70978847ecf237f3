"""A run of a bench: what it found is printed, compared with the kept figures, and kept if there was enough of it.

A missed bar or a slower figure is said clearly but is no failure: speed depends on what else the machine does.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from images.report import Report
from tests.bench.comparison import busy, compare, unlike
from tests.bench.figures import Figure, Machine, Measured, Sample, Summary, Table, markdown
from tests.bench.kept import FILE, Unreadable, commit, keep, page_of, read


class Run:
    """Begins with the bench, so that it knows the load of the machine before; `task` is the section that is kept."""

    def __init__(self, task: str, report: Report, *, file: Path = FILE, page: Path | None = None) -> None:
        self._task = task
        self._report = report
        self._file, self._page = file, page or page_of(task)
        self._load = os.getloadavg()[0]
        self._commit = commit()
        self._kept: Measured | None = None
        self._damage = ""
        try:
            self._kept = read(file).get(task)
        except Unreadable as error:
            self._damage = str(error)
            report(f"{error}. Nothing will be compared or kept: restore the file with git.")

    def tell(
        self,
        figures: Sequence[Figure],
        samples: Sequence[Sample] = (),
        tables: Sequence[Table] = (),
        *,
        note: str = "",
        too_few: str = "",
    ) -> None:
        """Prints everything on standard output, and keeps it unless `too_few` says what that takes."""
        measured = Measured(
            at=datetime.now(UTC).replace(second=0, microsecond=0),
            machine=Machine.here(self._load),
            figures=tuple(figures),
            samples=tuple(Summary.of(sample) for sample in samples),
            tables=tuple(tables),
            note=note,
            commit=self._commit,
        ).rounded()
        print(markdown(measured), *said(measured, self._kept), sep="\n")
        name = self._page.name
        if self._damage:
            self._report(f"{name} stays as it is. {self._damage}.")
        elif too_few:
            self._report(f"{name} stays as it is: it takes {too_few}.")
        else:
            keep(self._task, measured, file=self._file, page=self._page)
            self._report(f"{self._file.name} and {name} have the new figures.")


def said(measured: Measured, kept: Measured | None) -> Iterator[str]:
    """Lines about missed bars, and about what differs from the kept figures."""
    missed = [figure.name for figure in measured.figures if not figure.met]
    yield ""
    yield f"Missed: {'; '.join(missed)}." if missed else "Every bar is met."
    yield ""
    if kept is None:
        yield "No figures were kept to compare with."
    elif found := list(unlike(kept, measured)):
        yield f"Not compared with the kept figures: {'; '.join(found)}."
    else:
        if found := list(busy(kept, measured)):
            yield f"Only what is counted is compared, and no times: {'; '.join(found)}."
        yield from compare(kept, measured).lines()
