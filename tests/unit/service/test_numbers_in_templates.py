"""Numbers that not everybody can read, and files that are no text: refused in words wherever a template has them."""

import pytest

from environments.domain.errors import InvalidTemplate
from environments.domain.template import make_bundle
from environments.service.checking import DirectChecks
from environments.service.rendering import fault, render
from tests.fakes.kinds import KINDS

HEAD = '[template]\nname = "x"\n[[steps]]\nname = "a"\nuses = "fake"\n'
NAMES = {"large": 10**308, "float": 1e200}
OWN_WORDS = ("set_int_max_str_digits", "codec", "Traceback", "name 'inf'")


@pytest.mark.parametrize(
    "text", ["{{ 10**400 }}", "{{ 10**5000 }}", "{{ 1e999 }}", "{{ 1e308 * 10 }}", "{{ [-1e999] }}"]
)
def test_a_constant_that_is_too_large_is_a_fault(text: str) -> None:
    said = fault(text)
    assert said is not None
    assert "number" in said
    assert not any(words in said for words in OWN_WORDS)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 1e999 }}",
        "{{ large * large }}",
        "{{ float * float }}",
        "{{ [float * float] }}",
        "{{ {'a': -float * float} }}",
        "{{ large ** 20 ~ 'x' }}",
    ],
)
def test_an_expression_that_gives_a_number_that_is_too_large_is_refused(text: str) -> None:
    with pytest.raises(InvalidTemplate) as refused:
        render({"a": [text]}, NAMES, "step 'a'")
    assert refused.value.message.startswith("step 'a'.a[0]: ")
    assert "number" in refused.value.message
    assert not any(words in refused.value.message for words in OWN_WORDS)


def test_numbers_that_can_be_written_down_keep_their_type() -> None:
    found = render(
        ["{{ large }}", "{{ large / 10 }}", "{{ 12345678901234567890 }}", "{{ 1.5 }}", "{{ 7 // 2 }}"], NAMES, ""
    )
    assert found == [10**308, 1e307, 12345678901234567890, 1.5, 3]
    assert [type(one) for one in found] == [int, float, int, float, int]


def test_a_file_whose_name_is_no_text_is_refused_in_words() -> None:
    with pytest.raises(InvalidTemplate) as refused:
        make_bundle({"template.toml": HEAD.encode(), "caf\udce9.txt": b""})
    assert refused.value.message == "The name of the file 'caf\\udce9.txt' is not UTF-8 text."


@pytest.mark.parametrize(
    "content",
    [
        HEAD.encode() + b"# \xff",
        b"\xff",
        HEAD.encode("utf-16"),
        (HEAD + f"with = {{ a = {'9' * 5000} }}\n").encode(),
        (HEAD + f"with = {{ a = {{ b = [1, {'9' * 400}] }} }}\n").encode(),
        (HEAD + f'[parameters.p]\ntype = "integer"\ndefault = {"9" * 400}\n').encode(),
        (HEAD + f'[parameters.p]\ntype = "integer"\nmaximum = {"9" * 400}\n').encode(),
        (HEAD + "with = { a = 1e999 }\n").encode(),
        (HEAD + '[parameters.p]\ntype = "number"\ndefault = nan\n').encode(),
    ],
    ids=["comment", "byte", "utf-16", "digits", "option", "default", "maximum", "infinite", "nan"],
)
def test_a_template_that_is_no_text_or_holds_such_a_number_is_refused_in_words(content: bytes) -> None:
    [*problems] = DirectChecks(KINDS).template("", make_bundle({"template.toml": content}))
    assert problems
    assert not any(words in str(problem) for problem in problems for words in OWN_WORDS)
