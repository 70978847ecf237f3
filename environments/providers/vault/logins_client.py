"""The client's calls for tokens and identities, with hvac."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import hvac

from environments.domain.errors import BackendDenied, BackendError
from environments.providers.backend.link import Link, Missing
from environments.providers.local_cluster.trust.names import OPENBAO_MODULES, OPENBAO_SECRETS
from environments.providers.nomad.access_ports import Identity
from environments.providers.vault.client_view import ClientView
from environments.steps.base import Issued

_SETTLED = 1.0
"""Seconds for which an accessor must have been listed before its token is looked up.

OpenBao writes a token before its lease, and revokes a token without a lease when it is looked up (`lookupInternal` in
its store). So an early lookup could revoke a token that is just being issued, for any environment.
"""


_BEING_MADE = 60.0
"""Seconds after which an accessor without a token is assumed to stay without one."""


class Logins(ClientView):
    """Implements `Identities`."""

    def __init__(self, link: Link[hvac.Client]) -> None:
        super().__init__(link)
        self._origins: dict[str, tuple[str, str]] = {}
        self._empty: dict[str, float] = {}
        self._listed: dict[str, float] = {}
        """Accessor → when it was listed first, by the monotonic clock."""
        self._lock = threading.Lock()

    def find(self, auth_path: str, name: str) -> Identity:
        """The entity with that alias, and the tokens of logins at that path with that name."""
        entities: tuple[str, ...] = ()
        mounts = self._link.call("list auth methods", lambda client: client.sys.list_auth_methods())
        mount = mounts["data"].get(f"{auth_path}/")
        if mount is not None:
            entity = self._entity(name, mount["accessor"])
            entities = (entity,) if entity else ()
        issued = [f"create/{role}" for role in (OPENBAO_MODULES, OPENBAO_SECRETS)]
        origins = {(f"auth/{auth_path}/{made}", f"{auth_path}-{name}") for made in (*issued, "login")}
        # Without an entity no token of a login has any rights, so there is nothing to wait for.
        accessors = self._accessors(wait=bool(entities))
        return Identity(entities, tuple(accessor for accessor in accessors if self._origin(accessor) in origins))

    def notice(self) -> None:
        """Notes the present tokens, so that finding them later takes less time."""
        self._accessors(wait=False)

    def issue(self, name: str, seconds: int, metadata: Mapping[str, str], *, role: str = OPENBAO_MODULES) -> Issued:
        """Creates a token for the places of that environment: the policy reads the name from the entity's alias.

        `role`: a token role that grants the policy of the same name.
        """
        made = self._link.call(
            "create a token",
            lambda client: client.auth.token.create(
                role_name=role,
                policies=[role],
                entity_alias=name,
                display_name=name,
                meta=dict(metadata),
                ttl=f"{seconds}s",
            ),
        )
        accessor = str(made["auth"]["accessor"])
        with self._lock:
            self._origins[accessor] = (f"auth/token/create/{role}", f"token-{name}")
        return Issued(accessor, made["auth"]["client_token"])

    def revoke(self, accessor: str) -> None:
        """Revokes a token with its leases."""
        try:
            self._link.call("revoke a token", lambda client: client.auth.token.revoke_accessor(accessor))
        except Missing:
            pass
        except BackendError as error:
            if "invalid accessor" not in error.message:
                raise

    def remove_entity(self, entity: str) -> None:
        """Removes an entity with its aliases."""
        self._link.call("delete an entity", lambda client: client.secrets.identity.delete_entity(entity))

    def _entity(self, alias: str, mount_accessor: str) -> str | None:
        found = self._maybe(
            "look up an entity",
            lambda client: client.secrets.identity.lookup_entity(alias_name=alias, alias_mount_accessor=mount_accessor),
        )
        # Without an entity the answer is 204 without a body, for which hvac returns the response object.
        return str(found["data"]["id"]) if isinstance(found, dict) and found.get("data") else None

    def _accessors(self, *, wait: bool) -> list[str]:
        """All accessors, after waiting until new ones may be looked up; without `wait`, only those that already may."""
        found = self._maybe("list tokens", lambda client: client.auth.token.list_accessors())
        accessors = list(found["data"]["keys"]) if found else []
        now = time.monotonic()
        with self._lock:
            self._listed = {key: self._listed.get(key, now) for key in accessors}
            self._origins = {key: self._origins[key] for key in accessors if key in self._origins}
            self._empty = {key: self._empty[key] for key in accessors if key in self._empty}
            fresh = {key: since for key, since in self._listed.items() if key not in self._origins}
        if wait:
            time.sleep(max(0.0, max(fresh.values(), default=0.0) + _SETTLED - now))
            return accessors
        return [key for key in accessors if now - fresh.get(key, 0.0) >= _SETTLED]

    def _origin(self, accessor: str) -> tuple[str, str]:
        """Path and display name of a token, which never change; both empty if the token doesn't exist."""
        with self._lock:
            if accessor in self._origins:
                return self._origins[accessor]
            if accessor in self._empty and time.monotonic() - self._empty[accessor] > _BEING_MADE:
                return ("", "")
        try:
            found = self._look_up(accessor)
        except BackendDenied:
            # A server that was killed while it created a token lists an accessor without a token from then on, and
            # answers 403 to each lookup. That must be distinguished from a missing right of our own credential.
            if self._look_up(self._own_accessor()) is None:
                raise
            with self._lock:
                self._empty.setdefault(accessor, time.monotonic())
            found = None
        if found is None:
            return ("", "")
        origin = (found["data"].get("path") or "", found["data"].get("display_name") or "")
        with self._lock:
            self._origins[accessor] = origin
        return origin

    def _look_up(self, accessor: str) -> Any:
        """The data of a token; None if it is no longer valid."""
        try:
            return self._maybe("look up a token", lambda client: client.auth.token.lookup_accessor(accessor))
        except BackendError as error:
            if "invalid accessor" not in error.message and "bad token" not in error.message:
                raise
            return None

    def _own_accessor(self) -> str:
        found = self._link.call("look up its own token", lambda client: client.auth.token.lookup_self())
        return str(found["data"]["accessor"])
