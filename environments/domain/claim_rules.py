"""What the claims of a provider decide: who may sign in, and which role on the service a rule gives.

A claim that did not come is not an empty one: a rule about it is undecided, which is not the same as not matched.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from environments.domain.cleaning import replace_unshown

RoleOfRule = Literal["admin", "auditor"]

_RANK = {"user": 0, "auditor": 1, "admin": 2}
_MOST_TOLD = 20
"""Values of a claim that a reason repeats."""

_LONGEST_TOLD = 100
"""Characters of a value that a reason repeats."""

_LONGEST_MATCHED = 2000
"""Characters of a claim that is compared with a pattern."""

_TOO_MANY = ("_claim_names", "hasgroups")
"""Claims with which a provider says that it left out groups, because a person has too many (OpenID Connect 5.6.2)."""


class Condition(BaseModel):
    """A claim has this value: a text, a number or a truth value that is equal, or a list that has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: Annotated[str, Field(min_length=1, max_length=200)]
    value: StrictBool | StrictInt | Annotated[StrictStr, Field(min_length=1, max_length=500)]

    @property
    def text(self) -> str:
        """The condition in words."""
        return f"{self.claim} has {_shown(self.value)}"


class RoleRule(Condition):
    """Whoever has this value of a claim has a role on the service."""

    role: RoleOfRule

    @property
    def text(self) -> str:
        """The rule in words."""
        return f"{super().text}: {self.role}"


@dataclass(frozen=True)
class RuleReport:
    """What became of one rule. `why`: why not, else empty. `undecided`: its claim did not come, or isn't readable."""

    text: str
    matched: bool
    why: str = ""
    undecided: bool = False


@dataclass(frozen=True)
class Judgement:
    """What the rules of a provider make of the claims of a person.

    `signs_in`: there are no conditions, or one of them is met. `role`: the highest of the rules that matched, else
    `user`. `role_undecided`: a rule that would give more couldn't be decided, because its claim did not come; the role
    that an earlier sign-in gave stays.
    """

    signs_in: bool
    conditions: tuple[RuleReport, ...]
    rules: tuple[RuleReport, ...]
    role: Literal["admin", "auditor", "user"]
    role_undecided: bool


def judge(
    claims: Mapping[str, object], conditions: Sequence[Condition], rules: Sequence[RoleRule], groups_claim: str = ""
) -> Judgement:
    """Evaluates conditions and rules. Of `groups_claim`, only a list counts: no text is taken for a group."""
    asked = tuple(_report(condition, claims, groups_claim) for condition in conditions)
    found = tuple(_report(rule, claims, groups_claim) for rule in rules)
    role: Literal["admin", "auditor", "user"] = "user"
    for rule, report in zip(rules, found, strict=True):
        if report.matched and _RANK[rule.role] > _RANK[role]:
            role = rule.role
    undecided = any(
        report.undecided and _RANK[rule.role] > _RANK[role] for rule, report in zip(rules, found, strict=True)
    )
    return Judgement(not asked or any(report.matched for report in asked), asked, found, role, undecided)


def groups_of(claims: Mapping[str, object], groups_claim: str) -> tuple[str, ...] | None:
    """The groups of a claim, sorted; None when it did not come, or is no list of texts."""
    value = claims.get(groups_claim)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return None
    return tuple(sorted({one for one in value if one.strip()}))


def judge_program(wanted: Mapping[str, str], claims: Mapping[str, object]) -> tuple[RuleReport, ...]:
    """Whether a token of a CI system is one of those that an entry allows: all reports have to match.

    `wanted`: claim → value, in which `*` stands for any characters but `/` and `:`, and `**` for any at all.
    """
    return tuple(_report_pattern(name, pattern, claims) for name, pattern in wanted.items())


def fits_pattern(text: str, pattern: str) -> bool:
    """Whether a text has the form of a pattern as in `judge_program`. Takes time in proportion to both lengths."""
    parts = re.findall(r"\*\*|\*|[^*]", pattern)
    places = _behind_stars({0}, parts)  # in the pattern, up to which the text so far can have come
    for character in text:
        after = set()
        for place in places:
            part = parts[place] if place < len(parts) else ""
            if part == "**" or (part == "*" and character not in "/:"):
                after.add(place)
            elif part == character and character != "*":
                after.add(place + 1)
        places = _behind_stars(after, parts)
        if not places:
            return False
    return len(parts) in places


def _behind_stars(places: set[int], parts: Sequence[str]) -> set[int]:
    found = set(places)
    for place in sorted(places):
        while place < len(parts) and parts[place] in ("*", "**"):
            place += 1
            found.add(place)
    return found


def _report_pattern(name: str, pattern: str, claims: Mapping[str, object]) -> RuleReport:
    text, value = f"{name} is {_shown(pattern)}", claims.get(name)
    if value is None:
        return RuleReport(text, False, f"the claim `{name}` did not come", undecided=True)
    if isinstance(value, dict | list):
        return RuleReport(text, False, f"`{name}` is {_shown(value)}, not a single value")
    plain = str(value).lower() if isinstance(value, bool) else str(value)
    if len(plain) <= _LONGEST_MATCHED and fits_pattern(plain, pattern):
        return RuleReport(text, True)
    return RuleReport(text, False, f"it is {_shown(value)}")


def _report(condition: Condition, claims: Mapping[str, object], groups_claim: str) -> RuleReport:
    name, wanted = condition.claim, condition.value
    text = condition.text
    if claims.get(name) is None:
        why = f"the claim `{name}` did not come"
        if name == groups_claim and any(sign in claims for sign in _TOO_MANY):
            why += ": the provider left the groups out, because the person has too many"
        return RuleReport(text, False, why, undecided=True)
    value = claims[name]
    if name == groups_claim and groups_of(claims, name) is None:
        why = "is not a list of texts only" if isinstance(value, list) else f"is {_kind(value)}, not a list"
        return RuleReport(text, False, f"`{name}` {why}", undecided=True)
    if isinstance(value, dict):
        return RuleReport(text, False, f"`{name}` is a table, not a value or a list", undecided=True)
    has = value if isinstance(value, list) else [value]
    if any(type(one) is type(wanted) and one == wanted for one in has):
        return RuleReport(text, True)
    if not has:
        return RuleReport(text, False, f"`{name}` is empty")
    told = ", ".join(_shown(one) for one in has[:_MOST_TOLD])
    more = f" and {len(has) - _MOST_TOLD} more" if len(has) > _MOST_TOLD else ""
    return RuleReport(text, False, f"it has {told}{more}, not {_shown(wanted)}")


def _kind(value: object) -> str:
    kinds = {str: "a text", bool: "a truth value", int: "a number", float: "a number", dict: "a table"}
    return kinds.get(type(value), "something else")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return f"`{replace_unshown(str(value), '�').replace(chr(10), ' ')[:_LONGEST_TOLD]}`"
