"""What HTTP gives: the check of a service."""

from environments.providers.http.check import CheckHttp
from environments.providers.parts import Parts
from environments.steps.registry import KnownStepKind, Provided

STEP_KINDS: tuple[KnownStepKind, ...] = (CheckHttp,)


def provide(parts: Parts) -> Provided:
    """See `environments.providers.parts`."""
    from environments.providers.http.client import WebClient

    return Provided(executors=[CheckHttp(parts.consul, WebClient(), parts.vault.pki, parts.nomad)])
