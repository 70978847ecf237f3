"""Records what the forge of tests delivers: each delivery by a name, without what differs from run to run."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from environments.providers.local_cluster.agents.patience import wait_for
from tests.support.receivers import Hook, Received
from tests.support.webhook_payloads import FOLDER, Payload, signatures

HOST = "https://forge.example"
BEGAN = datetime(2026, 11, 20, 10, tzinfo=UTC)
"""When the recorded deliveries seem to begin; a minute passes between two moments that differ."""

_HASH = re.compile(r"\b[0-9a-f]{40}\b")
_SHORT_HASHES = re.compile(r"\b[0-9a-f]{10}\.\.\.[0-9a-f]{10}\b")
_MOMENT = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)")
_NOT_KEPT = re.compile(r"host|content-length|accept-encoding|connection|x-.*-signature(-256)?")


@dataclass
class Recording:
    """The deliveries that `hook` has received, each taken once."""

    hook: Hook
    secret: str
    address: str
    """Of the forge."""
    taken: dict[str, Received] = field(default_factory=dict)

    def take(self, name: str, event: str, **members: object) -> dict[str, Any]:
        """The oldest delivery of that event whose body has these members, once it is there; its body.

        Fails if it isn't signed, or not over exactly what arrived.
        """
        found: list[Received] = []

        def arrived() -> bool:
            found[:] = [one for one in self.hook.received if _is(one, event, members)]
            return bool(found)

        assert wait_for(arrived, 60), f"{name}: no {event} {members} came, but {self.others()}"
        delivery = found[0]
        self.hook.received.remove(delivery)
        for header, value in signatures("gitea", self.secret, delivery.body).items():
            assert delivery.headers[header.lower()] == value, f"{name}: {header}"
        self.taken[name] = delivery
        body: dict[str, Any] = json.loads(delivery.body)
        return body

    def knows(self, event: str, **members: object) -> bool:
        """Whether such a delivery came and wasn't taken."""
        return any(_is(one, event, members) for one in self.hook.received)

    def others(self) -> list[str]:
        """What was delivered and not taken."""
        return [f"{one.headers['x-gitea-event-type']} {one.body[:60]!r}" for one in self.hook.received]

    def payloads(self) -> Iterator[Payload]:
        """What was taken, with everything replaced that differs from run to run."""
        texts = {name: self._text(delivery) for name, delivery in self.taken.items()}
        everything = "\n".join(texts.values())
        hashes = {one: _hash(number) for number, one in enumerate(dict.fromkeys(_HASH.findall(everything)), 1)}
        hashes["0" * 40] = "0" * 40
        moments = {one: datetime.fromisoformat(one) for one in _MOMENT.findall(everything)}
        ranks = {moment: rank for rank, moment in enumerate(sorted(set(moments.values())))}
        for number, (name, text) in enumerate(texts.items(), 1):
            text = _SHORT_HASHES.sub(lambda found: _shortened(found[0], hashes), text)
            text = _HASH.sub(lambda found: hashes[found[0]], text)
            text = _MOMENT.sub(lambda found: _moment(ranks[moments[found[0]]]), text)
            found = json.loads(text)
            yield Payload("gitea", name, _headers(found["headers"], number), json.dumps(found["body"]).encode())

    def _text(self, delivery: Received) -> str:
        kept = {name: value for name, value in delivery.headers.items() if not _NOT_KEPT.fullmatch(name)}
        text = json.dumps({"headers": kept, "body": json.loads(delivery.body)}, ensure_ascii=False)
        text = text.replace(self.address, HOST).replace(self.hook.address, "https://calvinverse.example")
        assert self.secret not in text
        return text


def write(payload: Payload) -> None:
    """Keeps a payload among the fixtures."""
    folder = FOLDER / payload.forge
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"headers": payload.headers, "body": payload.content}, indent=2, ensure_ascii=False)
    (folder / f"{payload.name}.json").write_text(f"{text}\n")


def shape(value: object) -> object:
    """What kinds of values stand where, without the values: a list counts by what is in it, and not how often."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def _is(delivery: Received, event: str, members: dict[str, object]) -> bool:
    body = json.loads(delivery.body)
    return delivery.headers["x-gitea-event-type"] == event and all(body.get(k) == v for k, v in members.items())


def _hash(number: int) -> str:
    return hashlib.sha1(f"{number}".encode()).hexdigest()  # noqa: S324 - it looks like a commit's and protects nothing


def _shortened(text: str, hashes: dict[str, str]) -> str:
    ends = text.split("...")
    return "...".join(next((new[:10] for old, new in hashes.items() if old.startswith(end)), end) for end in ends)


def _moment(rank: int) -> str:
    return (BEGAN + timedelta(minutes=rank)).isoformat().replace("+00:00", "Z")


def _headers(kept: dict[str, str], number: int) -> dict[str, str]:
    """As they are usually written, and with an id of the delivery that is the same each time."""
    delivery = f"0d3f5a7b-1c2e-4d6f-8a9b-{number:012x}"
    titled = {"-".join(part.capitalize() for part in name.split("-")): value for name, value in sorted(kept.items())}
    return {
        name.replace("Github", "GitHub"): delivery if name.endswith("-Delivery") else value
        for name, value in titled.items()
    }
