"""Figures of benches: their noise, how they are kept beside the page, and what a run says against the kept ones."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bench.comparison import compare
from tests.bench.figures import Better, Figure, Machine, Measured, Sample, Summary, Table, markdown, shown
from tests.bench.kept import FILE, PAGE, Unreadable, as_json, keep, page_of, read
from tests.bench.telling import said

MACHINE = Machine(2, "x86_64", "3.11.7", 0.5, 1.5)
AT = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
EMPTY = "# Page\n<!-- made by `doit bench`: begin -->\n<!-- made by `doit bench`: end -->\nAfter.\n"


def run(*figures: Figure, machine: Machine = MACHINE, samples: tuple[Summary, ...] = ()) -> Measured:
    return Measured(at=AT, machine=machine, figures=figures, samples=samples)


def differences(before: Figure, after: Figure) -> list[str]:
    return [str(found) for found in compare(run(before), run(after)).differences]


# The kept ones


def test_the_page_shows_what_the_file_holds() -> None:
    kept_in = {task: page_of(task) for task in read()}
    sections: dict[str, str] = {}
    for page in {PAGE, *kept_in.values()}:
        sections |= re.findall(r"<!-- made by `doit ([^`]*)`: begin -->\n(.*?)\n<!-- made by", page.read_text(), re.S)
    kept = {task: markdown(measured) for task, measured in read().items()}
    assert sections == kept, "run the bench again, or write the tables again: python -m tests.bench.kept"
    assert FILE.read_bytes() == as_json(read())


def test_figures_are_kept_beside_those_of_other_benches(tmp_path: Path) -> None:
    file, page = tmp_path / "kept.json", tmp_path / "page.md"
    page.write_text(EMPTY)
    other = run(Figure("other", 5, unit="%", better=Better.MORE, noise=0.25, detail="of 7"))
    file.write_bytes(as_json({"bench:other": other}))
    mine = replace(
        run(Figure("mine", 1, 2), samples=(Summary.of(Sample("all", [0.001, 0.002, 0.003])),)),
        tables=(Table(("round", "took"), (("cold", "3 s"),)),),
        note="2 at a time.",
        commit="abc+",
    )
    keep("bench", mine, file=file, page=page)
    assert read(file) == {"bench": mine, "bench:other": other}
    assert page.read_text() == EMPTY.replace("begin -->\n", f"begin -->\n{markdown(mine)}\n")
    assert "| cold | 3 s |" in page.read_text()


def test_without_a_file_nothing_is_kept(tmp_path: Path) -> None:
    assert read(tmp_path / "none.json") == {}


@pytest.mark.parametrize(
    ("text", "said_about_it"),
    [
        (b'{"bench": {', "kept.json can't be read: the whole file: Invalid JSON"),
        (b"\xff\xfe", "kept.json can't be read: the whole file: Invalid JSON"),
        (b"[]", "kept.json can't be read: the whole file: Input should be an object"),
        (as_json({"bench": run(Figure("one", 1))}).replace(b'"one"', b"1"), "bench.figures.0.name: Input should be"),
        (b'{"bench": {}}', r"bench.at: Field required, and \d+ more"),
    ],
)
def test_a_damaged_file_is_told_and_left_alone(tmp_path: Path, text: bytes, said_about_it: str) -> None:
    file, page = tmp_path / "kept.json", tmp_path / "page.md"
    file.write_bytes(text)
    page.write_text(EMPTY)
    with pytest.raises(Unreadable, match=said_about_it):
        keep("bench", run(), file=file, page=page)
    assert (file.read_bytes(), page.read_text()) == (text, EMPTY)


# What is shown


def test_what_is_kept_and_what_is_shown_have_the_same_digits() -> None:
    measured = run(Figure("one", 12.3456789, noise=1.23456789), Figure("two", 10_051.6)).rounded()
    assert [(one.measured, one.noise) for one in measured.figures] == [(12.3457, 1.23457), (10_051.6, None)]
    assert [shown(one.measured, one.unit) for one in measured.figures] == ["12.3 ms", "10052 ms"]


def test_a_bar_is_the_most_or_the_least() -> None:
    figures = [Figure("", value, 10, better=better) for better in Better for value in (9, 10, 11)]
    assert [figure.met for figure in figures] == [True, True, False, False, True, True]


def test_a_missed_bar_is_told() -> None:
    lines = list(said(run(Figure("slow", 11, 10), Figure("fast", 1, 10)), None))
    assert lines == ["", "Missed: slow.", "", "No figures were kept to compare with."]


# Noise


def test_the_noise_of_a_median_is_half_its_interval() -> None:
    # Of 100 values the 40th and the 60th: the table of Conover, 3.2, for n = 100.
    sample = Sample("", [number / 1000 for number in range(1, 101)])
    assert sample.noise() == pytest.approx((60 - 40) / 2)
    assert sample.noise(0.95) == pytest.approx((100 - 90) / 2)


def test_few_values_have_as_much_noise_as_they_differ() -> None:
    assert Sample("", [0.003, 0.001]).noise() == pytest.approx(1)
    assert Sample("", [0.003]).noise() is None
    assert Figure.of("longest", Sample("", [0.1, 0.2, 0.4]), 1.0).noise == pytest.approx(100)


def test_the_noise_of_a_difference_is_that_of_both() -> None:
    ours, theirs = Sample("", [0.010, 0.016]), Sample("", [0.002, 0.010])
    figure = Figure.between("more", ours, theirs)
    assert figure.measured == pytest.approx(7)
    assert figure.noise == pytest.approx(5)
    assert Figure.between("once", ours, Sample("", [1])).noise is None


# The comparison


@pytest.mark.parametrize(("now", "differs"), [(100, False), (125, False), (125.1, True), (74.9, True), (75, False)])
def test_what_differs_by_more_than_the_noise_of_both(now: float, differs: bool) -> None:
    assert bool(differences(Figure("one", 100, noise=10), Figure("one", now, noise=15))) is differs


def test_what_was_measured_once_is_taken_to_be_uncertain() -> None:
    assert not differences(Figure("one", 100, noise=1), Figure("one", 130))
    assert differences(Figure("one", 100, noise=1), Figure("one", 140))
    assert not differences(Figure("one", 100), Figure("one", 124))


def test_a_small_share_is_no_difference() -> None:
    assert not differences(Figure("one", 100, noise=0), Figure("one", 105, noise=0))
    assert differences(Figure("one", 100, noise=0), Figure("one", 106, noise=0))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Figure("one", 100, noise=5), Figure("one", 150, noise=5), "slower: one: 150 ms, was 100 ms, +50 %; noise 10"),
        (Figure("one", 100, noise=5), Figure("one", 50, noise=5), "faster: one: 50 ms, was 100 ms, -50 %; noise 10"),
        (Figure("one", 1, unit="MB", noise=0), Figure("one", 2, unit="MB", noise=0), "larger: one: 2 MB, was 1 MB"),
        (Figure("one", 1, unit="%", noise=0), Figure("one", 2, unit="%", noise=0), "higher: one: 2 %, was 1 %"),
        (Figure("one", 0, noise=0), Figure("one", 2, noise=0), "slower: one: 2 ms, was 0 ms; noise 0 ms"),
    ],
)
def test_a_difference_is_told_in_words_of_its_unit(before: Figure, after: Figure, told: str) -> None:
    assert differences(before, after)[0].startswith(told)


def test_less_is_worse_where_more_is_better() -> None:
    before, after = (Figure("rate", value, unit="", noise=0, better=Better.MORE) for value in (100, 50))
    (found,) = compare(run(before), run(after)).differences
    assert found.worse
    assert str(found).startswith("lower: rate: 50, was 100, -50 %")


def test_worse_ones_come_first_and_what_only_one_run_has_is_named() -> None:
    kept = run(Figure("a", 10, noise=0), Figure("b", 10, noise=0), Figure("gone", 1), Figure("same", 1))
    now = run(Figure("a", 5, noise=0), Figure("b", 20, noise=0), Figure("same", 1), Figure("new", 1))
    assert list(said(now, replace(kept, commit="abc")))[3:] == [
        "Compared with the kept figures of 2026-11-28 09:30 UTC (commit abc):",
        "  slower: b: 20 ms, was 10 ms, +100 %; noise 0 ms.",
        "  faster: a: 5 ms, was 10 ms, -50 %; noise 0 ms.",
        "  1 differs by no more than noise.",
        "  Not kept so far: new.",
        "  Kept, and not measured now: gone.",
    ]


def test_medians_of_samples_are_compared() -> None:
    kept, now = (run(samples=(Summary("a list", 30, p50, 50, noise=1),)) for p50 in (10, 20))
    assert [str(found) for found in compare(kept, now).differences] == [
        "slower: a list, p50: 20 ms, was 10 ms, +100 %; noise 2 ms"
    ]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (replace(MACHINE, cores=8), "the kept figures are of 8 cores, these of 2"),
        (replace(MACHINE, architecture="aarch64"), "the kept figures are of aarch64, these of x86_64"),
    ],
)
def test_another_machine_is_not_compared(other: Machine, why: str) -> None:
    lines = list(said(run(Figure("one", 100, noise=0)), run(Figure("one", 1, noise=0), machine=other)))
    assert lines[-1] == f"Not compared with the kept figures: {why}."


@pytest.mark.parametrize("then", [True, False])
def test_on_a_busy_machine_only_what_is_counted_is_compared(then: bool) -> None:
    busy = replace(MACHINE, load_before=2.1)
    kept = run(Figure("time", 1, noise=1), Figure("bytes", 1, noise=0), machine=busy if then else MACHINE)
    now = run(Figure("time", 100, noise=1), Figure("bytes", 100, noise=0), machine=MACHINE if then else busy)
    of = "the machine of the kept figures" if then else "this machine"
    lines = list(said(now, kept))
    assert f"Only what is counted is compared, and no times: {of} had other work (load 2.1 on 2 cores)." in lines
    assert [line for line in lines if " was " in line] == ["  slower: bytes: 100 ms, was 1 ms, +9900 %; noise 0 ms."]


def test_an_unknown_load_is_no_obstacle() -> None:
    unknown = replace(MACHINE, load_before=None, load_after=None)
    assert "load not known." in markdown(run(machine=unknown))
    assert (
        len(compare(run(Figure("one", 1, noise=0), machine=unknown), run(Figure("one", 2, noise=0))).differences) == 1
    )
