"""How many there are of something, in words for people."""


def counted(count: int, noun: str, *, more: bool = False) -> str:
    """`1 key`, `2 keys`; with `more`, `100 or more keys`."""
    return f"{count}{' or more' if more else ''} {noun}{'' if count == 1 and not more else 's'}"
