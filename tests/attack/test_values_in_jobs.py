"""Attack 2: what a person types reaches a job as typed, or not at all."""

import html
import json
import ssl
from typing import Any

import httpx2
import pytest

from tests.support.attack_harness import Person, Target

HOSTILE = [
    "${VAULT_TOKEN}",
    "$${VAULT_TOKEN}",
    "${meta.calvinverse_builds} ${attr.unique.hostname} ${node.datacenter}",
    '${NOMAD_SECRETS_DIR} %{ if true }x%{ endif } ${env["VAULT_TOKEN"]}',
    '{{ env "VAULT_TOKEN" }} [[ key "x" ]] <% env "VAULT_TOKEN" %>',
    "'\"`\\ \\n $HOME $(id) ${NOMAD_META_text}",
]
"""Each means something to somebody on its way."""


HARMLESS = 'plain "quoted" text, ünïcode, 100 %, $5 and {braces}'
"""Looks odd and means nothing to anybody: it has to arrive."""


def heard(target: Target, name: str) -> dict[str, Any]:
    """What the job says, in a file: Nomad may miss the output of a container that ends at once."""
    (text,) = target.written(name, "app", "said.json")
    said: dict[str, Any] = json.loads(text)
    return said


def refused_or_run(view: dict[str, Any]) -> bool:
    """Whether it ran; if not, it was refused in words."""
    if view["state"] == "ready":
        return True
    print(view["failure"])
    assert view["failure"]["code"] in ("invalid_job", "invalid_parameters"), view["failure"]
    return False


def test_the_page_of_the_shipped_template_shows_what_was_typed(target: Target, alice: Person) -> None:
    typed = "${VAULT_TOKEN}<b>"
    answer = alice.ask("values-web", "web", {"branch": typed, "message": '{{ env "VAULT_TOKEN" }} ${VAULT_TOKEN}'})
    if answer.status_code == 422:
        return
    try:
        view = alice.settled("values-web")
        if not refused_or_run(view):
            return
        authority = ssl.create_default_context(cadata=alice.http.get("/v1/ca").text)
        page = httpx2.get(view["outputs"]["url"]["value"], verify=authority, trust_env=False, timeout=60).text
        assert html.escape(typed) in page
        assert html.escape('{{ env "VAULT_TOKEN" }} ${VAULT_TOKEN}') in page
        assert "hvs." not in page
        assert "s." + "CAES" not in page
    finally:
        alice.destroy("values-web")


def test_what_means_nothing_is_not_refused(target: Target, mallory: Person) -> None:
    parameters = {"text": HARMLESS, "lines": [HARMLESS, "", "b"], "tree": {"a": HARMLESS}}
    try:
        mallory.made("values-plain", "attack-echo", parameters)
        said = heard(target, "values-plain")
        assert said["env"] == HARMLESS
        assert said["args"] == [HARMLESS, HARMLESS, "", "b"]
        assert json.loads(said["tree"]) == {"a": HARMLESS}
    finally:
        mallory.destroy("values-plain")


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_job_gets_what_was_typed(target: Target, mallory: Person, number: int) -> None:
    text = HOSTILE[number]
    parameters = {"text": text, "lines": ["a", text, f"{text}{text}"], "tree": {"a": text, "b": "plain"}}
    name = f"values-echo-{number}"
    answer = mallory.ask(name, "attack-echo", parameters)
    if answer.status_code == 422:
        return
    try:
        view = mallory.settled(name)
        if not refused_or_run(view):
            return
        said = heard(target, name)
        assert said["env"] == text
        assert said["args"] == [text, *parameters["lines"]]
        assert json.loads(said["list"]) == parameters["lines"]
        assert json.loads(said["tree"]) == parameters["tree"]
    finally:
        mallory.destroy(name)


HIDDEN = '(printf "secret/data/environments/%s/hidden" (env "NOMAD_NAMESPACE"))'
SECRET = f"{{{{ with secret {HIDDEN} }}}}SECRET={{{{ .Data.data.k }}}}{{{{ end }}}}"
INJECTED: dict[str, dict[str, Any]] = {
    "list": {"lines": [SECRET]},
    "text": {"text": json.dumps([SECRET])},
    "split": {"lines": ["{", '{ env "NOMAD_NAMESPACE" }', "}"]},
    "escaped": {"text": '["\\u007b\\u007b env \\"NOMAD_NAMESPACE\\" }}"]'},
}


@pytest.mark.parametrize("way", sorted(INJECTED))
def test_no_list_and_no_decoded_text_becomes_a_template(target: Target, mallory: Person, way: str) -> None:
    name = f"values-{way}"
    answer = mallory.ask(name, "attack-inject", INJECTED[way])
    if answer.status_code == 422:
        return
    try:
        view = mallory.settled(name)
        said = target.output(name, "app") + mallory.logs(name) + json.dumps(view)
        found = target.part("vault", "GET", f"/v1/secret/data/environments/{name}/hidden")
        if found is not None:
            assert found["data"]["data"]["k"] not in said
        assert f"env {name}" not in said
        for stream in target.output(name, "app").splitlines():
            if stream.startswith(("A:", "B:")):
                assert name not in stream
    finally:
        mallory.destroy(name)
