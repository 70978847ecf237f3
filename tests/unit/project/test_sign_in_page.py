"""The examples of docs/how-to/sign-in.md are what the service takes."""

import re
from pathlib import Path

from environments.domain.claim_rules import judge
from environments.identity_settings import ALGORITHMS, USERNAME_CLAIMS, ProviderSettings, read_identity_settings
from tests.support.docs_reference import CHECKOUT

PAGE = (CHECKOUT / "docs" / "how-to" / "sign-in.md").read_text(encoding="utf-8")
FILE, HOSTS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def read(folder: Path, text: str) -> ProviderSettings:
    (folder / "providers.toml").write_text(text)
    (provider,) = read_identity_settings(folder / "providers.toml").providers
    return provider


def test_the_file_of_providers_can_be_used(tmp_path: Path) -> None:
    provider = read(tmp_path, FILE)
    assert provider.client_secret_file == tmp_path / "corp.secret"
    judged = judge({"groups": ["staff", "ops"]}, provider.sign_in, provider.rules, provider.groups_claim)
    assert (judged.signs_in, judged.role) == (True, "admin")
    judged = judge({"groups": ["others"], "department": "internal audit"}, provider.sign_in, provider.rules, "groups")
    assert (judged.signs_in, judged.role) == (False, "auditor")


def test_hosts_can_be_added(tmp_path: Path) -> None:
    table, rules = FILE.split("[[providers.rules]]", 1)
    assert read(tmp_path, f"{table}{HOSTS}[[providers.rules]]{rules}").hosts == (
        "tokens.example.net",
        "keys.example.net:8443",
    )


def test_every_key_and_its_default_are_told() -> None:
    rows = re.findall(r"^\| (`\w+`[^|]*) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    keys = set(re.findall(r"`(\w+)`", " ".join(names for names, _ in rows)))
    assert set(ProviderSettings.model_fields) - {"title"} <= keys
    told = dict(rows)
    assert re.findall(r"`(\w+)`", told["`algorithms`"]) == list(ALGORITHMS)
    assert re.findall(r"`(\w+)`", told["`username_claims`"]) == list(USERNAME_CLAIMS)
