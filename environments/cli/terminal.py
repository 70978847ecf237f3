"""`calvinverse tui`: the command is the terminal UI's own."""

from environments.cli.extensions import TUI, extend

extend(TUI)
