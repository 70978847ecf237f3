"""Runs a build in a build environment with Nomad's API: starts it, follows its output, stops it, reads its results."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nomad
from nomad.api.exceptions import BaseNomadException

from environments.kept_files import NotKept, read_object, read_token
from images.interrupts import stopping
from images.named_server import named_session
from jobs.errors import DispatchFailed
from jobs.places import Places

TASK = "agent"
RECORDS = "alloc/data/records.tar.gz"
"""The path of the agent's records in Nomad's notation."""

CALL_LIMIT = 20.0
"""Time limit in seconds of a call."""

PLACE_LIMIT = 60.0
"""Time limit in seconds for Nomad to find a node."""

STOP_LIMIT = 45.0
"""Time limit in seconds for a build to stop: Nomad gives it 30."""

AWAY_LIMIT = 30.0
"""Seconds that Nomad may be unreachable while a build is followed."""

PAUSE = 0.3
ENDED = frozenset({"complete", "failed", "lost", "unknown"})

OnLine = Callable[[str, str], object]
"""Receives `stdout` or `stderr`, and a line."""

_ADMINS = "the admin's credential, which `doit deploy` leaves on the machine that deploys"


def connect(where: Places, namespace: str) -> nomad.Nomad:
    """A client of Nomad with the admin's credential of the state folder. Raises DispatchFailed."""
    token_file: Path | None = None
    try:
        endpoint = read_object(where.connections)["nomad"]
        token_file = where.state / endpoint["authentication"]["token_file"]
        token = read_token(token_file)
        ca_file = endpoint.get("ca_file")
        return nomad.Nomad(
            address=str(endpoint["address"]),
            token=token,
            namespace=namespace,
            timeout=CALL_LIMIT,
            verify=str(where.state / ca_file) if ca_file else True,
            session=named_session(str(endpoint.get("server_name") or "")),
        )
    except (NotKept, ValueError, LookupError, TypeError) as error:
        lacks = f"{where.connections} doesn't name" if token_file is None else f"{token_file} doesn't hold"
        raise DispatchFailed(
            f"Dispatching takes {_ADMINS}, and {lacks} one.",
            hint="Run this where `doit deploy` ran.",
        ) from error


@dataclass
class Dispatched:
    """One run of the build agent: the dispatched job, and how far its logs have been read."""

    client: nomad.Nomad
    job: str
    evaluation: str
    _read: dict[str, int] = field(default_factory=dict)
    _rest: dict[str, bytes] = field(default_factory=dict)
    _allocation: dict[str, Any] | None = None
    _answered: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, client: nomad.Nomad, job: str, order: Mapping[str, str]) -> "Dispatched":
        """Dispatches the parameterised job with `order` as its metadata. Raises DispatchFailed."""
        answer = _call("the build can't be dispatched", lambda: client.job.dispatch_job(job, meta=dict(order)))
        return cls(client, str(answer["DispatchedJobID"]), str(answer["EvalID"]))

    def follow(self, limit: float, on_line: OnLine) -> int:
        """Follows the build to its end, for at most `limit` seconds, and returns the agent's exit status.

        `on_line` gets `stdout` or `stderr` and each line when it is written. The logs are polled from the position up
        to which they were read, because an open stream of Nomad doesn't show when the output is complete. Raises
        DispatchFailed when no node takes the build, when it can't run there, and at the time limit; then the build
        continues to run.
        """
        began = time.monotonic()
        while True:
            if stopping():
                raise KeyboardInterrupt
            took = time.monotonic() - began
            if took > limit:
                raise DispatchFailed(f"The build has been running for {limit:.0f} s, which is the limit.")
            found = self._poll()
            if found is None:
                if took > PLACE_LIMIT:
                    raise DispatchFailed(f"No node takes the build: {self._why_not()}.")
            else:
                # The state is read before the logs, so that everything written before the end is read.
                ended = found["ClientStatus"] in ENDED
                while self._pass_on(on_line) and ended:
                    pass
                if ended:
                    self._flush(on_line)
                    return self._status()
            time.sleep(PAUSE)

    def stop(self, on_line: OnLine) -> bool:
        """Stops the build and passes on its output meanwhile; returns whether it has ended. Raises DispatchFailed."""
        _call("the build can't be stopped", lambda: self.client.job.request(_escaped(self.job), method="delete"))
        end = time.monotonic() + STOP_LIMIT
        while time.monotonic() < end:
            found = self._poll()
            if found is None:
                return True
            ended = found["ClientStatus"] in ENDED
            while self._pass_on(on_line) and ended:
                pass
            if ended:
                self._flush(on_line)
                return True
            time.sleep(PAUSE)
        return False

    def records(self) -> bytes:
        """The archive with the records that the agent wrote; empty if there is none."""
        if self._allocation is None:
            return b""
        identity = self._allocation["ID"]
        try:
            answer = self.client.client.cat.request(
                identity, params={"path": RECORDS}, method="get", timeout=3 * CALL_LIMIT
            )
        except BaseNomadException:
            return b""
        return bytes(answer.content)

    def _poll(self) -> dict[str, Any] | None:
        """The allocation at Nomad's last response. Raises DispatchFailed if that was too long ago."""
        try:
            found = _call(
                "the build can't be followed",
                lambda: self.client.job.request(_escaped(self.job), "allocations", method="get").json(),
            )
        except DispatchFailed:
            if time.monotonic() - self._answered > AWAY_LIMIT:
                raise
            return self._allocation
        self._answered = time.monotonic()
        self._allocation = max(found, key=lambda one: int(one["CreateIndex"])) if found else None
        return self._allocation

    def _why_not(self) -> str:
        evaluation = _call(
            "the build can't be followed", lambda: self.client.evaluation.get_evaluation(self.evaluation)
        )
        blocked = evaluation.get("BlockedEval")
        failed = (evaluation.get("FailedTGAllocs") or {}).values()
        reasons = [reason for metric in failed for reason in reasons_of(metric)]
        return "; ".join(reasons) or ("it waits for resources" if blocked else str(evaluation.get("Status")))

    def _pass_on(self, on_line: OnLine) -> bool:
        """Reads new content of both logs; returns whether there was any."""
        assert self._allocation is not None
        news = False
        for stream in ("stdout", "stderr"):
            data = self._log(str(self._allocation["ID"]), stream)
            news = news or bool(data)
            *lines, self._rest[stream] = (self._rest.get(stream, b"") + data).split(b"\n")
            for line in lines:
                on_line(stream, line.decode(errors="replace"))
        return news

    def _flush(self, on_line: OnLine) -> None:
        for stream, rest in self._rest.items():
            if rest:
                on_line(stream, rest.decode(errors="replace"))
        self._rest.clear()

    def _log(self, allocation: str, stream: str) -> bytes:
        offset = self._read.get(stream, 0)
        params = {"task": TASK, "type": stream, "origin": "start", "offset": offset, "plain": "true"}
        try:
            answer = self.client.client.stream_logs.request(allocation, params=params, method="get", timeout=CALL_LIMIT)
        except BaseNomadException:
            return b""  # there is no log before the task has started
        data = bytes(answer.content)
        self._read[stream] = offset + len(data)
        return data

    def _status(self) -> int:
        """The exit status of the task after its end. Raises DispatchFailed if it never ran, or was lost."""
        assert self._allocation is not None
        events = ((self._allocation.get("TaskStates") or {}).get(TASK) or {}).get("Events") or []
        ended = [event for event in events if event["Type"] == "Terminated"]
        if ended and self._allocation["ClientStatus"] in ("complete", "failed"):
            return int((ended[-1].get("Details") or {}).get("exit_code") or ended[-1].get("ExitCode") or 0)
        said = "; ".join(str(event["DisplayMessage"]) for event in events[-3:] if event.get("DisplayMessage"))
        state = str(self._allocation["ClientStatus"])
        raise DispatchFailed(f"The build can't run: {said or f'its allocation is {state}'}.")


def reasons_of(metric: Mapping[str, Any]) -> list[str]:
    """Why no node was found, from Nomad's metrics of a failed placement."""
    exhausted = [f"{count} lack {what}" for what, count in (metric.get("DimensionExhausted") or {}).items()]
    filtered = [f"{count} don't fit: {what}" for what, count in (metric.get("ConstraintFiltered") or {}).items()]
    found = exhausted + filtered
    if not metric.get("NodesEvaluated"):
        found.append("there is no node")
    return found


def kept(folder: Path, records: bytes) -> Path:
    """Keeps an archive that can't be imported, for a person to inspect."""
    file = folder / "records-refused.tar.gz"
    file.touch(mode=0o600)
    file.write_bytes(records)
    return file


def _call(failed: str, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except BaseNomadException as error:
        raise DispatchFailed(f"Nomad refuses: {failed}: {_said(error)}.") from error


def _said(error: BaseNomadException) -> str:
    answer = getattr(error, "nomad_resp", None)
    text = getattr(answer, "text", "") or str(answer or error)
    return str(text).strip().rstrip(".")


def _escaped(job: str) -> str:
    # Ids of dispatched jobs contain a slash.
    return quote(job, safe="")
