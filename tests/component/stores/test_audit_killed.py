"""A process that is killed leaves no change without its entry, and no entry without its change."""

import subprocess
import sys
from pathlib import Path

from environments.service.audit_chain import AuditChain, chain_all
from environments.service.audit_verifying import AuditVerifier
from environments.service.storage.audit import AuditFilter
from environments.stores.database import open_database
from tests.fakes.plans import NOW

KEY = b"k" * 32
COMMITS = 30
SECONDS = 60

WRITER = """
import sys
from itertools import count
from pathlib import Path
from environments.service.audit_chain import AuditChain
from environments.service.storage.audit import AuditEntry
from environments.service.storage.tokens import TokenRecord
from environments.stores.database import open_database
from tests.fakes.plans import NOW

database = open_database(Path(sys.argv[1]))
database.audit_key = b"k" * 32
chain = AuditChain(database, database.audit_key, lambda: NOW)
for number in count():
    with database.write() as tx:
        tx.tokens.add(TokenRecord(f"tok-{number}", f"cv_{number}", "0" * 64, "ada", "user", "", NOW, None, None, None))
        tx.audit.add(AuditEntry("token:create", "ada", object_kind="token", object_id=f"tok-{number}"))
    print(f"tok-{number}", flush=True)
    if number % 7 == 0:
        chain.extend()
"""


def test_a_killed_process_leaves_an_entry_for_each_change(tmp_path: Path) -> None:
    told = []
    for kills in range(3):
        folder = tmp_path / str(kills)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
        try:
            assert writer.stdout is not None
            told = [writer.stdout.readline().strip() for _ in range(COMMITS + kills)]
        finally:
            writer.kill()
            writer.wait(SECONDS)
            assert writer.stdout is not None
            writer.stdout.close()
        database = open_database(folder)
        database.audit_key = KEY
        try:
            with database.read() as tx:
                tokens = {token.id for token in tx.tokens.all(None)}
                entries = [one.entry.object_id for one in tx.audit.list(AuditFilter())]
            assert set(told) <= tokens
            assert sorted(entries) == sorted(tokens)
            chain_all(AuditChain(database, KEY, lambda: NOW))
            assert AuditVerifier(database, KEY).verify(NOW).findings == []
        finally:
            database.close()
