"""The graph of a deployment's steps, laid out for a picture: each step is right of all that it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from environments.wire.deployments import StepView
from environments.words import STEPS, Sign, one_line

WIDTH = 168
"""Of a box; all lengths are pixels of an unscaled picture."""

HEIGHT = 46
GAP_ACROSS = 44
GAP_DOWN = 14
MARGIN = 4

MOST = 120
"""Steps of a picture; of more only the table is of use."""

_LONGEST = 19
"""Characters of a name in its box."""


@dataclass(frozen=True)
class Node:
    """The box of a step. `x` and `y` are those of its upper left corner, `label` fits into it."""

    name: str
    label: str
    uses: str
    sign: Sign
    x: int
    y: int


@dataclass(frozen=True)
class Edge:
    """A line from what is needed to the step that needs it, as path data (SVG 2, 9.3)."""

    path: str


@dataclass(frozen=True)
class Graph:
    """What a template draws. `told` says in words what the picture shows."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    told: str


def graph(steps: Sequence[StepView]) -> Graph | None:
    """The picture; None where no step needs another one, or there are too many."""
    if len(steps) > MOST or not any(step.needs for step in steps):
        return None
    columns = _columns(steps)
    places = {
        step.name: (MARGIN + across * (WIDTH + GAP_ACROSS), MARGIN + down * (HEIGHT + GAP_DOWN))
        for across, column in enumerate(columns)
        for down, step in enumerate(column)
    }
    rows = max(map(len, columns))
    return Graph(
        width=2 * MARGIN + len(columns) * (WIDTH + GAP_ACROSS) - GAP_ACROSS,
        height=2 * MARGIN + rows * (HEIGHT + GAP_DOWN) - GAP_DOWN,
        nodes=tuple(
            Node(step.name, _short(step.name), _short(step.uses), STEPS[step.state], *places[step.name])
            for step in steps
        ),
        edges=tuple(
            Edge(_line(places[needed], places[step.name]))
            for step in steps
            for needed in step.needs
            if needed in places
        ),
        told=_told(steps),
    )


def _columns(steps: Sequence[StepView]) -> list[list[StepView]]:
    """Each step in the first column that is right of all that it needs; within it, near to what it needs."""
    by_name = {step.name: step for step in steps}
    depths: dict[str, int] = {}
    left = list(by_name)
    while left:
        ready = [name for name in left if all(need in depths or need not in by_name for need in by_name[name].needs)]
        if not ready:  # a cycle, which no template may have: they stand at the end
            ready = left
        for name in ready:
            depths[name] = max((depths[need] + 1 for need in by_name[name].needs if need in depths), default=0)
        left = [name for name in left if name not in depths]
    columns: list[list[StepView]] = [[] for _ in range(max(depths.values()) + 1)]
    for step in by_name.values():
        columns[depths[step.name]].append(step)
    rows: dict[str, float] = {}
    for column in columns:
        column.sort(key=lambda step: _middle(step, rows))
        rows.update({step.name: float(row) for row, step in enumerate(column)})
    return columns


def _middle(step: StepView, rows: Mapping[str, float]) -> float:
    """The middle of the rows of what a step needs."""
    found = [rows[need] for need in step.needs if need in rows]
    return sum(found) / len(found) if found else 0.0


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    left, right = start[0] + WIDTH, end[0]
    from_y, to_y = start[1] + HEIGHT // 2, end[1] + HEIGHT // 2
    turn = right - GAP_ACROSS // 2
    return f"M{left} {from_y}H{turn - 12}C{turn} {from_y} {turn - 6} {to_y} {right - 4} {to_y}"


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _told(steps: Sequence[StepView]) -> str:
    said = []
    for step in steps:
        after = f" after {', '.join(map(one_line, step.needs))}" if step.needs else ""
        said.append(f"{one_line(step.name)} ({STEPS[step.state].word}){after}")
    return "; ".join(said)
