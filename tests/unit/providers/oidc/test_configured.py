"""The providers of a file that changes, and the built-in one."""

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from environments.domain.errors import InvalidInput, NotFound
from environments.providers.oidc import configured as configured_module
from environments.providers.oidc.configured import ConfiguredProviders
from environments.providers.oidc.provider import OidcProvider
from tests.support.identity_tokens import NOW
from tests.support.oidc_providers import settings_of


def text(*names: str, secret: str = "HIDDEN") -> str:
    return "".join(
        f"[[providers]]\nname = '{name}'\nissuer = 'https://{name}.example.net'\nclient_id = 'a'\n"
        f"client_secret = '{secret}'\n"
        for name in names
    )


def configured(path: Path | None) -> ConfiguredProviders:
    return ConfiguredProviders(path, lambda: NOW)


def names(providers: ConfiguredProviders) -> list[str]:
    return [provider.name for provider in providers.all()]


def test_without_a_file_the_built_in_provider_alone_is_there_once_it_is() -> None:
    found: list[OidcProvider] = []
    providers = ConfiguredProviders(None, lambda: NOW, lambda: found[0] if found else None)
    assert names(providers) == []
    found.append(OidcProvider(settings_of("https://calvinverse.example.net", name="openbao"), lambda: NOW))
    assert names(providers) == ["openbao"]
    assert providers.named("openbao") is found[0]
    assert (providers.fault(), list(providers.entries())) == ("", [])
    with pytest.raises(NotFound):
        providers.named("corp")


def test_the_file_is_read_again_and_what_did_not_change_keeps_what_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(text("one", "two"))
    providers = configured(path)
    one, two = providers.all()
    path.write_text(text("two") + text("three"))
    assert names(providers) == ["two", "three"]
    assert providers.named("two") is two
    path.write_text(text("one", "two", secret="another"))
    assert providers.named("two") is not two
    assert providers.named("one") is not one


@pytest.mark.parametrize("wrong", ["[[providers]]", "HIDDEN", "x" * 300_000, text("one", "one"), None])
def test_a_file_that_can_not_be_used_changes_nothing_and_is_told(
    tmp_path: Path, wrong: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(text("one"))
    providers = configured(path)
    if wrong is None:
        path.unlink()
    else:
        path.write_text(wrong)
    with capture_logs() as logs:
        monkeypatch.setattr(
            configured_module, "log", structlog.get_logger()
        )  # a logger that is used has its processors
        assert names(providers) == ["one"]
    assert "providers.toml" in providers.fault()
    assert [entry["event"] for entry in logs] == ["sign_in.providers_refused"]
    assert "HIDDEN" not in f"{providers.fault()} {logs}"
    path.write_text(text("one", "two"))
    assert (names(providers), providers.fault()) == (["one", "two"], "")


def test_a_service_does_not_start_with_a_file_that_can_not_be_used(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="can't be used"):
        configured(tmp_path / "missing.toml")
