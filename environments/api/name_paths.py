"""Names in paths that may hold slashes: user names of early versions, and groups of a claim.

They end where the rest of a route begins, so that a path has one route. A name that holds such an end itself, such as
`a/disable`, is still found in lists.
"""

from starlette.convertors import Convertor, register_url_convertor


class _Text(Convertor[str]):
    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Person(_Text):
    regex = "(?:(?!/(?:successor|disable|enable|assign)$).)+"


class _Group(_Text):
    regex = "(?:(?!/members/).)+"


class _Owner(_Text):
    regex = ".+"


def register() -> None:
    """Lets routes have `{person:person}`, `{group:group}` and, at their ends, `{name:owner}`."""
    register_url_convertor("owner", _Owner())
    register_url_convertor("person", _Person())
    register_url_convertor("group", _Group())
