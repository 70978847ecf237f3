"""OpenID providers of a deployment: their file goes to OpenBao, and the service's job reads it there."""

from pathlib import Path

import pytest

from environments.domain.errors import InvalidInput
from jobs.identity_providers import provider_parameters
from jobs.meta_template import meta_bundle
from tests.unit.jobs.test_edge import variables

PROVIDERS = """
[[providers]]
name = "corp"
issuer = "https://id.example.net"
client_id = "calvinverse"
client_secret = "hidden"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "providers.toml").write_text(PROVIDERS)
    return tmp_path / "providers.toml"


def test_without_providers_nothing_in_the_template_is_of_them() -> None:
    bundle = meta_bundle()
    assert "identity-providers.toml" not in bundle.files
    assert not [step.name for step in bundle.template().steps if "identity" in step.name]
    assert bundle.template().secret_parameters() == frozenset()
    assert variables("provisioning")["providers"] is False


def test_with_providers_their_file_is_a_secret() -> None:
    template = meta_bundle(providers=True).template()
    step = template.step("identity-providers")
    assert (step.uses, step.options) == ("vault.secret", {"from_parameters": {"file": "identity_providers"}})
    assert template.secret_parameters() == {"identity_providers"}


def test_providers_stay_until_they_are_removed(file: Path) -> None:
    assert provider_parameters(str(file), None) == {"providers": True, "identity_providers": PROVIDERS}
    assert provider_parameters("", {"providers": True}) == {"providers": True}
    assert provider_parameters("none", {"providers": True}) == {"providers": False}
    assert provider_parameters("", None) == provider_parameters("", {}) == {"providers": False}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('client_secret = "hidden"', 'client_secret_file = "corp.secret"', "client_secret_file"),
        ('client_secret = "hidden"', 'client_secret = "hidden"\nca_file = "corp.pem"', "ca_file"),
        ('client_secret = "hidden"', 'client_secret = "hidden"\nca = "no PEM"', "no certificate in PEM"),
        ("https://id", "http://id", "issuer"),
    ],
)
def test_a_file_that_can_not_be_used_is_refused_before_anything_is_changed(
    file: Path, before: str, after: str, told: str
) -> None:
    file.write_text(PROVIDERS.replace(before, after))
    with pytest.raises(InvalidInput, match=told) as refused:
        provider_parameters(str(file), None)
    assert "hidden" not in refused.value.message
