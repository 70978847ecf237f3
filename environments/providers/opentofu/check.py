"""Faults of a module that can be found without running tofu: syntax, blocks, names, and the options of the step."""

from collections.abc import Iterator, Mapping
from posixpath import join, normpath
from typing import Any

from environments.domain.faults import Fault, meant
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.providers.nomad.check import value_faults
from environments.providers.opentofu.rules import module_faults, module_files
from environments.service.shapes import ANYTHING, Gone, Shape, table
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import Block, parse
from environments.steps.hcl.types import declared_type, default_fits, wanted

_LABELS = {
    "check": 1,
    "data": 2,
    "ephemeral": 2,
    "import": 0,
    "locals": 0,
    "module": 1,
    "moved": 0,
    "output": 1,
    "provider": 1,
    "removed": 0,
    "resource": 2,
    "terraform": 0,
    "variable": 1,
}
"""The blocks at the top of a file, and how many labels each has."""

_OWN = (".tf", ".tofu")


def module_check(folder: str, options: Mapping[str, Any], bundle: Bundle, template: Template) -> Iterator[Fault]:
    """Faults of the module in a folder of a template, and of what a step gives to it."""
    files = module_files(bundle, folder)
    if not files:
        folders = {path.rpartition("/")[0] for path in bundle.files} - {""}
        message = f"the template has no folder {folder!r}"
        yield Fault(path=("with", "folder"), message=message, suggestion=meant(folder, folders))
        return
    for problem in module_faults(files, {}, []):
        yield Fault(path=("with", "folder"), message=problem)
    sources = _sources(folder, files)
    broken = [fault for source in sources for fault in source.syntax()]
    yield from broken
    if broken or not sources or _has_json(files):
        return
    yield from _blocks(sources)
    yield from _declarations(sources)
    yield from _names(sources)
    yield from _modules(sources, files)
    yield from _given(sources, options, template)


def module_outputs(options: Mapping[str, Any], bundle: Bundle) -> Shape:
    """What a step gives: the outputs of its module that aren't sensitive."""
    folder = options.get("folder")
    files = module_files(bundle, folder) if isinstance(folder, str) else {}
    sources = _sources(folder, files) if isinstance(folder, str) else []
    if not sources or _has_json(files) or any(source.tree.problems for source in sources):
        return ANYTHING
    wanted = options.get("outputs")
    found: dict[str, Shape] = {}
    for output in _declared(sources, "output").values():
        name = output.labels[0]
        sensitive = output.body.attribute("sensitive")
        if isinstance(wanted, list) and name not in wanted:
            found[name] = Gone(why="is not given on by the step", suggestion=f'add "{name}" to its option outputs')
        elif sensitive is not None and sensitive.word == "true":
            found[name] = Gone(why="is sensitive, and such outputs of a module are not given on")
        else:
            found[name] = ANYTHING
    return table(found)


def _sources(folder: str, files: Mapping[str, bytes]) -> list[Source]:
    return [
        Source(normpath(join(folder, path)), parse(content.decode(errors="replace")))
        for path, content in sorted(files.items())
        if "/" not in path and path.endswith(_OWN)
    ]


def _has_json(files: Mapping[str, bytes]) -> bool:
    return any("/" not in path and path.endswith((".tf.json", ".tofu.json")) for path in files)


def _declared(sources: list[Source], kind: str) -> dict[str, Block]:
    return {
        block.labels[0]: block for source in sources for block in source.tree.body.of(kind) if len(block.labels) == 1
    }


def _blocks(sources: list[Source]) -> Iterator[Fault]:
    for source in sources:
        for block in source.tree.body.blocks:
            labels = _LABELS.get(block.kind)
            if labels is None:
                message = f"there is no block {block.kind!r} at the top of a module's file"
                yield source.fault(block.at, message, meant(block.kind, _LABELS))
            elif labels != len(block.labels):
                yield source.fault(block.at, f"a block {block.kind!r} has {labels or 'no'} name{'s' * (labels != 1)}")
        for attribute in source.tree.body.attributes:
            yield source.fault(attribute.at, f"{attribute.name!r} stands outside of any block")


_ARGUMENTS = {
    "variable": frozenset({"type", "default", "description", "sensitive", "nullable", "ephemeral", "deprecated"}),
    "output": frozenset({"value", "description", "sensitive", "depends_on", "ephemeral", "deprecated"}),
}


def _declarations(sources: list[Source]) -> Iterator[Fault]:
    """What is wrong with variables and outputs themselves."""
    for source in sources:
        for block in source.tree.body.of(*_ARGUMENTS):
            name, known = " ".join(block.labels), _ARGUMENTS[block.kind]
            for attribute in block.body.attributes:
                if attribute.name not in known:
                    message = f"there is no argument {attribute.name!r} in a block {block.kind!r}"
                    yield source.fault(attribute.at, message, meant(attribute.name, known))
            default = block.body.attribute("default")
            if block.kind == "output" and block.body.attribute("value") is None:
                yield source.fault(block.at, f"the output {name!r} has no value")
            elif default is not None and not default_fits(block):
                wanted_type = wanted(declared_type(block))
                yield source.fault(default.at, f"the default of the variable {name!r} must be {wanted_type}")


def _names(sources: list[Source]) -> Iterator[Fault]:
    known = {
        "var": frozenset(_declared(sources, "variable")),
        "module": frozenset(_declared(sources, "module")),
        "local": frozenset(
            attribute.name
            for source in sources
            for block in source.tree.body.of("locals")
            for attribute in block.body.attributes
        ),
    }
    noun = {"var": "variable", "module": "module", "local": "local value"}
    for source in sources:
        yield from source.undeclared(known, noun)


def _modules(sources: list[Source], files: Mapping[str, bytes]) -> Iterator[Fault]:
    """Modules inside of the module, which must be in its folder."""
    folders = {path.rpartition("/")[0] for path in files} - {""}
    for source in sources:
        for block in source.tree.body.of("module"):
            attribute = block.body.attribute("source")
            written = None if attribute is None else attribute.text
            if attribute is None:
                yield source.fault(block.at, f"the module {' '.join(block.labels)!r} has no source")
            elif written is not None and written.startswith("./") and normpath(written) not in folders:
                near = meant(normpath(written), folders, written="./{}")
                yield source.fault(attribute.at, f"the module has no folder {written!r}", near)
            elif written is not None and written.startswith("../"):
                yield source.fault(attribute.at, f"{written!r} is outside of the module's folder")


def _given(sources: list[Source], options: Mapping[str, Any], template: Template) -> Iterator[Fault]:
    variables, outputs = _declared(sources, "variable"), _declared(sources, "output")
    given = options.get("variables", {})
    if isinstance(given, Mapping):
        for name, value in given.items():
            path = ("with", "variables", str(name))
            if name not in variables:
                message = f"with.variables.{name}: the module declares no variable {name!r}"
                yield Fault(path=path, message=message, suggestion=meant(str(name), variables.keys() - given.keys()))
            else:
                yield from value_faults(path, name, value, variables[name], template)
        for source in sources:
            for block in source.tree.body.of("variable"):
                name = " ".join(block.labels)
                if name not in given and block.body.attribute("default") is None:
                    message = f"the variable {name!r} has no default, and the step gives it no value"
                    yield source.fault(block.at, message, meant(name, given))
    asked = options.get("outputs")
    for number, name in enumerate(asked if isinstance(asked, list) else ()):
        if isinstance(name, str) and "{{" not in name and name not in outputs:
            message = f"with.outputs[{number}]: the module declares no output {name!r}"
            yield Fault(path=("with", "outputs", number), message=message, suggestion=meant(name, outputs))
