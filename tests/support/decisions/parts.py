"""What a world is made of: templates, machines, and copies of a database."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.support.decisions.wishes import Rule, Wish

_STEPS = '[[steps]]\nname = "app"\nuses = "test.thing"\n'
PLAIN = f'[template]\nname = "plain"\nversion = "1"\n[lifetime]\ndefault = "8h"\n{_STEPS}'
RULED = f'[template]\nname = "ruled"\nversion = "1"\n[lifetime]\ndestroy = ["0 19 * * * UTC"]\n{_STEPS}'


class NoSealer:
    """There are no secrets here."""

    def seal(self, secrets: dict[str, Any]) -> bytes:
        """See `Sealer`."""
        return json.dumps(secrets).encode()

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        """See `Sealer`."""
        found: dict[str, Any] = json.loads(sealed)
        return found

    def derive(self, label: str) -> bytes:
        """See `Sealer`."""
        return label.encode()


@dataclass
class Machine:
    """A machine with clocks. `ahead`: by how much its wall clock is; `kept`: a file's count."""

    name: str
    boot: str
    booted_at: datetime
    ahead: timedelta = timedelta(0)
    kept: int = 0

    def read(self) -> int:
        """See `Beats`."""
        return self.kept

    def write(self, beats: int) -> None:
        """See `Beats`."""
        self.kept = beats


@dataclass(frozen=True)
class Copy:
    """A copy of a world's database, and what people had said by then."""

    database: bytes
    wishes: dict[str, Wish]
    rules: dict[str, Rule]
