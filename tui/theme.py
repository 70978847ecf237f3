"""The theme of the TUI."""

from textual.theme import Theme

CALVINVERSE = Theme(
    name="calvinverse",
    primary="#f2a541",
    secondary="#6fb3d2",
    accent="#f2a541",
    foreground="#e8e4d9",
    background="#11141c",
    surface="#181c27",
    panel="#222838",
    success="#8fd18a",
    warning="#f2c14e",
    error="#f07a74",
    dark=True,
    variables={
        "footer-key-foreground": "#f2a541",
        "footer-background": "#181c27",
        "footer-description-foreground": "#b9b6ae",
        "input-cursor-background": "#f2a541",
        "input-selection-background": "#f2a541 30%",
        "border": "#3a4258",
        "border-blurred": "#2a3042",
        "scrollbar": "#3a4258",
        "scrollbar-background": "#181c27",
        "scrollbar-hover": "#55607f",
        "scrollbar-active": "#f2a541",
        "faint": "#8d93a5",
    },
)
