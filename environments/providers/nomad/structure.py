"""Finds unknown blocks and arguments in a job file, and values that they can't have."""

import re
from collections.abc import Iterator

from environments.domain.faults import Fault, meant
from environments.providers.nomad.schema import CHOICES, DRIVERS, FREE, KINDS, NEEDED, PLUGINS, REQUIRED, Kind
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tokens import Kind as Sort
from environments.steps.hcl.tree import Attribute, Block, Body

_DURATION = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
"""Go's `time.ParseDuration`."""

_NUMBER = re.compile(r"\s*-?\d+(\.\d+)?([eE][+-]?\d+)?\s*")
_ANYTHING = frozenset({"locals", "variables"})


def structure_faults(source: Source) -> Iterator[Fault]:
    """All faults of the file."""
    waiting: list[tuple[Body, str, Block | None]] = [(source.tree.body, "file", None)]
    while waiting:
        body, name, around = waiting.pop()
        if name == FREE or name in _ANYTHING:
            continue
        kind = KINDS[name]
        where = "at the top of a job file" if around is None else f"in a block {around.kind!r}"
        yield from _arguments(source, body, kind, name, where)
        needed = NEEDED.get(name)
        if around is not None and needed is not None and body.attribute(needed) is None:
            yield source.fault(around.at, f"a block {name!r} needs the argument {needed!r}")
        if name == "task":
            yield from _driver(source, body, around)
        for block in body.blocks:
            inner, inside = _inner(block)
            known = kind.blocks.get(inner)
            if known is None:
                yield _unknown_block(source, block, inner, kind, where)
                continue
            if inside is not None:
                yield from _labels(source, block, inner, known)
                waiting.append((inside, known, block))


def _inner(block: Block) -> tuple[str, Body | None]:
    """The kind of the block and its content; for a `dynamic` block, those of the blocks that it generates."""
    if block.kind != "dynamic" or len(block.labels) != 1:
        return block.kind, block.body
    content = next(block.body.of("content"), None)
    return block.labels[0], None if content is None else content.body


def _arguments(source: Source, body: Body, kind: Kind, name: str, where: str) -> Iterator[Fault]:
    seen: dict[str, Attribute] = {}
    for attribute in body.attributes:
        if attribute.name in seen:
            yield source.fault(attribute.at, f"the argument {attribute.name!r} is given twice {where}")
        seen[attribute.name] = attribute
        form = kind.arguments.get(attribute.name)
        if form is not None:
            yield from _value(source, attribute, form, CHOICES.get((name, attribute.name)))
        elif attribute.name in kind.blocks:
            message = f"{attribute.name!r} is a block {where}, not an argument: remove the equals sign"
            yield source.fault(attribute.at, message)
        else:
            suggestion = meant(attribute.name, {*kind.arguments, *kind.blocks}) or _elsewhere(attribute.name, kind)
            yield source.fault(attribute.at, f"there is no argument {attribute.name!r} {where}", suggestion)


def _unknown_block(source: Source, block: Block, name: str, kind: Kind, where: str) -> Fault:
    if name in kind.arguments:
        return source.fault(block.at, f"{name!r} is an argument {where}, not a block: write `{name} = …`")
    suggestion = meant(name, {*kind.blocks, *kind.arguments}) or _elsewhere(name, kind)
    return source.fault(block.at, f"there is no block {name!r} {where}", suggestion)


def _elsewhere(name: str, kind: Kind) -> str:
    """A suggestion for an argument or block that belongs one level deeper."""
    for inner, known in kind.blocks.items():
        if known != FREE and name in {*KINDS[known].arguments, *KINDS[known].blocks}:
            return f'it belongs in a block "{inner}"'
    return ""


def _labels(source: Source, block: Block, name: str, known: str) -> Iterator[Fault]:
    wanted = 0 if known == FREE else KINDS[known].labels
    if block.kind == name and len(block.labels) != wanted:
        needs = "has no name" if wanted == 0 else f'needs one name: {name} "<name>" {{'
        yield source.fault(block.at, f"a block {name!r} {needs}")


def _value(source: Source, attribute: Attribute, form: str, choices: tuple[str, ...] | None) -> Iterator[Fault]:
    text, word = attribute.text, attribute.word
    given = text if text is not None else word
    if given is None:
        first = attribute.tokens[0] if attribute.tokens else None
        listed = first is not None and first.kind is Sort.SIGN and first.text in ("[", "{")
        if listed and form in "nbds" and attribute.tokens[-1].text in ("]", "}"):
            yield source.fault(attribute.at, f"{attribute.name!r} must be {_FORMS[form]}")
        return
    if word is not None and (word == "null" or not (word[-1].isdigit() or word in ("true", "false"))):
        return
    wrong = {
        "n": word in ("true", "false") or (text is not None and not _NUMBER.fullmatch(text)),
        "b": given not in ("true", "false"),
        "d": word in ("true", "false") or (text is not None and not _DURATION.fullmatch(text)),
        "l": True,
    }.get(form, False)
    if wrong:
        yield source.fault(attribute.at, f"{attribute.name!r} must be {_FORMS[form]}, not {given[:80]!r}")
    elif choices is not None and text and text not in choices and "${" not in text:
        # An empty text means the default everywhere.
        told = ", ".join(repr(choice) for choice in choices)
        yield source.fault(
            attribute.at, f"{attribute.name!r} can't be {text[:80]!r}; there are {told}", meant(text, choices)
        )


_FORMS = {
    "n": "a number",
    "b": "true or false",
    "d": 'a duration such as "30s" or "5m"',
    "l": "a list",
    "s": "a text",
}


def _driver(source: Source, body: Body, task: Block | None) -> Iterator[Fault]:
    driver = body.attribute("driver")
    if driver is None:
        if task is not None and task.kind == "task":
            yield source.fault(task.at, f"the task {' '.join(task.labels)!r} has no driver")
        return
    name = driver.text
    if name is None:
        return
    if name not in DRIVERS:
        if suggestion := "" if name in PLUGINS else meant(name, {*DRIVERS, *PLUGINS}):
            yield source.fault(driver.at, f"there is no driver {name!r}", suggestion)
        elif name not in PLUGINS:
            yield source.fault(
                driver.at,
                f"the driver {name!r} does not come with Nomad; a node must have it as a plugin",
                warning=True,
            )
        return
    yield from _config(source, body, name, task)


def _config(source: Source, body: Body, driver: str, task: Block | None) -> Iterator[Fault]:
    known = DRIVERS[driver]
    configs = list(body.of("config"))
    for config in configs:
        inner = [(found.name, found.at) for found in config.body.attributes]
        inner += [(_inner(block)[0], block.at) for block in config.body.blocks]
        for name, at in inner:
            if name not in known:
                yield source.fault(at, f"the driver {driver!r} has no option {name!r}", meant(name, known))
    needed = REQUIRED.get(driver)
    given = {found.name for config in configs for found in config.body.attributes}
    if needed is not None and needed not in given and body.attribute("config") is None:
        at = configs[0].at if configs else (task.at if task is not None else 0)
        yield source.fault(at, f"the driver {driver!r} needs the option {needed!r} in a block 'config'")
