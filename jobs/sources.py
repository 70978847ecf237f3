"""Makes the archive with the sources for a build environment: the same bytes for the same files.

At the top of the tree it also contains files with which the same images are built there: `source.json` (data from
git), `ca.pem` (the certificates that this machine trusts), `sources.list` (its mirrors of Debian), `network.json`
(`proxies` by the name of their variable, and pip's `index_url`), and `assets` (the web page's files of npm packages, if
this machine has them: a build environment has no npm).
"""

import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from images.assets import BUNDLED, FOLDER, LIST, assets, find_assets
from images.pipeline.debian import host_sources
from images.pipeline.files import files_below
from images.pipeline.history import SOURCE, describe
from images.pipeline.recipe import load_recipes
from images.places import CHECKOUT, state_folder
from jobs.errors import DispatchFailed

CERTIFICATES = "ca.pem"
MIRRORS = "sources.list"
NETWORK = "network.json"

LEFT_OUT = frozenset(
    {".git", ".venv", ".calvinverse", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    | {".import_linter_cache", "build", "dist", "node_modules"}
)
"""Folders that aren't sent from a tree without git. In a tree with git, ignored files aren't sent."""

PROXIES = ("http_proxy", "https_proxy", "no_proxy")
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

LIMIT = 60.0
"""Time limit in seconds for a response of git or pip."""


def make_archive(checkout: Path = CHECKOUT, variables: Mapping[str, str] = os.environ) -> bytes:
    """The archive (tar.gz) of the checkout's work tree, without files that git ignores.

    Raises InvalidRecipe when a recipe can't be read, DispatchFailed when git fails or a proxy's address has a password.
    """
    contents = {path: checkout / path for path in files(checkout)} | _assets(checkout)
    extra = {
        SOURCE: json.dumps(describe(checkout, load_recipes(checkout)), indent=1, sort_keys=True),
        CERTIFICATES: certificates(variables),
        MIRRORS: host_sources(),
        NETWORK: json.dumps(network(variables), indent=1, sort_keys=True),
    }
    packed = BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(contents.keys() - extra.keys()):
            data = contents[path].read_bytes()
            _add(archive, path, data, executable=bool(contents[path].stat().st_mode & 0o100))
        for path, text in sorted(extra.items()):
            if text:
                _add(archive, path, text.encode())
    return packed.getvalue()


def _assets(checkout: Path) -> dict[str, Path]:
    """The web page's files of npm packages, by their paths in the archive."""
    if not (checkout / FOLDER / LIST).is_file() or (found := find_assets(checkout)) is None:
        return {}
    return {f"{BUNDLED}/{asset.path}": found / asset.path for asset in assets(checkout)}


def files(checkout: Path) -> list[str]:
    """Paths of the files to send, sorted. A link is sent as what it leads to, if that is sent too or is a file here."""
    top, state = checkout.resolve(), state_folder().resolve()
    found: dict[str, Path] = {}
    folders = []
    for path in _listed(checkout):
        file = (checkout / path).resolve()
        if file.is_file() and file.is_relative_to(top) and not file.is_relative_to(state):
            found[path] = file
        elif file.is_dir() and file.is_relative_to(top):
            folders.append(checkout / path)
    sent = set(found.values())
    for folder in folders:
        behind = (path for path in files_below(folder, checkout) if path.resolve() in sent)
        found |= {path.relative_to(checkout).as_posix(): path for path in behind}
    return sorted(found)


def _listed(checkout: Path) -> Iterator[str]:
    if not (checkout / ".git").exists():
        for folder, names, here in os.walk(checkout):
            names[:] = [name for name in names if name not in LEFT_OUT and not name.endswith(".egg-info")]
            relative = PurePosixPath(Path(folder).relative_to(checkout).as_posix())
            links = [name for name in names if (Path(folder) / name).is_symlink()]
            yield from (str(relative / name) for name in (*here, *links) if not name.endswith(".pyc"))
        return
    command = ["git", "-C", str(checkout), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIMIT, check=True)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise DispatchFailed(f"git doesn't list the files of {checkout}: {said}.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DispatchFailed(f"git doesn't list the files of {checkout}: {error}.") from error
    yield from {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}


def certificates(variables: Mapping[str, str]) -> str:
    """The certificates (PEM) that this machine trusts: of the file that a variable names, else of the system.

    Only certificates of that file are returned; without a file, nothing.
    """
    named = next((Path(variables[name]) for name in CA_VARIABLES if variables.get(name)), CA_BUNDLE)
    try:
        found = CERTIFICATE.findall(named.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return "".join(f"{certificate}\n" for certificate in found)


def network(variables: Mapping[str, str]) -> dict[str, object]:
    """Proxies and pip's index of this machine. Raises DispatchFailed for an address with a password."""
    proxies = {name: variables.get(name) or variables.get(name.upper()) or "" for name in PROXIES}
    index = variables.get("PIP_INDEX_URL") or _index_of_pip()
    for name, address in {**proxies, "pip's index": index}.items():
        if "//" in address and urlsplit(address).password:
            raise DispatchFailed(
                f"The address of {name} contains a password, which would be stored in the build environment.",
                hint="Remove the password from the address, and let the proxy or index accept this network instead.",
            )
    return {"proxies": {name: value for name, value in proxies.items() if value}, "index_url": index}


def _index_of_pip() -> str:
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _add(archive: tarfile.TarFile, path: str, data: bytes, *, executable: bool = False) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(data)
    entry.mode = 0o755 if executable else 0o644
    archive.addfile(entry, BytesIO(data))
