"""What the claims of a provider decide, and why a rule doesn't match."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.claim_rules import Condition, RoleRule, fits_pattern, groups_of, judge, judge_program

OPS = RoleRule(claim="groups", value="ops", role="admin")
AUDIT = RoleRule(claim="department", value="audit", role="auditor")
STAFF = Condition(claim="groups", value="staff")


def why(claims: dict[str, object], rule: RoleRule = OPS) -> str:
    (report,) = judge(claims, (), (rule,), "groups").rules
    assert report.matched == (not report.why)
    return report.why


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"groups": ["dev", "ops"]}, ""),
        ({"groups": ["dev", "qa"]}, "it has `dev`, `qa`, not `ops`"),
        ({"groups": ["OPS"]}, "it has `OPS`, not `ops`"),
        ({"groups": ["/ops"]}, "it has `/ops`, not `ops`"),
        ({"groups": []}, "`groups` is empty"),
        ({}, "the claim `groups` did not come"),
        ({"groups": None}, "the claim `groups` did not come"),
        ({"Groups": ["ops"]}, "the claim `groups` did not come"),
        ({"_claim_names": {"groups": "src1"}}, "the claim `groups` did not come: the provider left the groups out, "
         "because the person has too many"),
        ({"groups": "ops"}, "`groups` is a text, not a list"),
        ({"groups": "dev ops"}, "`groups` is a text, not a list"),
        ({"groups": {"ops": True}}, "`groups` is a table, not a list"),
        ({"groups": ["ops", 1]}, "`groups` is not a list of texts only"),
        ({"groups": True}, "`groups` is a truth value, not a list"),
    ],
)  # fmt: skip
def test_it_is_told_why_a_rule_about_groups_does_not_match(claims: dict[str, object], reason: str) -> None:
    assert why(claims) == reason


@pytest.mark.parametrize(
    ("value", "wanted", "reason"),
    [
        ("audit", "audit", ""),
        (["x", "audit"], "audit", ""),
        ("auditing", "audit", "it has `auditing`, not `audit`"),
        (True, True, ""),
        (7, 7, ""),
        ("true", True, "it has `true`, not `true`"),
        (1, True, "it has `1`, not `true`"),
        (True, 1, "it has `true`, not `1`"),
        ("7", 7, "it has `7`, not `7`"),
        ({"a": "audit"}, "audit", "`department` is a table, not a value or a list"),
        (["a\nb\x1b[31m"], "audit", "it has `a b�[31m`, not `audit`"),
    ],
)
def test_other_claims_are_values_or_lists(value: object, wanted: object, reason: str) -> None:
    rule = RoleRule.model_validate({"claim": "department", "value": wanted, "role": "auditor"})
    assert why({"department": value}, rule) == reason


def test_a_long_claim_is_told_in_part() -> None:
    told = why({"groups": [f"team-{n}" for n in range(500)]})
    assert told.endswith("`team-19` and 480 more, not `ops`")
    assert len(why({"groups": ["a" * 10_000]})) < 200


def test_the_highest_role_of_the_rules_that_match_counts() -> None:
    judged = judge({"groups": ["ops"], "department": "audit"}, (), (AUDIT, OPS), "groups")
    assert (judged.role, judged.role_undecided, judged.signs_in) == ("admin", False, True)
    assert [report.text for report in judged.rules] == ["department has `audit`: auditor", "groups has `ops`: admin"]
    assert judge({"groups": []}, (), (OPS,), "groups").role == "user"


@pytest.mark.parametrize(
    ("claims", "role", "undecided"),
    [
        ({}, "user", True),
        ({"groups": "ops"}, "user", True),
        ({"groups": []}, "user", True),
        ({"groups": [], "department": "x"}, "user", False),
        ({"department": "audit"}, "auditor", True),
        ({"groups": ["ops"]}, "admin", False),
        ({"groups": ["dev"], "department": "audit"}, "auditor", False),
    ],
)
def test_a_claim_that_did_not_come_leaves_the_role_undecided(
    claims: dict[str, object], role: str, undecided: bool
) -> None:
    judged = judge(claims, (), (OPS, AUDIT), "groups")
    assert (judged.role, judged.role_undecided) == (role, undecided)


def test_one_condition_is_enough_to_sign_in_and_none_lets_everybody_in() -> None:
    conditions = (STAFF, Condition(claim="groups", value="guests"))
    assert judge({"groups": ["guests"]}, conditions, (), "groups").signs_in
    assert not judge({"groups": ["other"]}, conditions, (), "groups").signs_in
    assert not judge({}, conditions, (), "groups").signs_in, "what did not come is not met"
    assert judge({}, (), (), "groups").signs_in


def test_groups_that_did_not_come_are_not_empty() -> None:
    assert groups_of({"groups": ["b", "a", "b", " "]}, "groups") == ("a", "b")
    assert groups_of({"groups": []}, "groups") == ()
    others: list[dict[str, object]] = [{}, {"groups": None}, {"groups": "a"}, {"groups": [1]}, {"groups": {}}]
    for claims in others:
        assert groups_of(claims, "groups") is None


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("acme/shop", "acme/shop", True),
        ("acme/shop", "acme/shop2", False),
        ("acme/*", "acme/shop", True),
        ("acme/*", "acme/a/b", False),
        ("acme/*", "acme-evil/shop", False),
        ("acme*", "acme/shop", False),
        ("refs/heads/**", "refs/heads/feature/x", True),
        ("refs/heads/*", "refs/heads/feature/x", False),
        ("*", "", True),
        ("*", "a:b", False),
        ("**", "a:b/c", True),
        ("a**b*c", "aXX/XbYc", True),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop:ref:refs/heads/main", True),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop:ref:refs/heads/x:ref:refs/heads/main", False),
        ("a.c", "abc", False),
        ("*", "*", True),
        ("a*", "a*", True),
    ],
)
def test_patterns(pattern: str, text: str, fits: bool) -> None:
    assert fits_pattern(text, pattern) == fits


@given(st.text("ab/:*", max_size=12), st.text("ab/:*", max_size=12))
def test_patterns_are_those_of_an_expression(text: str, pattern: str) -> None:
    if "***" in pattern:
        return
    parts = re.findall(r"\*\*|\*|[^*]", pattern)
    expression = "".join({"**": ".*", "*": "[^/:]*"}.get(part, re.escape(part)) for part in parts)
    assert fits_pattern(text, pattern) == (re.fullmatch(expression, text) is not None)


def test_a_long_claim_takes_no_long_time() -> None:
    assert not fits_pattern("a" * 2000, "**a**a**a**a**b")


def test_every_claim_of_an_entry_has_to_fit() -> None:
    wanted = {"repository": "acme/*", "ref": "refs/heads/main", "ref_protected": "true"}
    claims = {"repository": "acme/shop", "ref": "refs/heads/main", "ref_protected": True}
    assert all(report.matched for report in judge_program(wanted, claims))
    reports = judge_program(wanted, {"repository": "evil/shop", "ref": ["refs/heads/main"]})
    assert [report.why for report in reports] == [
        "it is `evil/shop`",
        "`ref` is a list, not a single value",
        "the claim `ref_protected` did not come",
    ]
    assert not judge_program({"a": "**"}, {"a": "x" * 2001})[0].matched
