"""A Debian 12 with git, make and Python 3.11, and nothing else, made by mmdebstrap; commands run in it by chroot.

Each command has mounts, processes, host name and IPC of its own, in namespaces that end with it. It has the network of
the host, for packages and modules.
"""

import os
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from images.commands import CommandResult, run
from images.pipeline.debian import SUITE, host_sources
from images.places import CHECKOUT

PACKAGES = ("git", "make", "python3")

ABSENT = ("go", "gcc", "cc", "docker", "dockerd", "npm", "curl", "pip", "nomad", "consul", "bao", "tofu", "packer")
"""Programs that must not be there at first."""

CHECKOUT_INSIDE = "/root/calvinverse"
BUNDLE = "calvinverse.bundle"
AUTHORITIES = "usr/local/share/ca-certificates"
BUNDLED_AUTHORITIES = "opt/authorities.pem"

PASSED_ON = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PIP_INDEX_URL",
    "PIP_DEFAULT_TIMEOUT",
    "GOPROXY",
    "GOSUMDB",
)
"""Variables by which this host reaches package registries; no other one goes in."""

MAKE_LIMIT = 1800.0


@dataclass(frozen=True)
class Ran:
    """A command that ran: its result, and seconds by the clock."""

    result: CommandResult
    seconds: float


@dataclass(frozen=True)
class FreshDebian:
    """The tree in a folder; `make` fills it."""

    folder: Path
    tell: Callable[[str], object]

    @property
    def root(self) -> Path:
        """Its root folder."""
        return self.folder / "root"

    def make(self) -> None:
        """Makes it, with what lets it reach what this host reaches, and the last commit of this checkout as a bundle.

        Raises CommandFailed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        sources = self.folder / "sources.list"
        sources.write_text(host_sources(), encoding="utf-8")
        command = ["unshare", "--mount", "--propagation", "private", "--", "mmdebstrap", "--variant=minbase"]
        command += ["--format=directory", f"--include={','.join(PACKAGES)}", SUITE, str(self.root)]
        command += [str(sources)] if sources.stat().st_size else []
        log = self.folder / "mmdebstrap.log"
        run(command, limit=MAKE_LIMIT, log=log).check("Debian can't be made", log=log)
        shutil.copyfile("/etc/resolv.conf", self.root / "etc" / "resolv.conf")
        (self.root / "etc" / "hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")
        # Authorities of this host alone, such as that of a proxy: Debian's package of certificates takes them in.
        own = Path("/", AUTHORITIES)
        if own.is_dir():
            shutil.copytree(own, self.root / AUTHORITIES, dirs_exist_ok=True)
        if bundle := os.environ.get("PIP_CERT"):
            shutil.copyfile(bundle, self.root / BUNDLED_AUTHORITIES)
        git = ["git", "-C", str(CHECKOUT), "bundle", "create", str(self.root / "opt" / BUNDLE), "HEAD"]
        run(git, limit=300).check("The last commit can't be bundled")

    def run(self, command: str, *, limit: float) -> Ran:
        """Runs a shell command inside, as root, in namespaces of its own; its output is told, line by line."""
        inside = f"cd {CHECKOUT_INSIDE} 2>/dev/null || cd /root; {command}"
        script = f'mount -t proc proc "$1/proc" && exec chroot "$1" env -i {self._variables()} sh -ec "$2"'
        isolated = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--uts",
            "--ipc",
        ]
        began = time.monotonic()
        result = run(
            [*isolated, "--", "sh", "-c", script, "sh", str(self.root), inside],
            limit=limit,
            log=self.folder / "commands.log",
            on_line=self.tell,
        )
        return Ran(result, time.monotonic() - began)

    def says(self, command: str) -> str:
        """What a short command prints; CommandFailed if it fails."""
        lines: list[str] = []
        ran = FreshDebian(self.folder, lines.append).run(command, limit=300)
        ran.result.check(f"`{command}` failed in Debian")
        return "\n".join(lines)

    def remove(self) -> None:
        """Removes it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _variables(self) -> str:
        given = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        given |= {
            "HOME": "/root",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
        }
        if (self.root / BUNDLED_AUTHORITIES).exists():
            given["PIP_CERT"] = f"/{BUNDLED_AUTHORITIES}"
        return " ".join(shlex.quote(f"{name}={value}") for name, value in given.items())
