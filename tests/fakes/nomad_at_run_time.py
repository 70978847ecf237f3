"""What Nomad does with a job file and with a job, as far as text goes: for tests that values stay data in both.

Written after Nomad 1.10 (`helper/args`, `client/taskenv`, `plugins/…/hclutils`); tests/integration/test_values.py
compares the rules with a real one.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from environments.domain.errors import InvalidJob

Build = Callable[[dict[str, Any]], Any]
"""A job file as a function: from values of variables to a job. It raises `ValueError` where HCL has an error."""

SECRETS = {
    "VAULT_TOKEN": "s.token",
    "NOMAD_ALLOC_INDEX": "0",
    "NOMAD_PORT_http": "8080",
    "attr.kernel.name": "linux",
    "meta.path": "/host",
}

PIECES = [
    *"${}%{~\"'`\\#=-/. \t\nabA9é\u0301\U0001f600\ue000\U00010400\U000f0000",
    "${VAULT_TOKEN}",
    "${NOMAD_PORT_http}",
    "${attr.kernel.name}",
    "${meta.path}",
    '${env["VAULT_TOKEN"]}',
    "$${VAULT_TOKEN}",
    "%{ if true }",
    '{{ env "X" }}',
    "{{",
    "}}",
    "/*",
    "*/",
    "VAULT_TOKEN",
    "NOMAD_META_calvinverse_dollar",
    "end",
    "\r\n",
]
"""What hostile texts are made of."""


def parser(build: Build) -> Callable[[str, str], Any]:
    """`NomadApi.parse` of that job file."""

    def parse(file: str, assignments: str) -> Any:
        try:
            return build(values(assignments))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InvalidJob(f"Nomad rejects the job: {error}.") from error

    return parse


def values(assignments: str) -> dict[str, Any]:
    """The values in a variables file."""
    reader = _Reader(assignments)
    found = {}
    while not reader.ended():
        name = reader.take(_NAME)
        found[name] = reader.value()
    return found


_NAME, _EQUALS, _COMMA = re.compile(r"\s*(\w+) = "), re.compile(" = "), re.compile("(?:, )?")
_LIST, _OBJECT = re.compile(r"\["), re.compile(r"\{")
_WORD, _QUOTED = re.compile(r"[^,\]}\n]+"), re.compile(r'"([^"]*)"')
_ACTS = re.compile(r"[$%]\{|\\[^uU]")
_CODE = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")
_END = re.compile(r"\s*\Z")


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def ended(self) -> bool:
        return _END.match(self._text, self._at) is not None

    def begins(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found, self._text[self._at : self._at + 40]
        self._at = found.end()
        return found[1] if found.groups() else found[0]

    def value(self) -> Any:
        if self.begins('"'):
            inside = self.take(_QUOTED)
            assert not _ACTS.search(inside)
            return _CODE.sub(lambda found: chr(int(found[1] or found[2], 16)), inside)
        if self.begins("["):
            return self._items(_LIST, "]", self.value)
        if self.begins("{"):
            return dict(self._items(_OBJECT, "}", lambda: (self.value(), self.take(_EQUALS) and self.value())))
        return json.loads(self.take(_WORD))

    def _items(self, begin: re.Pattern[str], end: str, one: Callable[[], Any]) -> list[Any]:
        self.take(begin)
        found = []
        while not self.begins(end):
            found.append(one())
            self.take(_COMMA)
        self._at += len(end)
        return found


def replaced(text: str, known: Mapping[str, str]) -> str:
    """What Nomad makes of a text in most fields."""
    return re.sub(r"\$\{([a-zA-Z0-9_\-.]+)\}", lambda found: known.get(found[1], found[0]), text)


def environment(job: Mapping[str, Any]) -> dict[str, str]:
    """What the first task of a job finds in its environment variables."""
    known = dict(SECRETS)
    for key, item in (job.get("Meta") or {}).items():
        known[f"NOMAD_META_{key}"] = replaced(item, SECRETS)
    return {key: replaced(item, known) for key, item in _task(job)["Env"].items()}


def configured(text: str) -> str:
    """What the driver is told for a text in `config`. Raises `ValueError` for an expression that isn't a name."""
    found = []
    at = 0
    while at < len(text):
        if text.startswith(("$${", "%%{"), at):
            found.append(text[at + 1 : at + 3])
            at += 3
        elif text.startswith(("${", "%{"), at):
            code = re.compile(r'\$\{(?:"([$%])"|([\w.\-]+))\}').match(text, at)
            if code is None:
                raise ValueError(f"an expression: {text[at:]}")
            found.append(code[1] or SECRETS[code[2]])
            at = code.end()
        else:
            found.append(text[at])
            at += 1
    return "".join(found)


def _task(job: Mapping[str, Any]) -> Any:
    return job["TaskGroups"][0]["Tasks"][0]


def one_task(**fields: Any) -> dict[str, Any]:
    """A job with one task that has these fields."""
    return {"ID": "app", "Name": "app", "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "main", **fields}]}]}
