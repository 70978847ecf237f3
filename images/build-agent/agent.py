#!/usr/bin/python3 -I
"""Runs one build in an environment: fetches the sources, builds images from them, and pushes these to a registry.

    build-agent           builds what the variables below say, and exits with the status of the build
    build-agent health    checks that the engine answers: exit status 0, or 1 and a sentence

NOMAD_META_source         digest of the archive with the sources, a blob of the repository `calvinverse/source`
NOMAD_META_images         names of images, separated by spaces; empty for all NOMAD_META_anew           `true` builds
them even if they exist REGISTRY                  host:port of the registry with the sources, to which images are pushed
BUILDS                    a folder with the same path on the node, for files that the engine must find there
NOMAD_ALLOC_ID, NOMAD_ALLOC_DIR   set by Nomad; the records of the builds are stored in data/records.tar.gz of the
latter

The archive contains the project, and may contain settings of the sender's network for the build: `ca.pem` (certificates
to trust), `sources.list` (mirrors of Debian), `network.json` (`proxies` by the name of their variable, `index_url`).
"""

import contextlib
import fcntl
import gzip
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PYTHON = "/opt/builder/bin/python"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
SOCKET = "/var/run/docker.sock"
REPOSITORY = "calvinverse/source"
BUILD = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{12}-[0-9a-f]{4}")
"""As `images.catalogue.records` writes it; nothing of ours is imported here."""

PROXIES = ("http_proxy", "https_proxy", "no_proxy")

LARGEST = 512 * 1024**2
"""The most bytes of an archive, and of its content."""

GRACE = 25.0
"""Seconds within which a build must clean up after it was told to stop; Nomad waits for 30."""

CALL_LIMIT = 60.0
"""Time limit in seconds for a call of the registry or the engine."""

YOUNG = 60.0
"""The age in seconds up to which a folder may belong to an agent that hasn't locked it yet."""

KILLED = 137
"""The status of a build that didn't stop when it was told to."""

_clearing = threading.Event()
"""Set when only cleaning up is left to do: then signals no longer stop the agent."""


class Refused(Exception):
    """The agent can't do what is requested; the message says why."""


@dataclass(frozen=True)
class Order:
    """What to build: see the module.

    `folder` is on the node, and stays there if the agent is killed; `scratch` is removed with the agent's container.
    """

    source: str
    images: tuple[str, ...]
    anew: bool
    registry: str
    folder: Path
    scratch: Path
    result: Path

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Order":
        """Reads the order from the variables. Raises Refused."""
        source = variables.get("NOMAD_META_source", "")
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", source):
            raise Refused(f"NOMAD_META_source must be the digest of an archive, and is {source!r}.")
        images = tuple(variables.get("NOMAD_META_images", "").split())
        if wrong := [name for name in images if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name)]:
            raise Refused(f"{wrong[0]!r} can't be the name of an image.")
        try:
            return cls(
                source=source,
                images=images,
                anew=variables.get("NOMAD_META_anew", "") == "true",
                registry=variables["REGISTRY"],
                folder=Path(variables["BUILDS"]) / f"agent-{variables['NOMAD_ALLOC_ID']}",
                scratch=Path(tempfile.gettempdir()) / "build",
                result=Path(variables["NOMAD_ALLOC_DIR"]) / "data" / "records.tar.gz",
            )
        except KeyError as error:
            raise Refused(f"The variable {error.args[0]} isn't set.") from error


def say(sentence: str) -> None:
    """Writes one line for the person who follows the build."""
    print(f"agent: {sentence}", file=sys.stderr, flush=True)


def fetch(registry: str, digest: str, target: Path) -> None:
    """Fetches a blob from the repository of sources. Raises Refused if it is missing or has another digest."""
    connection = http.client.HTTPConnection(registry, timeout=CALL_LIMIT)
    seen, count = hashlib.sha256(), 0
    try:
        connection.request("GET", f"/v2/{REPOSITORY}/blobs/{digest}")
        answer = connection.getresponse()
        if answer.status != 200:
            raise Refused(f"The registry {registry} has no sources {digest}: it answers with {answer.status}.")
        with target.open("wb") as file:
            while chunk := answer.read(1024 * 1024):
                count += len(chunk)
                if count > LARGEST:
                    raise Refused(f"The archive with the sources is larger than {LARGEST} bytes.")
                seen.update(chunk)
                file.write(chunk)
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"The sources can't be fetched from {registry}: {error}.") from error
    finally:
        connection.close()
    if f"sha256:{seen.hexdigest()}" != digest:
        raise Refused(f"What the registry gave isn't {digest}.")


def unpack(archive: Path, folder: Path) -> int:
    """Unpacks plain files below a new folder, and returns their number.

    Raises Refused for links, devices, paths that lead elsewhere, duplicate files, and too many bytes.
    """
    count = total = 0
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.is_absolute() or ".." in path.parts:
                    raise Refused(f"{member.name!r} is no plain file of the sources.")
                total += member.size
                if total > LARGEST:
                    raise Refused(f"The sources take more than {LARGEST} bytes.")
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                content = opened.extractfile(member)
                assert content is not None
                with target.open("xb") as file:
                    shutil.copyfileobj(content, file)
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
                count += 1
    except (OSError, EOFError, gzip.BadGzipFile, tarfile.TarError) as error:
        raise Refused(f"The archive with the sources can't be unpacked: {error}.") from error
    return count


def environment(order: Order, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of the build: ours, and the network settings of the sources. Raises Refused."""
    source, scratch = order.scratch / "source", order.scratch
    found = {name: variables[name] for name in ("DOCKER_HOST", "LANG", "PATH") if name in variables}
    found |= {
        "CALVINVERSE_STATE": str(order.folder / "state"),
        "CALVINVERSE_CACHE": str(scratch / "cache"),
        "HOME": str(scratch / "home"),
        # Packer's plugins listen on sockets here, and the path of a socket can have at most 107 bytes.
        "TMPDIR": str(scratch),
        # The docker plugin mounts this folder into the build's container, and the engine looks for it on the node.
        "PACKER_TMP_DIR": str(order.folder / "mounted"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PIP_CERT": str(CERTIFICATES),
        "REQUESTS_CA_BUNDLE": str(CERTIFICATES),
    }
    if (source / "sources.list").is_file():
        found["CALVINVERSE_DEBIAN_SOURCES"] = str(source / "sources.list")
    if not (source / "network.json").is_file():
        return found
    try:
        network = json.loads((source / "network.json").read_text(encoding="utf-8"))
        proxies = {name: str(network.get("proxies", {}).get(name, "")) for name in PROXIES}
        index = str(network.get("index_url", ""))
    except (OSError, ValueError, AttributeError) as error:
        raise Refused(f"network.json of the sources can't be read: {error}.") from error
    for name, value in proxies.items():
        if value:
            found |= {name: value, name.upper(): value}
    if index:
        found["PIP_INDEX_URL"] = index
    return found


def trust(sent: Path, certificates: Path = CERTIFICATES) -> None:
    """Trusts the certificates that the sender of the sources trusts, if the archive has them."""
    if sent.is_file():
        certificates.write_bytes(sent.read_bytes())


def run(order: Order, variables: Mapping[str, str]) -> int:
    """Runs the build in the sources and returns its exit status. When told to stop, it lets the build clean up."""
    command = [PYTHON, "-m", "images.pipeline", "build", *order.images, "--push", order.registry]
    if order.anew:
        command.append("--anew")
    child = subprocess.Popen(
        command,
        cwd=order.scratch / "source",
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return child.wait()
    except KeyboardInterrupt:
        say("told to stop; the build cleans up")
        child.terminate()
        try:
            return child.wait(GRACE)
        except subprocess.TimeoutExpired:
            say(f"the build didn't stop within {GRACE:.0f} s and is killed")
            return KILLED
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def pack(state: Path, result: Path) -> int:
    """Packs the records and journals of all builds, for the client that dispatched the build; returns their number."""
    records = sorted(state.glob("images/*/builds/*/*")) + sorted(state.glob("images/*/journal.jsonl"))
    unfinished = result.with_name(f".{result.name}")
    with tarfile.open(unfinished, "w:gz") as archive:
        for file in records:
            if file.is_file() and not file.is_symlink():
                archive.add(file, arcname=file.relative_to(state).as_posix(), recursive=False)
    unfinished.replace(result)
    return len({file.parent for file in records if file.name == "record.json"})


def engine(*arguments: str) -> str:
    """The output of the engine's client; empty if it fails."""
    command = ["docker", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CALL_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"`{' '.join(command)}` failed: {error}")
        return ""
    return done.stdout


def clear(folder: Path, ask: Callable[..., str] = engine) -> None:
    """Removes what a build left: containers, untagged images, tags for pushing, and its folder."""
    for current in folder.glob("state/images/*/current"):
        build = next(iter(current.read_text(encoding="utf-8", errors="replace").splitlines()), "")
        if not BUILD.fullmatch(build):  # after a power loss; it names no container
            continue
        ask("rm", "--force", "--volumes", f"calvinverse-build-{build}", f"calvinverse-validate-{build}")
        mine = ("--filter", "dangling=true", "--filter", f"label=calvinverse.build={build}")
        for image in ask("image", "ls", "--quiet", "--no-trunc", *mine).split():
            ask("image", "rm", image)
    pushing = folder / "pushing"
    if pushing.is_file() and (registry := pushing.read_text(encoding="utf-8")):
        shown = ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{registry}/*/*").split()
        for tag in shown:
            if not tag.endswith(":<none>"):
                ask("image", "rm", tag)
    shutil.rmtree(folder, onerror=_force)


def _force(function: Callable[..., object], path: str, error: object) -> None:
    """Removes a file whose folder isn't writable."""
    with contextlib.suppress(OSError):
        for blocked in (Path(path).parent, Path(path)):
            if not blocked.is_symlink():
                blocked.chmod(stat.S_IMODE(blocked.stat().st_mode) | 0o700)
        if function in (os.rmdir, os.unlink):
            function(path)
        else:
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def own_folders(order: Order) -> Iterator[None]:
    """Creates the build's folders and removes them afterwards. First removes what killed agents left."""
    for other in order.folder.parent.glob("agent-*"):
        if _abandoned(other):
            say(f"removing what {other.name} left")
            clear(other)
    order.folder.mkdir(mode=0o711)
    with (order.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (order.folder / "state").mkdir(mode=0o700)
        (order.folder / "mounted").mkdir(mode=0o711)
        for name in ("source", "cache", "home"):
            (order.scratch / name).mkdir(parents=True)
        try:
            yield
        finally:
            _clearing.set()
            clear(order.folder)
            shutil.rmtree(order.scratch, onerror=_force)


def _abandoned(folder: Path) -> bool:
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except FileNotFoundError:
        return folder.is_dir() and time.time() - folder.stat().st_mtime > YOUNG
    except OSError:
        return False  # its agent is still running


def build(order: Order, variables: Mapping[str, str]) -> int:
    """Carries out the order, and returns the status of the build. Raises Refused."""
    if why := engine_is_away(variables.get("DOCKER_HOST", "")):
        raise Refused(f"The engine {why}.")
    with own_folders(order):
        archive, source = order.scratch / "source.tar.gz", order.scratch / "source"
        fetch(order.registry, order.source, archive)
        count = unpack(archive, source)
        archive.unlink()
        say(f"{count} files of {order.source}")
        trust(source / "ca.pem")
        (order.folder / "pushing").write_text(order.registry, encoding="utf-8")
        try:
            status = run(order, environment(order, variables))
            if 0 <= status != KILLED:
                (order.folder / "pushing").unlink()
        finally:
            say(f"{pack(order.folder / 'state', order.result)} builds are recorded")
    return status if status >= 0 else 128 - status


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=4.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def engine_is_away(address: str = "") -> str:
    """Why the engine doesn't answer; empty if it does."""
    connection = _UnixConnection(address.removeprefix("unix://") or SOCKET)
    try:
        connection.request("GET", "/_ping")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"doesn't answer at its socket: {error}"
    finally:
        connection.close()
    return "" if status == 200 else f"answers with {status}"


def _stop(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not _clearing.is_set():
        raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Runs the command that the module describes; returns the exit status."""
    if arguments == ["health"]:
        if why := engine_is_away(os.environ.get("DOCKER_HOST", "")):
            print(f"the engine {why}", file=sys.stderr)
        return 1 if why else 0
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    say("this agent has access to the engine's socket: code that it runs has root's rights on this node")
    try:
        return build(Order.read(os.environ), os.environ)
    except Refused as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
