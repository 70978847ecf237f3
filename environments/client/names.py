"""Names in paths."""

from urllib.parse import quote

from environments.domain.errors import InvalidInput


def name_part(name: str) -> str:
    """A name as one segment of a path, whatever it contains."""
    quoted = quote(name, safe="")
    if quoted in ("", ".", ".."):
        raise InvalidInput(f"{name!r} can't be a name.")
    return quoted
