"""The payloads of webhooks that tests use are complete, and hold nothing of the machines that they come from."""

import json
import re

import pytest

from tests.support.webhook_payloads import FOLDER, FORGES, payload, payloads, signatures

EVERY_FORGE = {
    "comment",
    "pull_request_closed",
    "pull_request_edited",
    "pull_request_labelled",
    "pull_request_merged",
    "pull_request_opened",
    "pull_request_opened_draft",
    "pull_request_opened_fork",
    "pull_request_reopened",
    "pull_request_synchronized",
    "pull_request_unlabelled",
    "push",
    "push_created",
    "push_tag",
}

HOST = re.compile(r"https?://([^/\"\s]+)")
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|localhost")


@pytest.mark.parametrize("forge", FORGES)
def test_what_every_forge_tells_is_there_for_each(forge: str) -> None:
    assert set(payloads(forge)) >= EVERY_FORGE


def test_every_folder_belongs_to_a_forge() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == set(FORGES)


@pytest.mark.parametrize(("forge", "name"), [(forge, name) for forge in FORGES for name in payloads(forge)])
def test_a_payload_names_no_real_host_and_keeps_no_secret(forge: str, name: str) -> None:
    text = (FOLDER / forge / f"{name}.json").read_text()
    assert set(HOST.findall(text)) <= {"forge.example", "calvinverse.example"}
    assert not ADDRESS.findall(text)
    assert set(json.loads(text)) == {"headers", "body"}
    assert not {
        header for header in payload(forge, name).headers if re.search("signature|token|authorization", header, re.I)
    }


@pytest.mark.parametrize("forge", FORGES)
def test_deliveries_of_a_forge_have_ids_of_their_own(forge: str) -> None:
    header = "X-Gitlab-Event-UUID" if forge == "gitlab" else f"X-{forge.title().replace('Github', 'GitHub')}-Delivery"
    ids = [payload(forge, name).headers[header] for name in payloads(forge)]
    assert len(set(ids)) == len(ids)


def test_signatures_are_those_of_the_published_examples() -> None:
    # GitHub's documentation has this secret, this payload and this result.
    found = signatures("github", "It's a Secret to Everybody", b"Hello, World!")
    expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert found["X-Hub-Signature-256"] == f"sha256={expected}"
    assert signatures("gitea", "It's a Secret to Everybody", b"Hello, World!")["X-Gitea-Signature"] == expected
    assert signatures("forgejo", "It's a Secret to Everybody", b"Hello, World!")["X-Forgejo-Signature"] == expected
    assert signatures("gitlab", "secret", b"Hello, World!") == {"X-Gitlab-Token": "secret"}
