"""What the tests of the build agent give to it: archives, digests and orders."""

import contextlib
import hashlib
import importlib.util
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import images

PROGRAM = Path(images.__file__).parent / "build-agent" / "agent.py"


@contextlib.contextmanager
def program() -> Iterator[ModuleType]:
    """The program as a module, anew for each test: it remembers that it is clearing away."""
    spec = importlib.util.spec_from_file_location("build_agent_under_test", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def archive(files: dict[str, str | tarfile.TarInfo]) -> bytes:
    """A tar.gz of files by name, or of entries without content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as opened:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                opened.addfile(content)
                continue
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            entry.mode = 0o755 if name.endswith(".sh") else 0o600
            opened.addfile(entry, io.BytesIO(content.encode()))
    return packed.getvalue()


def order(**changed: str) -> dict[str, str]:
    """Variables of a good order."""
    return {
        "NOMAD_META_source": f"sha256:{'a' * 64}",
        "NOMAD_META_images": "base web",
        "NOMAD_META_anew": "true",
        "REGISTRY": "127.0.0.1:5000",
        "BUILDS": "/builds",
        "NOMAD_ALLOC_ID": "0123",
        "NOMAD_ALLOC_DIR": "/alloc",
        **changed,
    }
