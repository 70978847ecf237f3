"""What a job file says of its groups' own networks: that there is one, and where its tasks may connect to."""

from collections.abc import Iterator, Mapping
from typing import Any

from environments.domain.errors import InvalidInput
from environments.domain.faults import Fault
from environments.providers.local_cluster.isolation.model import OUTGOING, OWN_ARGUMENTS, check_arguments
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tokens import Kind, Token
from environments.steps.hcl.tree import Block


def outgoing_problems(group: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the arguments that a group of a parsed job gives to our plugin of CNI."""
    for network in group.get("Networks") or []:
        try:
            check_arguments((network.get("CNI") or {}).get("Args") or {})
        except InvalidInput as error:
            yield f"group {group['Name']!r}: {error.message.rstrip('.')} ({error.hint.rstrip('.')})"


def outgoing_faults(source: Source) -> Iterator[Fault]:
    """The same in a job file, where it has names and values as plain texts."""
    for block, around in source.tree.walk():
        if block.kind != "cni" or around is None or around.kind != "network":
            continue
        if (arguments := block.body.attribute("args")) is None:
            continue
        for at, name, value in _entries([token for token in arguments.tokens if token.kind is not Kind.LINE]):
            if not name.startswith(OWN_ARGUMENTS) or (value is None and name == OUTGOING):
                continue
            try:
                check_arguments({name: value or ""})
            except InvalidInput as error:
                yield source.fault(at, error.message.rstrip("."), error.hint.rstrip("."))


def group_network_faults(source: Source) -> Iterator[Fault]:
    """Groups that Docker puts into its default network: there jobs of all environments reach each other."""
    for group, _ in source.tree.walk():
        if group.kind != "group" or any(_gives_network(block) for block in group.body.blocks):
            continue
        tasks = list(group.body.of("task"))
        modes = [config.body.attribute("network_mode") for task in tasks for config in task.body.of("config")]
        unknown = any(block.kind == "dynamic" for block in group.body.blocks)
        unknown |= any(mode is not None and mode.text is None for mode in modes)
        if tasks and not unknown and not (modes and all(mode is not None and mode.text == "none" for mode in modes)):
            name = " ".join(group.labels)
            message = f"the group {name!r} has no network of its own: jobs of other environments reach it"
            yield source.fault(group.at, message, 'write network { mode = "bridge" } in the group')


def _gives_network(block: Block) -> bool:
    """Whether it is a network with a mode, or may be: what is wrong about the mode is another fault."""
    return block.kind == "network" and ((mode := block.body.attribute("mode")) is not None and mode.text != "")


def _entries(tokens: list[Token]) -> Iterator[tuple[int, str, str | None]]:
    """The entries of an object: position, name, and the value if it is a text without code in it."""
    number = 0
    while number < len(tokens):
        at = tokens[number].at
        name, number = _text(tokens, number)
        if name is None or number >= len(tokens) or tokens[number].text not in ("=", ":"):
            number += name is None
            continue
        value, number = _text(tokens, number + 1, quoted=True)
        yield at, name, value


def _text(tokens: list[Token], number: int, *, quoted: bool = False) -> tuple[str | None, int]:
    """A text in quotes, or a word, and the number behind it; None and the same number if there is neither."""
    if number >= len(tokens):
        return None, number
    if tokens[number].kind is Kind.WORD and not quoted:
        return tokens[number].text, number + 1
    if tokens[number].kind is not Kind.OPEN:
        return None, number
    text = ""
    for end in range(number + 1, len(tokens)):
        if tokens[end].kind is Kind.CLOSE:
            return text, end + 1
        if tokens[end].kind is Kind.CODE:
            return None, number
        text += tokens[end].text
    return None, number
