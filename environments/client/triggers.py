"""The client's calls about triggers."""

from collections.abc import Mapping
from typing import Any

from environments.client.connection import Connection
from environments.client.names import name_part as _part
from environments.wire.environments import HeartbeatView
from environments.wire.triggers import (
    TriggerChangeRequest,
    TriggerDetailsView,
    TriggerRequest,
    TriggerTestRequest,
    TriggerTestView,
    TriggerView,
)


class TriggerCalls(Connection):
    """Set, change and remove triggers, and try events out. See `environments.client.http.Client`."""

    def triggers(self) -> list[TriggerView]:
        """Triggers that act for the caller, newest first; to admins and auditors all."""
        return self._pages("/v1/triggers", TriggerView)

    def environment_triggers(self, name: str) -> list[TriggerView]:
        """The triggers that stand on an environment, those of its template first."""
        return self._read(self._get(f"/v1/environments/{_part(name)}/triggers"), list[TriggerView])

    def trigger(self, trigger_id: str) -> TriggerDetailsView:
        """One trigger with what it did last."""
        return self._read(self._get(f"/v1/triggers/{_part(trigger_id)}"), TriggerDetailsView)

    def set_trigger(self, definition: Mapping[str, Any], environment: str | None = None) -> TriggerView:
        """A new trigger for the caller, alone or on an environment. Raises `NameTaken`.

        Its details have the id of the other `trigger`, if the caller sees that.
        """
        path = "/v1/triggers" if environment is None else f"/v1/environments/{_part(environment)}/triggers"
        return self._read(self._send("POST", path, TriggerRequest(definition=dict(definition))), TriggerView)

    def change_trigger(
        self, trigger_id: str, *, definition: Mapping[str, Any] | None = None, paused: bool | None = None
    ) -> TriggerView:
        """Replaces a definition, pauses or resumes."""
        given: dict[str, Any] = {"definition": definition, "paused": paused}
        request = TriggerChangeRequest(**{name: value for name, value in given.items() if value is not None})
        return self._read(self._send("PUT", f"/v1/triggers/{_part(trigger_id)}", request, again=True), TriggerView)

    def remove_trigger(self, trigger_id: str) -> TriggerView:
        """Removes a trigger."""
        return self._read(self._send("DELETE", f"/v1/triggers/{_part(trigger_id)}"), TriggerView)

    def heartbeat(self, name: str) -> HeartbeatView:
        """Says that an environment is in use, for its triggers on `idle`."""
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/heartbeat", again=True), HeartbeatView)

    def test_triggers(self, request: TriggerTestRequest) -> TriggerTestView:
        """What an event would do; nothing happens."""
        return self._read(self._send("POST", "/v1/triggers/test", request, again=True), TriggerTestView)
