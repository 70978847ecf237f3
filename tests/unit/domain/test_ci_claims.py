"""Rules about tokens of CI systems: none without a pinned repository, project or owner, none for a shared audience."""

import pytest

from environments.domain.ci_claims import check_audience, check_pinned

GITHUB = "https://token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    "claims",
    [
        {"repository_id": "123456"},
        {"repository_owner_id": "42", "ref": "refs/heads/main"},
        {"project_id": "7", "ref_protected": "true"},
        {"repository": "acme/shop"},
        {"repository": "acme/*"},
        {"project_path": "acme/**"},
        {"namespace_path": "acme/tools"},
        {"repository_owner": "acme"},
        {"sub": "repo:acme/shop:ref:refs/heads/main"},
        {"sub": "repo:acme@42/shop@123456:**"},
        {"sub": "repository_owner_id:42:**"},
        {"sub": "project_path:acme/shop:ref_type:branch:ref:main"},
    ],
    ids=str,
)
def test_a_rule_pins_by_an_id_or_by_the_first_part_of_a_name(claims: dict[str, str]) -> None:
    check_pinned(claims)


@pytest.mark.parametrize(
    "claims",
    [
        {"ref": "refs/heads/main"},
        {"environment": "production", "event_name": "push"},
        {"job_workflow_ref": "acme/workflows/.github/workflows/deploy.yml@refs/heads/main"},  # anybody may call it
        {"repository_id": "12*"},
        {"repository_id": "*"},
        {"repository": "acme*/shop"},  # and acme-of-somebody-else/shop
        {"repository": "**/shop"},
        {"repository": "acme"},
        {"repository_owner": "acme*"},
        {"project_path": "*/shop"},
        {"namespace_path": "acme**"},
        {"sub": "**"},
        {"sub": "repo:acme*/shop:ref:refs/heads/main"},
        {"sub": "repo:**"},
        {"sub": "ref:refs/heads/main"},
        {"sub": "**:ref:refs/heads/main"},
        {"actor": "ada"},
    ],
    ids=str,
)
def test_a_rule_that_others_could_meet_is_refused(claims: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no claim pins a repository"):
        check_pinned(claims)


def test_an_audience_that_tokens_for_other_services_have_is_refused() -> None:
    check_audience(GITHUB, "https://calvinverse.example")
    check_audience(GITHUB, "calvinverse")
    check_audience("https://gitlab.example", "https://calvinverse.example")
    for issuer, audience in (
        (GITHUB, "https://github.com/acme"),
        ("https://gitlab.example", "https://gitlab.example"),
        ("https://gitlab.example", "https://GITLAB.example/"),
    ):
        with pytest.raises(ValueError, match="by default"):
            check_audience(issuer, audience)
