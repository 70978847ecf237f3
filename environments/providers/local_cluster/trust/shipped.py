"""The files that say what Consul, OpenBao and Nomad must have: policies as HCL, logins and roles as JSON.

The step `cluster.trust` makes its settings from them, and so does a person who sets up a cluster with the vendors' own
programs (docs/how-to/deploy-with-nomad.md). Words in capitals stand for what differs between clusters.
"""

import json
from pathlib import Path
from typing import Any

from environments.providers.local_cluster.trust.setting import NomadKeys

FOLDER = Path(__file__).parent / "files"

_KEYS_URL = "NOMAD_ADDR/.well-known/jwks.json"
_AUTHORITY = "NOMAD_CACERT"


def policy(name: str, **values: str) -> str:
    """A policy, with `values` in place of the words that name them."""
    text = (FOLDER / f"{name}.hcl").read_text(encoding="utf-8")
    for word, value in values.items():
        text = text.replace(word, value)
    return text


def settings(name: str, **values: str) -> dict[str, Any]:
    """A role, a key or a client, with `values` in place of the words that name them."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    for word, value in values.items():
        text = text.replace(word, json.dumps(value)[1:-1])
    found: dict[str, Any] = json.loads(text)
    return found


def login(name: str, keys: NomadKeys) -> dict[str, Any]:
    """A login that trusts the identities that a Nomad signs."""
    here = {_KEYS_URL: keys.url, _AUTHORITY: keys.authority}
    found = {key: here.get(value, value) if isinstance(value, str) else value for key, value in settings(name).items()}
    return {key: value for key, value in found.items() if value != ""}
