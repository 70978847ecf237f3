"""Secret outputs: which values may be one, and which secret of its environment each stands for.

A reference works like a key: only a step can make one, it can only be passed on as a whole, and it gives access only to
a secret that a step of the same environment keeps. So no text that a person types gives access to a secret.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from environments.domain.environment import Environment
from environments.domain.errors import InvalidTemplate, NotAllowedNow
from environments.domain.faults import Fault, Path
from environments.domain.lifecycle import ENDED, State
from environments.domain.names import kv_prefix
from environments.domain.references import SECRET_STEPS, SecretReference
from environments.domain.template_parts import Output, Template
from environments.service.rendering import chains, refuse_references, whole_expression
from environments.service.storage.transaction import Transaction

_GOING = ENDED | {State.DESTROYING}

_FIXED_BY_UPDATE = "Update the environment to a version of its template whose output is one whole reference."


def output_faults(template: Template) -> Iterator[Fault]:
    """Faults of outputs that can be found before anything is rendered."""
    for name, output in template.outputs.items():
        path: Path = ("outputs", name, "value")
        whole = whole_expression(output.value)
        if output.secret and (whole is None or "steps" not in whole.names):
            message = (
                f"output {name!r} is secret, so its value must be one whole expression that gives a reference of a "
                "step, such as {{ steps.password.references.password }}"
            )
            yield Fault(path=path, message=message)
        elif output.secret and whole is not None and whole.chain and not _is_reference(template, whole.chain):
            message = f"output {name!r} is secret, and {'.'.join(whole.chain)} is no reference of a step to a secret"
            yield Fault(path=path, message=message)
        elif not output.secret and any(_is_reference(template, chain) for chain in chains(output.value)):
            message = (
                f"output {name!r} uses a reference to a secret: it must be that reference alone, with secret = true"
            )
            yield Fault(path=path, message=message)


def option_faults(template: Template, options: Any, path: Path = ("with",)) -> Iterator[Fault]:
    """Faults of a step's options, which can't use references. Their paths start at the step's table."""
    if isinstance(options, str):
        for chain in chains(options):
            if _is_reference(template, chain):
                message = f"{'.'.join(chain)} is a reference to a secret, which only a secret output can be"
                yield Fault(path=path, message=message, suggestion=f"a job reads it at steps.{chain[1]}.path")
    elif isinstance(options, Mapping):
        for key, part in options.items():
            yield from option_faults(template, part, (*path, str(key)))
    elif isinstance(options, list):
        for number, part in enumerate(options):
            yield from option_faults(template, part, (*path, number))


def checked_output(value: Any, output: Output, environment: Environment, where: str) -> Any:
    """The rendered value of an output, if it is allowed. Raises `InvalidTemplate`."""
    if not output.secret:
        refuse_references(value, where)
        return value
    if not isinstance(value, SecretReference) or value.environment != environment.id:
        raise InvalidTemplate(
            f"{where} is secret, but its value is no reference that a step of this environment made.",
            hint="Give it one whole reference, such as {{ steps.password.references.password }}. A text is none.",
        )
    return value


def secret_of(tx: Transaction, environment: Environment, name: str) -> SecretReference:
    """The secret that an output refers to. Raises `NotAllowedNow`.

    The reference must be in the journal of this environment, from a step that keeps secrets, and must name a place
    where that step keeps them: in the folder of the environment that has the name.
    """
    if environment.state in _GOING or environment.destroyed_at is not None:
        raise NotAllowedNow(
            f"Environment {environment.name!r} is {environment.state.value}: its secrets can't be read any more.",
            hint="The name may belong to another environment now, and with it the place of the secrets.",
        )
    value = environment.outputs[name].get("value")
    for made in tx.journal.references(environment.id):
        own = made.environment == environment.id and made.path == kv_prefix(environment.name) + made.step
        if own and value in (made, made.before):
            return made
    raise NotAllowedNow(
        f"The output {name!r} of {environment.name!r} is no reference that a step of this environment made.",
        hint=_FIXED_BY_UPDATE,
    )


def _is_reference(template: Template, chain: tuple[str, ...]) -> bool:
    if len(chain) != 4 or chain[0] != "steps" or chain[2] != "references":
        return False
    return any(step.name == chain[1] and step.uses == SECRET_STEPS for step in template.steps)
