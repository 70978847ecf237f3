"""Pushes the sources to a registry: a blob, and a manifest that references it.

The calls are those of the OCI distribution specification 1.1,
https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md, sections Push and Pull.
"""

import hashlib
import json

import httpx2

from jobs.errors import DispatchFailed

REPOSITORY = "calvinverse/source"
"""The repository from which the build agent reads sources."""

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
SOURCES = "application/vnd.calvinverse.source.v1.tar+gzip"

LIMIT = 60.0
"""Time limit in seconds of each call."""


def push_sources(registry: str, archive: bytes) -> str:
    """Pushes an archive to the registry (`host:port`) and returns its digest, `sha256:<hex>`. Raises DispatchFailed."""
    digest = _digest(archive)
    try:
        with httpx2.Client(base_url=f"http://{registry}", timeout=LIMIT, trust_env=False) as client:
            for blob in (archive, b"{}"):
                _push_blob(client, blob)
            manifest = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": SOURCES,
                "config": {"mediaType": EMPTY, "digest": _digest(b"{}"), "size": 2},
                "layers": [{"mediaType": SOURCES, "digest": digest, "size": len(archive)}],
            }
            tag = digest.removeprefix("sha256:")[:12]
            path = f"/v2/{REPOSITORY}/manifests/{tag}"
            answer = client.put(path, content=json.dumps(manifest).encode(), headers={"Content-Type": MANIFEST})
            answer.raise_for_status()
    except httpx2.HTTPError as error:
        raise DispatchFailed(f"The registry {registry} doesn't accept the sources: {error}.") from error
    return digest


def _push_blob(client: httpx2.Client, blob: bytes) -> None:
    digest = _digest(blob)
    if client.head(f"/v2/{REPOSITORY}/blobs/{digest}").status_code == 200:
        return
    begun = client.post(f"/v2/{REPOSITORY}/blobs/uploads/").raise_for_status()
    place = httpx2.URL(begun.headers["Location"])
    headers = {"Content-Type": "application/octet-stream"}
    client.put(place.copy_merge_params({"digest": digest}), content=blob, headers=headers).raise_for_status()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
