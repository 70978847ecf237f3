"""Values on the command line keep their bytes, going in and coming out; what can't be sent is refused in words."""

from environments.words import clean


def test_what_people_read_keeps_joined_characters_and_loses_control() -> None:
    assert clean("👩‍👩‍👧 🏴\U000e0067\U000e0062\U000e007f\u00a0\u3000\u200c") == (
        "👩‍👩‍👧 🏴\U000e0067\U000e0062\U000e007f\u00a0\u3000\u200c"
    )
    assert clean("a\tb\x1b[2J\x9b\u202e\u2066\u2028\ufeff\x7f") == "a b�[2J������"
