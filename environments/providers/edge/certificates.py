"""Certificates of entry points: one PKI role for each environment, by which the service signs what the edge asks for.

Jobs can't use the role: the policy of workloads names the role that has exactly the environment's name.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from environments.domain.counting import counted
from environments.providers.vault.pki import valid_of
from environments.providers.vault.ports import Certificate, CertificateAuthority
from environments.steps.base import Clock, Observation, Owner, Presence, StepRun
from environments.steps.marks import ABSENT, foreign

CERTIFICATE_KIND = "edge.certificate"
SIGN = "pki/sign/"
_SUFFIX = "--edge"
"""No environment's name has two hyphens, so this is never the role of an environment's jobs."""

LIFETIME = timedelta(hours=24)
"""The edge asks for the next certificate when a third of the time is left."""


def role_name(environment: str) -> str:
    """The name of the PKI role for an environment's entry points."""
    return f"{environment}{_SUFFIX}"


def role_address(environment: str) -> str:
    """The address of the resource."""
    return SIGN + role_name(environment)


def role_fields(owner: Owner, domain: str, lifetime: timedelta) -> dict[str, Any]:
    """The fields of the role, which signs for names of this environment only."""
    return {
        "ou": [_unit(owner)],
        "allowed_domains": [f"*--{owner.name}.{domain}", f"*.{owner.name}.{domain}"],
        "allow_glob_domains": True,
        "allow_bare_domains": False,
        "allow_subdomains": False,
        "allow_localhost": False,
        "allow_ip_sans": False,
        "allow_any_name": False,
        "allow_wildcard_certificates": True,
        # More than 64 characters don't fit into a common name.
        "require_cn": False,
        "use_csr_common_name": False,
        "use_csr_sans": False,
        "client_flag": False,
        # Leases end with the service's own token; what was signed is found by its mark.
        "generate_lease": False,
        "no_store": False,
        "key_type": "ec",
        "key_bits": 256,
        "ttl": int(lifetime.total_seconds()),
        "max_ttl": int(lifetime.total_seconds()),
    }


def check_role(authority: CertificateAuthority, owner: Owner) -> dict[str, Any] | None:
    """The role. Raises `ForeignResource` if it bears another mark."""
    present = authority.role(role_name(owner.name))
    if present is not None and _whose(present, owner) is Presence.FOREIGN:
        raise foreign(f"a PKI role {role_name(owner.name)!r} in OpenBao", owner)
    return present


class EdgeCertificateHandler:
    """Observes and removes the role of an environment's entry points, and revokes what was signed with it."""

    kind: ClassVar[str] = CERTIFICATE_KIND

    def __init__(self, authority: CertificateAuthority, clock: Clock) -> None:
        self._authority = authority
        self._clock = clock

    def observe(self, address: str, owner: Owner) -> Observation:
        """The role, and certificates that are neither revoked nor expired."""
        role, good = self._authority.role(role_name(owner.name)), self._good(owner)
        if role is None and not good:
            return ABSENT
        if not good and role is not None and _whose(role, owner) is Presence.FOREIGN:
            return Observation(Presence.FOREIGN, f"its ou is {str(role.get('ou'))[:60]}")
        return Observation(Presence.OURS, f"{counted(len(good), 'certificate')} not revoked")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes the role first, so that nothing is signed after the revocation."""
        role = self._authority.role(role_name(owner.name))
        if role is not None and _whose(role, owner) is Presence.OURS:
            run.before_effect()
            self._authority.remove_role(role_name(owner.name))
        for certificate in self._good(owner):
            run.before_effect()
            self._authority.revoke(certificate.serial)

    def _good(self, owner: Owner) -> list[Certificate]:
        return valid_of(self._authority, _unit(owner), self._clock())


def _unit(owner: Owner) -> str:
    """The mark of the role and of its certificates."""
    return f"calvinverse edge {owner.id}"


def _whose(role: Mapping[str, Any], owner: Owner) -> Presence:
    return Presence.OURS if role.get("ou") == [_unit(owner)] else Presence.FOREIGN
