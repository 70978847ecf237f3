"""Run records that an earlier version has sealed can still be read."""

import base64
from typing import cast

from environments.providers.opentofu.ports import Module, ModuleKeys
from environments.providers.opentofu.run_record import RunRecord
from environments.providers.opentofu.served_states import SealedRunRecords
from environments.service.module_states import ModuleStates
from environments.steps.base import Owner

OWNER = Owner("env-1", "demo")

SEALED = (
    "AAECAwQFBgcICQoLPCCwdLeI4CGtcLurk48RAealpQ7QAH0RWQ6Lq2kPIoghMsqR6bhzzzLNHard4GFWoCkF4A+/6pJLrml+Jd7X"
    "k9wc5Ayyo08AfjjPHc21LpMa+aAYE0FpSM6AsuxaldfuuYEpksEl6iC+aEzHLVkBXcoGEMqPqUD2JIw677jGXz6XciKq27SgcTLB"
    "asN64yajQcneFxkxsSn+OowSlKaAj//kvC/JpO4dyA2uj7Oi25e97KNM1M0f1QK3tOVL5ezRa2Lr2FDx9utaN7eDmHv538MG1hcf"
    "LJrTCb/45Rw1ZM6AIiup9CblNh3tC5eG5g=="
)
"""As the first version wrote it: a nonce of 12 bytes, then AES-256-GCM, bound to `env-1` and `app`."""


class _States:
    def run_record(self, environment_id: str, step: str) -> bytes:
        return base64.b64decode(SEALED)


class _Keys:
    def existing(self, owner: Owner) -> str:
        return base64.b64encode(bytes(range(32))).decode()


def test_a_record_that_the_first_version_sealed_can_be_read() -> None:
    records = SealedRunRecords(cast(ModuleStates, _States()), cast(ModuleKeys, _Keys()))
    content = records.load(OWNER, "app")
    assert content is not None
    files = {"main.tf": b'variable "size" {}\n'}
    module = Module(files, {"size": 3}, encrypted=True, parallelism=10, lock=b"lock", credentials=("consul",))
    assert RunRecord.load(content) == RunRecord(module, frozenset({"x.a"}), frozenset({"x.a", "x.b"}))
    assert RunRecord.load(content).dump() == content
