"""`vault.certificate`: the right to issue certificates for an environment's names, and their revocation.

The step creates a role in OpenBao's PKI mount. A job gets its certificate with `pkiCert` in a template: the key
never leaves the job, and Nomad renews the certificate while the job is running. When the environment is destroyed,
the role is removed and every certificate that was issued with it is revoked.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, model_validator

from environments.domain.counting import counted
from environments.domain.deadline import format_duration
from environments.domain.environment import ResourceRef
from environments.domain.errors import InvalidTemplate
from environments.domain.faults import Fault
from environments.domain.names import META, service_name, service_prefix
from environments.domain.plan import Action, Change
from environments.domain.template import TEMPLATE_FILE, Bundle
from environments.domain.template_parts import Duration
from environments.providers.vault.certificate_names import certificate_faults
from environments.providers.vault.edge_names import NO_NAMES, REMEDY, EdgeNames
from environments.providers.vault.pki import differing, valid_of
from environments.providers.vault.ports import Certificate, CertificateAuthority
from environments.service.shapes import TEXT, Shape, table
from environments.steps.base import Clock, Intended, Observation, Options, Owner, Presence, StepContext, StepRun
from environments.steps.changes import OwnThingsOnly, change, moved
from environments.steps.marks import ABSENT, certificate_unit, foreign, whose_units
from environments.steps.options import faults

ROLE_KIND = "vault.pki-role"
CERTIFICATES_KIND = "vault.certificates"
ROLES = "pki/roles/"
ISSUE = "pki/issue/"

_REMEDY = f"{REMEDY[0].upper()}{REMEDY[1:]}."


class VaultCertificateOptions(Options):
    """`service`: the service that the certificate names; `names`: more DNS names, none of them the edge's.

    `ttl`: how long it is valid.
    """

    service: str | None = None
    names: list[str] = Field(default_factory=list)
    ttl: Duration = timedelta(hours=24)

    @model_validator(mode="after")
    def _names(self) -> "VaultCertificateOptions":
        if self.service is None and not self.names:
            raise ValueError("give a service or names")
        if self.ttl < timedelta(minutes=1):
            raise ValueError("ttl must be at least 1m")
        return self


class VaultCertificate(OwnThingsOnly):
    """Creates the PKI role of the environment."""

    kind: ClassVar[str] = "vault.certificate"
    options: ClassVar[type[Options]] = VaultCertificateOptions
    time_limit: ClassVar[timedelta] = timedelta(seconds=30)
    description: ClassVar[str] = "Lets the environment's jobs have certificates from OpenBao; they are revoked with it."

    def __init__(self, authority: CertificateAuthority, edge_names: EdgeNames = NO_NAMES) -> None:
        """`edge_names` are refused to all environments but `meta`, which the edge is a part of."""
        self._authority = authority
        self._edge_names = edge_names

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[Fault]:
        """Faults: unknown options, names for which OpenBao issues no certificate, and a second step of this kind."""
        found = [*faults(VaultCertificateOptions, options), *certificate_faults(options)]
        if sum(step.uses == cls.kind for step in bundle.template().steps) > 1:
            message = f"a template has one step {cls.kind} at most; give all names there"
            found.append(Fault(path=("uses",), message=message))
        return found

    @classmethod
    def gives(cls, options: Mapping[str, Any], bundle: Bundle) -> Shape:
        """The shape of what `apply` returns."""
        return table({"path": TEXT, "common_name": TEXT, "alt_names": Shape(kind=list), "ttl": TEXT})

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """The certificates, and the role. The role is removed first, so that nothing is issued after the revocation."""
        name = context.owner.name
        return [
            Intended(ResourceRef(kind=CERTIFICATES_KIND, address=ISSUE + name)),
            Intended(ResourceRef(kind=ROLE_KIND, address=ROLES + name)),
        ]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Returns `path` (for `pkiCert`), `common_name`, `alt_names` and `ttl`."""
        options: VaultCertificateOptions = context.options
        name = context.owner.name
        present, fields = self._present(context.owner), self._fields(context)
        if differing(present, fields):
            run.before_effect()
            self._authority.write_role(name, fields)
        run.hold(context.owner.unheld(ResourceRef(kind=ROLE_KIND, address=ROLES + name)))
        names = self._names(context)
        return {
            "path": ISSUE + name,
            "common_name": names[0],
            "alt_names": [*names[1:], "localhost"],
            "ttl": format_duration(options.ttl),
        }

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """The creation of the role, or the fields of it that would change. Issued certificates stay valid."""
        options: VaultCertificateOptions = context.options
        address = ROLES + context.owner.name
        present, fields = self._present(context.owner), self._fields(context)
        if present is None:
            lines = [f"names: {', '.join(self._names(context))}", f"ttl: {format_duration(options.ttl)}"]
            return [change(Action.CREATE, ROLE_KIND, address, after=fields, details=lines)]
        changed = differing(present, fields)
        if not changed:
            return []
        before, after = ({key: whole.get(key) for key in changed} for whole in (present, fields))
        lines = [_moved(key, before[key], after[key]) for key in changed if key != "max_ttl" or "ttl" not in changed]
        return [change(Action.CHANGE, ROLE_KIND, address, before=before, after=after, details=lines)]

    def _present(self, owner: Owner) -> dict[str, Any] | None:
        return check_role(self._authority, owner)

    def _fields(self, context: StepContext) -> dict[str, Any]:
        return _role(context.owner, self._names(context), context.options.ttl)

    def _names(self, context: StepContext) -> list[str]:
        options: VaultCertificateOptions = context.options
        service = options.service
        own = [] if service is None else [f"{service_name(context.owner.name, service)}.service.consul"]
        for name in options.names:
            # In OpenBao an asterisk matches any text: the template's author may write one, a value must not hold one.
            if "*" in name and name not in context.bundle.text(TEMPLATE_FILE):
                raise InvalidTemplate(f"The name {name!r} of a certificate holds an asterisk that came from a value.")
            if context.owner.name != META and (why := self._edge_names.reason(name)):
                raise InvalidTemplate(f"No environment gets a certificate for this name: {why}.", hint=_REMEDY)
        return [*own, *options.names]


def check_role(authority: CertificateAuthority, owner: Owner) -> dict[str, Any] | None:
    """The role of the environment's name. Raises `ForeignResource`."""
    present = authority.role(owner.name)
    if present is not None and _whose(present, owner) is Presence.FOREIGN:
        raise foreign(f"a PKI role {owner.name!r} in OpenBao", owner)
    return present


class RoleHandler:
    """Observes and removes the PKI role of an environment (`pki/roles/<name>`)."""

    kind: ClassVar[str] = ROLE_KIND
    place: ClassVar[bool] = True

    def __init__(self, authority: CertificateAuthority) -> None:
        self._authority = authority

    def observe(self, address: str, owner: Owner) -> Observation:
        """A role is ours if it puts our mark into certificates."""
        role = self._authority.role(address.removeprefix(ROLES))
        if role is None:
            return ABSENT
        presence = _whose(role, owner)
        return Observation(presence, "" if presence is Presence.OURS else f"its ou is {str(role.get('ou'))[:60]}")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes the role."""
        if self.observe(address, owner).presence is Presence.OURS:
            run.before_effect()
            self._authority.remove_role(address.removeprefix(ROLES))


class CertificatesHandler:
    """Observes and revokes the certificates of an environment (`pki/issue/<name>`), by lease and by mark."""

    kind: ClassVar[str] = CERTIFICATES_KIND

    def __init__(self, authority: CertificateAuthority, clock: Clock) -> None:
        self._authority = authority
        self._clock = clock

    def observe(self, address: str, owner: Owner) -> Observation:
        """Counts leases, and certificates that are neither revoked nor expired."""
        name = address.removeprefix(ISSUE)
        certificates = self._good(owner)
        leases = [] if self._role_is_foreign(name, owner) else self._authority.leases(name)
        if not certificates and not leases:
            return ABSENT
        return Observation(
            Presence.OURS, f"{counted(len(leases), 'lease')}, {counted(len(certificates), 'certificate')} not revoked"
        )

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Revokes all of them."""
        name = address.removeprefix(ISSUE)
        run.before_effect()
        if not self._role_is_foreign(name, owner) and self._authority.leases(name):
            self._authority.revoke_leases(name)
        for certificate in self._good(owner):
            run.before_effect()
            self._authority.revoke(certificate.serial)

    def _good(self, owner: Owner) -> list[Certificate]:
        return valid_of(self._authority, certificate_unit(owner), self._clock())

    def _role_is_foreign(self, name: str, owner: Owner) -> bool:
        role = self._authority.role(name)
        return role is not None and _whose(role, owner) is Presence.FOREIGN


def _moved(key: str, before: Any, after: Any) -> str:
    if key in ("ttl", "max_ttl") and isinstance(before, int):
        return moved(key, *(format_duration(timedelta(seconds=seconds)) for seconds in (before, after)))
    return moved(key, before, after)


def _role(owner: Owner, names: Sequence[str], ttl: timedelta) -> dict[str, Any]:
    return {
        "ou": [certificate_unit(owner)],
        "allowed_domains": sorted({f"{service_prefix(owner.name)}*.service.consul", *names}),
        "allow_glob_domains": True,
        "allow_bare_domains": True,
        "allow_subdomains": False,
        "allow_localhost": True,
        "allow_ip_sans": True,
        "allow_any_name": False,
        "allow_wildcard_certificates": False,
        "generate_lease": True,
        "no_store": False,
        "key_type": "ec",
        "key_bits": 256,
        "ttl": int(ttl.total_seconds()),
        "max_ttl": int(ttl.total_seconds()),
    }


def _whose(role: Mapping[str, Any], owner: Owner) -> Presence:
    return whose_units(role.get("ou"), owner, held=owner.holds(ROLE_KIND, ROLES + owner.name))
