"""The log of an environment: follows new lines until somebody scrolls up, and draws only the visible ones."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from environments.domain.environment import Event, EventType
from environments.log_words import log_line
from environments.words import Mood
from tui.clock import Clock

LONGEST = 10_000
"""Entries that are kept; older ones are in the service."""
_TAG = 10


@dataclass(frozen=True)
class Entry:
    """An event in the log: time, the step (dashes for the service), text."""

    time: str
    tag: str
    text: str
    mood: Mood


@dataclass(frozen=True)
class _Line:
    head: str
    tag: str
    text: str
    mood: Mood


def entry(event: Event, clock: Clock) -> Entry | None:
    """The event as an entry; None if it is shown elsewhere."""
    line = log_line(event)
    if line is None:
        return None
    tag = line.step if event.type is EventType.LOG else "──"
    return Entry(clock.time(event.at), tag, line.text, line.mood)


class LogPanel(ScrollView, can_focus=True):
    """Entries in the order of their events, without duplicates, wrapped to the width."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--time",
        "log--tag",
        "mood--good",
        "mood--bad",
        "mood--gone",
        "mood--plain",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "scroll_up", "Up", show=False),
        Binding("j", "scroll_down", "Down", show=False),
        Binding("g", "scroll_home", "First", show=False),
        Binding("G", "scroll_end", "Last", show=False),
    ]

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._entries: list[Entry] = []
        self._lines: list[_Line] = []
        self.last = 0
        """The id of the newest event that was added, visible or not."""
        self.following = True

    def on_mount(self) -> None:
        """Shows in the border whether the log follows new lines."""
        self._title()

    def add(self, events: Iterable[Event]) -> None:
        """Adds the events that are newer than the newest one so far."""
        fresh: list[Entry] = []
        for event in events:
            if event.id <= self.last:
                continue
            self.last = event.id
            found = entry(event, self._clock)
            if found is not None:
                fresh.append(found)
        self.add_entries(fresh)

    def clear(self) -> None:
        """Removes everything, and follows what comes."""
        self._entries, self._lines, self.last = [], [], 0
        self.follow()

    def add_entries(self, entries: Iterable[Entry]) -> None:
        """Adds entries below the others."""
        fresh = list(entries)
        if not fresh:
            return
        self._entries.extend(fresh)
        if len(self._entries) > LONGEST:
            del self._entries[: -LONGEST * 9 // 10]
            self._wrap_all()
        else:
            self._lines.extend(line for one in fresh for line in self._wrap(one))
        self._resized()

    def follow(self) -> None:
        """Scrolls to the end and follows new lines."""
        self.following = True
        self._resized()
        self._title()

    def on_resize(self) -> None:
        """Wraps everything to the new width."""
        self._wrap_all()
        self._resized()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling up pauses; scrolling to the end follows again."""
        super().watch_scroll_y(old_value, new_value)
        following = round(new_value) >= self.max_scroll_y
        if following != self.following and not (self.following and new_value >= old_value):
            self.following = following
            self._title()

    def _resized(self) -> None:
        self.virtual_size = Size(self._width(), len(self._lines))
        self._to_end()
        # Before the first layout there is no end to scroll to.
        self.call_after_refresh(self._to_end)
        self.refresh()

    def _to_end(self) -> None:
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)

    def _width(self) -> int:
        return self.scrollable_content_region.width

    def _title(self) -> None:
        self.border_title = "Log"
        self.border_subtitle = "following" if self.following else "paused: f follows again"

    def _wrap_all(self) -> None:
        self._lines = [line for one in self._entries for line in self._wrap(one)]

    def _wrap(self, one: Entry) -> Iterable[_Line]:
        width = max(self._width() - 9 - _TAG - 1, 16)
        first = True
        for part in one.text.split("\n"):
            for text in textwrap.wrap(part, width, replace_whitespace=False) or [""]:
                yield _Line(one.time if first else "", one.tag[:_TAG] if first else "", text, one.mood)
                first = False

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        number = y + self.scroll_offset.y
        if number >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[number]
        strip = Strip(
            [
                Segment(f"{line.head:8} ", self._style("log--time")),
                Segment(f"{line.tag:{_TAG}} ", self._style("log--tag")),
                Segment(line.text, self._style(f"mood--{line.mood}")),
            ]
        )
        return strip.adjust_cell_length(width, self.rich_style)

    def _style(self, name: str) -> Style:
        return self.rich_style + self.get_component_rich_style(name, partial=True)
