"""Downloads Debian packages for an image on the host with its apt, which checks their signatures and hashes.

apt works in a folder of the build (`Private`) as if it ran in the parent image: it ignores the host's packages,
sources and preferences, and changes nothing on the host.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from images.commands import output, run
from images.errors import CommandFailed, ImageBuildFailed, InvalidRecipe
from images.pipeline.preparation import Preparation

SUITE = "bookworm"
SUITES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")

SOURCES = "sources.list"
SOURCES_VARIABLE = "CALVINVERSE_DEBIAN_SOURCES"
KEYRINGS = Path("/usr/share/keyrings")
UPDATE_LIMIT = 300.0
DOWNLOAD_LIMIT = 900.0


def debian_sources(preparation: Preparation) -> None:
    """Writes `sources.list`: the Debian 12 mirrors of this host, or none for mmdebstrap's own choice."""
    (preparation.work / SOURCES).write_text(host_sources(), encoding="utf-8")


def host_sources() -> str:
    """The text of a sources.list with the Debian 12 mirrors of this host; empty if its apt has none.

    A file that the variable CALVINVERSE_DEBIAN_SOURCES names is used unchanged. Raises ImageBuildFailed if it can't
    be read.
    """
    if given := os.environ.get(SOURCES_VARIABLE):
        try:
            return Path(given).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ImageBuildFailed(
                f"The list of Debian mirrors {given} can't be read.", hint=f"See the variable {SOURCES_VARIABLE}."
            ) from error
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
    listed = output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], limit=60) or ""
    return "".join(f"{line}\n" for line in mirrors(listed))


def mirrors(listed: str) -> list[str]:
    """Lines of a sources.list from lines of `apt-get indextargets`: address, suite, component, origin.

    The origin is unknown while the host has no package lists; then an address that ends like those of Debian is
    accepted.
    """
    found: list[str] = []
    for line in listed.splitlines():
        address, suite, component, origin = (line.split(maxsplit=3) + [""] * 4)[:4]
        known = origin == "Debian" if not origin.startswith("$") else re.search(r"/debian(-security)?/?$", address)
        entry = f"deb {address} {suite} main"
        if known and suite in SUITES and component == "main" and entry not in found:
            found.append(entry)
    return found if any(f" {SUITE} " in entry for entry in found) else []


def debian_packages(preparation: Preparation) -> None:
    """Fills `debs` with the recipe's `packages` and their dependencies that the parent lacks, and fills `unpacked`.

    Packages in `without` are left out, with dependencies that only they need; dpkg then needs `--ignore-depends`. Both
    folders contain `*.deb`. Those in `unpacked` have no dependencies, for an install script that uses single files.
    `debs` is empty if the parent has everything. Raises InvalidRecipe for an image without a parent, ImageBuildFailed
    where apt is missing or knows no mirror, CommandFailed when apt or Docker fails.
    """
    recipe, work = preparation.recipe, preparation.work
    if not preparation.parent:
        raise InvalidRecipe(
            f"images/{recipe.name}/image.toml: packages are added to those of a parent, and there is none."
        )
    if shutil.which("apt-get") is None:
        raise ImageBuildFailed(
            f"The image {recipe.name} is made with Debian packages, and this machine has no apt to get them with.",
            hint="Build it on Debian or Ubuntu.",
        )
    if not (work / SOURCES).exists():
        debian_sources(preparation)
    sources = (work / SOURCES).read_text(encoding="utf-8") or _default_sources(work, preparation.log)
    apt = Private(work / "apt", preparation.log)
    apt.make(installed=_installed_packages(preparation.parent), sources=sources)
    for folder in ("debs", "unpacked"):
        (work / folder).mkdir()
    apt.assume(recipe.build.without)
    if recipe.build.packages:
        wanted = ["--yes", "--download-only", "--no-install-recommends", "install", *recipe.build.packages]
        apt.run(wanted, "Getting Debian packages failed")
        for package in sorted((apt.folder / "var/cache/apt/archives").glob("*.deb")):
            package.rename(work / "debs" / package.name)
    if recipe.build.unpacked:
        apt.run(["download", *recipe.build.unpacked], "Getting Debian packages failed", cwd=work / "unpacked")
    shutil.rmtree(apt.folder)


@dataclass(frozen=True)
class Private:
    """An apt with all its files in one folder."""

    folder: Path
    log: Path

    def make(self, *, installed: bytes, sources: str) -> None:
        """Makes the folder with apt's configuration, and downloads the lists of packages.

        `installed` is a dpkg status file. Raises CommandFailed when apt fails.
        """
        for name in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d"):
            (self.folder / name).mkdir(parents=True)
        for name in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg", "var/log/apt"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "var/lib/dpkg/status").write_bytes(installed)
        (self.folder / "etc/apt/sources.list").write_text(sources, encoding="utf-8")
        for keyring in _keyrings():
            shutil.copyfile(keyring, self.folder / "etc/apt/trusted.gpg.d" / keyring.name)
        (self.folder / "apt.conf").write_text(self._configuration(), encoding="utf-8")
        self.run(["update"], "Getting the lists of Debian packages failed", limit=UPDATE_LIMIT)

    def assume(self, names: Iterable[str]) -> None:
        """Counts packages as installed, in the version that would be. Raises ImageBuildFailed for an unknown one."""
        with (self.folder / "var/lib/dpkg/status").open("a", encoding="utf-8") as status:
            for name in names:
                policy = self._cache("policy", name)
                version = next(iter(re.findall(r"^ *Candidate: (.*)$", policy, re.MULTILINE)), "(none)")
                told = "" if version == "(none)" else self._cache("show", f"{name}={version}")
                known = re.findall(r"^(?:Package|Version|Architecture|Multi-Arch|Provides): .*$", told, re.MULTILINE)
                if not known:
                    raise ImageBuildFailed(f"There is no Debian package {name!r} that could be left out.")
                status.write("\n" + "\n".join([*known, "Status: hold ok installed", ""]))

    def run(
        self, arguments: Iterable[str], failed: str, *, limit: float = DOWNLOAD_LIMIT, cwd: Path | None = None
    ) -> None:
        """Runs apt-get. Raises CommandFailed with `failed` as the message."""
        ended = run(["apt-get", "-q", *arguments], limit=limit, env=self._environment, cwd=cwd, log=self.log)
        ended.check(failed, log=self.log)

    def _cache(self, *arguments: str) -> str:
        return output(["apt-cache", *arguments], limit=60, env=self._environment) or ""

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"}

    def _configuration(self) -> str:
        """The host's settings for access to the mirrors, such as proxy and passwords; all other settings are ours."""
        said = output(["apt-config", "dump"], limit=60) or ""
        theirs = [line for line in said.splitlines() if re.match(r"Acquire::(https?|ForceIPv[46])\b", line)]
        architecture = (output(["dpkg", "--print-architecture"], limit=60) or "").strip()
        ours = {
            "Dir": self.folder,
            "Dir::Etc::netrc": "/etc/apt/auth.conf",
            "Dir::Etc::netrcparts": "/etc/apt/auth.conf.d",
            "Dir::State::status": self.folder / "var/lib/dpkg/status",
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Install-Recommends": "false",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        return "".join(f"{line}\n" for line in [*theirs, *(f'{name} "{value}";' for name, value in ours.items())])


def _keyrings() -> list[Path]:
    """Debian's keys: where Debian and Ubuntu install them, and those that the host's apt trusts."""
    found = {file.name: file for file in Path("/etc/apt/trusted.gpg.d").glob("*") if file.suffix in (".gpg", ".asc")}
    found |= {file.name: file for file in KEYRINGS.glob("debian-archive-*.gpg") if "removed" not in file.name}
    return list(found.values())


def _installed_packages(image: str) -> bytes:
    """The dpkg status file of an image. Raises CommandFailed if it has none."""
    # The engine removes the container even if this process is killed.
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint=cat", image, "/var/lib/dpkg/status"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandFailed(f"The packages of the image {image} can't be read: {error}.") from error
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode(errors="replace").strip()
        raise CommandFailed(f"The packages of the image {image} can't be read: {said or 'it has none'}.")
    return done.stdout


def _default_sources(work: Path, log: Path) -> str:
    """Debian's own mirrors as mmdebstrap names them, for a host whose apt has none of Debian 12.

    Raises ImageBuildFailed where mmdebstrap can't be asked.
    """
    kept = work / "default.list"
    # The hook stops mmdebstrap before it downloads anything.
    hook = f'cp "$1/etc/apt/sources.list" {shlex.quote(str(kept))}; exit 1'
    run(
        ["mmdebstrap", "--variant=custom", "--format=null", f"--setup-hook={hook}", SUITE, "/dev/null"],
        limit=60,
        log=log,
    )
    if not kept.is_file():
        raise ImageBuildFailed(
            "This host's apt knows no mirror of Debian 12, and mmdebstrap names none.",
            hint=f"Add one to the host's apt, also at a low priority. mmdebstrap's answer is in {log}.",
        )
    return kept.read_text(encoding="utf-8")
