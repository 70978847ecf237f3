"""Nomad's policies and tokens in memory."""

from environments.providers.nomad.access_ports import NomadPolicy
from environments.steps.base import Issued


class MemoryNomadAcl:
    """Implements `NomadAccess`. `issued` are the tokens that are good now: name, policy and seconds by accessor."""

    def __init__(self) -> None:
        self.issued: dict[str, tuple[str, str, int]] = {}
        self._policies: dict[str, NomadPolicy] = {}
        self._count = 0

    def policy(self, name: str) -> NomadPolicy | None:
        """The policy of that name."""
        return self._policies.get(name)

    def write_policy(self, policy: NomadPolicy) -> None:
        """Makes or changes a policy."""
        self._policies[policy.name] = policy

    def remove_policy(self, name: str) -> None:
        """Removes a policy; its tokens stay."""
        self._policies.pop(name, None)

    def tokens(self, policy: str) -> list[str]:
        """Accessors of the tokens that have the policy."""
        return [accessor for accessor, (_, found, _) in self.issued.items() if found == policy]

    def create_token(self, policy: str, name: str, seconds: int) -> Issued:
        """A token; it never ends by itself here."""
        self._count += 1
        accessor = f"nomad-accessor-{self._count}"
        self.issued[accessor] = (name, policy, seconds)
        return Issued(accessor, f"nomad-secret-{self._count}")

    def remove_token(self, accessor: str) -> None:
        """Removes a token."""
        self.issued.pop(accessor, None)
