"""What can be seen of a module without running tofu: its files, what it declares, and what it may not say."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from environments.domain.template import Bundle

_SUFFIXES = (".tf", ".tofu", ".tf.json", ".tofu.json")
_OURS = {
    "backend": "the state lies with the service",
    "cloud": "the state lies with the service",
    "encryption": "the service encrypts with the environment's key",
}
_NOISE = re.compile(
    r"""
    \#[^\n]* | //[^\n]*                                  # comments to the end of the line
    | /\*.*?\*/                                          # and longer ones
    | <<[-~]?\s*(?P<mark>\w+)[^\n]*\n.*?^\s*(?P=mark)\b  # heredocs
    | (?P<string>"(?:\\.|[^"\\\n])*")
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


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
        declared = {kind: _labels(kind, texts.values()) for kind in ("variable", "output")}
        for kind, asked in (("variable", variables), ("output", outputs)):
            for name in asked if isinstance(asked, Mapping | list | tuple) else ():
                if isinstance(name, str) and name not in declared[kind]:
                    yield f"the module declares no {kind} {name!r}"


def _labels(kind: str, texts: Any) -> set[str]:
    return {name for text in texts for name in re.findall(rf'^\s*{kind}\s+"?([\w-]+)"?\s*{{', text, re.MULTILINE)}


def _terraform_blocks(path: str, text: str) -> set[str]:
    """The names of the blocks and arguments directly inside of `terraform` blocks."""
    if path.endswith(".json"):
        try:
            told = json.loads(text)
        except ValueError:
            return set()
        inside = told.get("terraform", {}) if isinstance(told, dict) else {}
        return {name for found in (inside if isinstance(inside, list) else [inside]) for name in found}
    plain = _NOISE.sub(lambda found: '""' if found["string"] else " ", text)
    names: set[str] = set()
    depth, outer = 0, False
    for found in re.finditer(r'(?:(?P<name>[\w-]+)\s*(?:""\s*)*)?(?P<brace>[{}])|=\s*(?P<value>{)', plain):
        if found["brace"] == "}":
            depth -= 1
            continue
        if depth == 0:
            outer = found["name"] == "terraform"
        elif depth == 1 and outer and found["name"]:
            names.add(found["name"])
        depth += 1
    return names
