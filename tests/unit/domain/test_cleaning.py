"""What programs said, before it is kept: no secret survives, in whatever way it is written."""

import base64
import html
import json
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from environments.domain.cleaning import HIDDEN, Cleaner, printable
from environments.domain.secret_forms import SHORTEST

secrets = st.text(
    string.ascii_letters + string.digits + "!\"#$%&'()+,-./:;<=>?@[\\]^_`{|}~ äß€𝄞",
    min_size=SHORTEST,
    max_size=40,
).filter(lambda secret: secret == secret.strip() and len(set(secret)) > 1)
around = st.text(st.characters(codec="utf-8"), max_size=20)

WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda secret: secret,
    "JSON": lambda secret: json.dumps({"token": secret}),
    "JSON without escapes of Unicode": lambda secret: json.dumps([secret], ensure_ascii=False),
    "JSON in JSON": lambda secret: json.dumps(json.dumps(secret)),
    "Go's JSON": lambda secret: (
        json.dumps(secret).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    ),
    "a query": lambda secret: f"https://host/?q={quote_plus(secret)}",
    "a path": lambda secret: f"https://host/{quote(secret, safe='')}/x",
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 for URLs, without its end": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "colours in it": lambda secret: "\x1b[1m".join(secret),
    "zeros in it": lambda secret: "\0".join(secret),
    "backspaces in it": lambda secret: "".join(f"{letter}\b{letter}" for letter in secret),
    "joiners in it": lambda secret: "\u200d".join(secret),
    "variations in it": lambda secret: "\ufe0f".join(secret),
    "directions in it": lambda secret: "\u202e\u2066".join(secret),
    "what is no UTF-8 in it": lambda secret: "\ufffd".join(secret),
    "a sequence with zeros in it": lambda secret: "\x1b\0[\x001m".join(secret),
    "a link in it": lambda secret: "\x1b]8;;x\x1b\\".join(secret),
    "a title with other ends in it": lambda secret: "\x9d0;x\x9c".join(secret),
    "a title of a terminal": lambda secret: f"\x1b]0;{secret}\x07 {secret}",
    "Python": lambda secret: repr(secret),
    "HTML": html.escape,
    "HTML with three digits": lambda secret: html.escape(secret).replace("&#x27;", "&#039;"),
    "an attribute of XML": lambda secret: html.escape(secret).replace("&#x27;", "'"),
    "HTML without quotes": lambda secret: html.escape(secret, quote=False),
    "XML": lambda secret: html.escape(secret).replace("&#x27;", "&apos;"),
}


@pytest.mark.parametrize("way", WAYS)
@given(secrets, around, around, st.lists(secrets, max_size=3))
def test_no_secret_survives(way: str, secret: str, before: str, after: str, others: list[str]) -> None:
    # Chance: the text around it, or what hides another one, holds it itself.
    assume(secret not in printable(before + after) and secret not in HIDDEN * 2)
    said = WAYS[way](secret)
    cleaned = Cleaner([*others, secret]).clean(f"{before}\n{said}\n{after}")
    assert secret not in cleaned
    assert printable(said) not in cleaned


@given(st.text(st.characters(codec="ascii"), min_size=6, max_size=40), st.sampled_from(["u", "me", "ada"]))
def test_a_password_in_basic_authentication_is_hidden(secret: str, user: str) -> None:
    encoded = base64.b64encode(f"{user}:{secret}".encode()).decode()
    assert encoded not in Cleaner([secret]).clean(f"sent {encoded} to it")
    assert encoded not in Cleaner().clean(f"> Authorization: Basic {encoded}")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("fatal: unable to access 'https://ada:hunter2@host/x.git/': 403", "'https://***@host/x.git/': 403"),
        ('"Authorization": "Bearer abc.def-123"', '"Authorization": "Bearer ***"'),
        ("authorization: token-without-scheme", "authorization: ***"),
        ("X-Vault-Token: abc", "X-Vault-Token: ***"),
        ("logged in as s.CAESIJx0qVRjUeZnD0aYlkQhbaYr", "logged in as ***"),
        ("jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "jwt ***"),
        ("see https://host/a@b and ada@host", "see https://host/a@b and ada@host"),
        ("a\tb\r\n\x1b[31mred\x1b[0m \u202egnp\u202c", "a b\nred gnp"),
    ],
)
def test_some_shapes_are_known_without_being_told(said: str, kept: str) -> None:
    assert Cleaner().clean(said).endswith(kept)


def test_a_secret_of_many_lines_is_hidden_in_each_of_them() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
    cleaner = Cleaner([key])
    for line in key.splitlines():
        assert cleaner.clean(f"> {line}") == f"> {HIDDEN}"
    assert cleaner.clean(json.dumps({"key": key})) == '{"key": "***"}'
    assert cleaner.clean(" ".join(key.split("\n"))).strip() == HIDDEN


KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEF\nab12\nQ4==\n-----END KEY-----\n"
LONG = "generated-password-" * 7


def _wrapped(text: str, columns: int) -> list[str]:
    return [text[begin : begin + columns] for begin in range(0, len(text), columns)]


@pytest.mark.parametrize("prefix", ["", "2026-01-01T12:00:00.5Z stdout F ", "web-1  | ", "[out]\t", "  "])
def test_a_secret_that_is_wrapped_is_hidden_behind_prefixes_too(prefix: str) -> None:
    cleaner = Cleaner([LONG, KEY])
    encoded = base64.b64encode(LONG.encode()).decode()
    key = base64.b64encode(KEY.encode()).decode()
    ways = [
        *(_wrapped(encoded, size) for size in (20, 64, 76)),
        _wrapped(key, 64),
        _wrapped(key, 76),
        _wrapped(LONG, 33),
    ]
    for lines in (*ways, KEY.splitlines()):
        said = "\n".join(f"{prefix}{line}" for line in ["first", *lines, "last"])
        expected = "\n".join(f"{prefix}{line}" for line in ["first", *(HIDDEN for _ in lines), "last"])
        assert cleaner.clean(said) == printable(expected), lines


def test_secrets_that_overlap_are_hidden_both() -> None:
    assert Cleaner(["abcdefgh", "efghijkl"]).clean("abcdefghijkl abcdefgh-efghijkl") == "*** ***-***"


@pytest.mark.parametrize("secret", ["pass\x1b[1mword", "[0mpassword", "pass\0word", "pass\bword", "p\u200dassword"])
def test_a_secret_with_control_characters_is_hidden_with_and_without_them(secret: str) -> None:
    cleaner = Cleaner([secret])
    for said in (secret, printable(secret), json.dumps(secret), f"\x1b{secret}", f"{secret[:5]}\x1b[0m{secret[5:]}"):
        cleaned = cleaner.clean(f"it is {said} now")
        assert "word" not in cleaned
        assert cleaned.endswith(" now")


def test_what_is_cut_off_shows_no_part_of_a_secret() -> None:
    cleaner = Cleaner([LONG, "correct-horse", KEY])
    assert cleaner.clean("password=corre", cut=True) == "password=***"
    assert cleaner.clean("password=corre") == "password=corre"
    assert cleaner.clean("password=corre\n", cut=True) == "password=corre\n", "the line isn't cut off"
    assert cleaner.clean("password=cor", cut=True) == "password=cor", "too little to know it"
    for size in range(4, len(LONG)):
        assert cleaner.clean(f"x {LONG[:size]}", cut=True) == "x ***"
    lines = _wrapped(base64.b64encode(LONG.encode()).decode(), 20)
    for count in range(1, len(lines)):
        assert cleaner.clean("\n".join(["x", *lines[:count]]) + "\n", cut=True) == "x\n" + "***\n" * count
        rest = "\n".join([*lines[count:], "x"])
        assert cleaner.clean(rest, begun=True) == "***\n" * (len(lines) - count) + "x"
    for count in range(1, 6):
        key = KEY.splitlines()
        assert cleaner.clean("\n".join(key[count:]) + "\nx", begun=True) == "***\n" * (6 - count) + "x"


def test_lines_are_awaited_that_may_begin_a_wrapped_secret() -> None:
    cleaner = Cleaner([LONG])
    lines = _wrapped(base64.b64encode(LONG.encode()).decode(), 20)
    for prefix in ("", "12:00:00 | "):
        for count in range(1, len(lines)):
            assert cleaner.unfinished("".join(f"{prefix}{line}\n" for line in ["x", *lines[:count]])) == count
        assert cleaner.unfinished("".join(f"{prefix}{line}\n" for line in ["x", *lines, "y"])) == 0
    assert cleaner.unfinished("generat\n") == 0, "it isn't much of it"
    assert cleaner.unfinished("x\ngen\nera\nted\n") == 3, "all of them have enough of it together"


def test_a_text_is_cut_off_after_its_secrets_are_gone() -> None:
    secret = "s3cret-" * 10
    assert Cleaner([secret]).clean("x" * 90 + secret + "y" * 90, 100) == "x" * 90 + HIDDEN + "y" * 7 + " …"


def test_a_value_that_holds_a_secret_is_found_wherever_it_is() -> None:
    cleaner = Cleaner(["hunter2", "31337"])
    encoded = base64.b64encode(b"hunter2").decode()
    holding: list[Any] = ["hunter2", {"a": [{"b": "xhunter2x"}]}, {"hunter2": 1}, [31337], encoded]
    assert all(map(cleaner.holds_secret, holding))
    without: list[Any] = [None, True, 1.5, "hunter", {"a": ["b"]}]
    for value in without:
        assert not cleaner.holds_secret(value)
        assert not Cleaner().holds_secret(value)


def test_a_user_of_an_address_is_hidden_also_beside_a_secret_that_no_address_could_hold() -> None:
    secret = "lent+token/of a module="
    cleaned = Cleaner([secret]).clean(f"https://ada:{secret}@host/ Authorization: Bearer {secret}")
    assert cleaned == "https://***@host/ Authorization: Bearer ***"
