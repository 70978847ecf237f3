"""Rules for a module that need no run of tofu: its files, its declarations, and blocks that it must not have."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from environments.domain.template import Bundle
from environments.steps.hcl.tree import Block, parse

_SUFFIXES = (".tf", ".tofu", ".tf.json", ".tofu.json")
_OURS = {
    "backend": "the state lies with the service",
    "cloud": "the state lies with the service",
    "encryption": "the service encrypts with the environment's key",
}


def module_files(bundle: Bundle, folder: str) -> dict[str, bytes]:
    """The files below a folder of a template, by their path in it; empty if there is no such folder."""
    prefix = "" if folder in ("", ".") else folder.strip("/") + "/"
    return {path[len(prefix) :]: content for path, content in bundle.files.items() if path.startswith(prefix)}


def module_faults(files: Mapping[str, bytes], variables: Any, outputs: Any) -> Iterator[str]:
    """What is wrong with a module, in words. `variables` and `outputs` are the raw options of the step."""
    own = {path: content for path, content in files.items() if "/" not in path and path.endswith(_SUFFIXES)}
    if not own:
        yield "the folder of the module holds no *.tf file"
        return
    for path in files:
        if path.startswith((".terraform/", "calvinverse", ".calvinverse")) or path == "terraform.tfstate":
            yield f"the module may hold no file {path!r}"
    texts = {path: content.decode(errors="replace") for path, content in own.items()}
    for path, text in texts.items():
        for block in sorted(_terraform_blocks(path, text) & _OURS.keys()):
            yield f"{path}: the module may have no {block!r} block: {_OURS[block]}"
    if all(path.endswith((".tf", ".tofu")) for path in own):
        told = [block for text in texts.values() for block in parse(text).body.blocks]
        declared = {kind: _labels(kind, told) for kind in ("variable", "output")}
        for kind, asked in (("variable", variables), ("output", outputs)):
            for name in asked if isinstance(asked, Mapping | list | tuple) else ():
                if isinstance(name, str) and name not in declared[kind]:
                    yield f"the module declares no {kind} {name!r}"


def _labels(kind: str, found: Iterable[Block]) -> set[str]:
    return {block.labels[0] for block in found if block.kind == kind and len(block.labels) == 1}


def _terraform_blocks(path: str, text: str) -> set[str]:
    """The names of the blocks directly inside of `terraform` blocks; in JSON also those of arguments."""
    if path.endswith(".json"):
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            return set()
        inside = told.get("terraform", {}) if isinstance(told, dict) else {}
        parts = inside if isinstance(inside, list) else [inside]
        return {str(name) for part in parts if isinstance(part, Mapping) for name in part}
    return {inner.kind for block in parse(text).body.of("terraform") for inner in block.body.blocks}
