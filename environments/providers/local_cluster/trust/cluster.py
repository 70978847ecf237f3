"""The settings of Consul, OpenBao and Nomad with which a job has the rights of its environment, and nothing more.

`apply` makes them on a cluster that the service started. On an existing cluster only `verify` is called: it says what
is missing and how to fix it.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime

from environments.domain.errors import BackendDenied, MachineError
from environments.providers.backend.calls import Part
from environments.providers.backend.connections import Connections, Endpoint
from environments.providers.local_cluster.trust.consul import consul_settings
from environments.providers.local_cluster.trust.nomad import nomad_settings
from environments.providers.local_cluster.trust.openbao import openbao_settings
from environments.providers.local_cluster.trust.parts import SigningAuthority, mounts_authority
from environments.providers.local_cluster.trust.people import people_settings
from environments.providers.local_cluster.trust.setting import Missing, NomadKeys, TrustSetting
from environments.steps.base import Clock

__all__ = ["Missing", "Trust"]

_ALL: tuple[Part, ...] = ("consul", "vault", "nomad")


class Trust:
    """The trust between the parts of one cluster.

    `connections` need all three parts, with admin credentials for `apply` and reading ones for `verify`.
    `nomad_address` is where Consul and OpenBao find Nomad's keys, if it isn't the address that we use. `signer` signs
    the authority of OpenBao's mount for our own parts; None: it is one of its own. `external_address`, by which people
    reach the service: for signing in with OpenBao; empty: nothing is set up for it.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        nomad_address: str | None = None,
        signer: SigningAuthority | None = None,
        external_address: str = "",
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._signer = signer
        self._external_address = external_address.rstrip("/")
        self._clock = clock
        self._consul = connections.caller("consul")
        self._vault = connections.caller("vault")
        self._nomad = connections.caller("nomad")
        url = f"{nomad_address or self._nomad.address}/.well-known/jwks.json"
        self._keys = NomadKeys(url, _authority(connections.endpoint("nomad")))

    def settings(self) -> Iterator[TrustSetting]:
        """All settings, in the order of making; a later one may depend on an earlier one."""
        yield from consul_settings(self._consul, self._keys)
        yield from openbao_settings(self._vault, self._keys, self._signer, self._clock())
        if self._external_address:
            yield from people_settings(self._vault, self._external_address)
        yield from nomad_settings(self._nomad, self._keys)

    def parts_authority(self) -> str:
        """The authority (PEM) that clients of our own parts pin. Raises `BackendError`."""
        return mounts_authority(self._vault) if self._signer is None else self._signer.pem

    def apply(self) -> None:
        """Makes everything that is missing. Idempotent. Raises `BackendError`."""
        self.establish(_ALL)

    def verify(self) -> list[Missing]:
        """All settings that are missing or wrong; usually none. Changes nothing. Raises `BackendUnavailable`.

        Also what is optional.
        """
        return [fault for setting in self.settings() if (fault := _check(setting)) is not None]

    def establish(
        self,
        ours: Collection[Part],
        before_effect: Callable[[], None] = lambda: None,
        log: Callable[[str], None] = lambda line: None,
    ) -> list[Missing]:
        """Makes what is missing in the parts that are ours, and gives what is missing in the others and isn't optional.

        `before_effect` is called before each change and may raise; `log` gets a line for each. Raises `BackendError`.
        """
        missing = []
        for setting in self.settings():
            if setting.caller.part not in ours:
                fault = _check(setting)
                if fault is not None and fault.optional:
                    log(f"{fault.where} lacks {fault.what}, so {fault.lost}. To have it: {fault.fix}")
                elif fault is not None:
                    missing.append(fault)
            elif not setting.present():
                before_effect()
                log(f"{setting.where} gets {setting.what}")
                setting.make()
        return missing


def _authority(nomad: Endpoint) -> str:
    """The authority (PEM) of Nomad's certificate; empty for one that its users trust already."""
    if nomad.ca_file is None:
        return ""
    try:
        return nomad.ca_file.read_text()
    except OSError as error:
        raise MachineError(f"The authority in {nomad.ca_file} can't be read: {error.strerror}.") from error


def _check(setting: TrustSetting) -> Missing | None:
    try:
        if setting.present():
            return None
    except BackendDenied as error:
        advice = f"let our credential read it: {error.message}"
        return Missing(setting.what, setting.where, advice, setting.lost)
    return Missing(setting.what, setting.where, setting.fix, setting.lost)
