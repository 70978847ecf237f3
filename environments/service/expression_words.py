"""Jinja's error messages about expressions, rewritten for authors of templates."""

import re

_PRINT, _BLOCK = "end of print statement", "end of statement block"
_ENDS = rf"'(?:{_PRINT}|{_BLOCK})'"

_WORDS: tuple[tuple[str, str], ...] = (
    (r"unexpected end of template, expected .*", "unexpected end of template: the expression has no closing braces"),
    (
        r"Unexpected end of template\..* innermost block that needs to be closed is '(\w+)'\.?",
        r"{% \1 %} has no {% end\1 %}",
    ),
    (
        r"Encountered unknown tag '(end\w+)'.* block that needs to be closed is '(\w+)'\.?",
        r"{% \1 %} can't end {% \2 %}",
    ),
    (r"Encountered unknown tag 'end(\w+)'.*", r"{% end\1 %} ends nothing: there is no {% \1 %} before it"),
    (r"Encountered unknown tag '(\w+)'.*", r"there is no tag {% \1 %}"),
    (r"Missing end of comment tag", "the comment has no end #}"),
    (rf"(?:unexpected|Expected an expression, got) {_ENDS}", "the expression ends too early: a value is missing"),
    (rf"expected token 'name', got {_ENDS}", "the expression ends too early: a name is missing"),
    (rf"expected token '{_PRINT}', got '(.*)'", r"an operator is missing before '\1'"),
    (rf"expected token '{_BLOCK}', got '(.*)'", r"'\1' can't stand there"),
    (rf"expected token '(.*)', got {_ENDS}", r"'\1' is missing at the end"),
    (r"expected token '(.*)', got '(.*)'", r"'\1' is missing before '\2'"),
    (r"expected name or number", "behind a dot there must be a name or a number"),
    (r"unexpected char \"'\" at \d+", "the text that begins with ' has no end"),
    (r"unexpected char '\"' at \d+", 'the text that begins with " has no end'),
    (r"unexpected char (.*) at \d+", r"\1 can't stand in an expression"),
    (r"unexpected '(.)', expected '(.)'", r"'\2' is missing before '\1'"),
    (r"unexpected '(.*)'", r"'\1' can't stand there"),
    (r"invalid syntax for function call expression", "named arguments of a function come last"),
    (r"No (filter|test) named '(.*)'\.?", r"there is no \1 '\2'"),
    (r"'str object' has no attribute '(.*)'", r"a text has no '\1'"),
    (r"'(?:int|float) object' has no attribute '(.*)'", r"a number has no '\1'"),
    (r"'bool object' has no attribute '(.*)'", r"true or false has no '\1'"),
    (r"'list object' has no attribute '(.*)'", r"a list has no '\1'"),
    (r"'list object' has no element (.*)", r"a list has no element \1"),
    (r"'dict object' has no attribute '(.*)'", r"a table has no '\1'"),
    (r"do_(\w+)\(\) missing \d+ required positional arguments?: (.*)", r"the filter '\1' needs \2"),
    (r"do_(\w+)\(\) takes from .* positional arguments but .*", r"the filter '\1' takes fewer values"),
)
_COMPILED = [(re.compile(said, re.DOTALL), told) for said, told in _WORDS]


def in_words(message: str) -> str:
    """The message in plain words, without a full stop; an unknown message stays as it is."""
    for said, told in _COMPILED:
        if (found := said.fullmatch(message)) is not None:
            return found.expand(told)
    return message.rstrip(".")
