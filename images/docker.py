"""A thin adapter around the docker client: images, tags, and the containers of builds."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from images.errors import CommandFailed, DockerUnavailable

LIMIT = 60.0
"""Time limit of a call in seconds, unless it has one of its own."""

TRANSFER_LIMIT = 900.0
"""Time limit in seconds for pulling or pushing an image."""

BUILD_LABEL = "calvinverse.build"
"""Label of an image with the id of the build that made it."""

BUILDING, VALIDATING = "calvinverse-build-", "calvinverse-validate-"
"""Prefixes of the names of a build's containers, before its id. Labels wouldn't do: containers inherit the image's."""


class Docker:
    """Calls to the configured Docker engine. Raises DockerUnavailable if it doesn't answer."""

    def image_ids(self, references: Sequence[str]) -> dict[str, str]:
        """The ids of the existing images among `references`, in one call."""
        if not references:
            return {}
        form = "{{json .RepoTags}} {{.Id}}"
        listed = self._run(["image", "inspect", "--format", form, *references], check=False)
        wanted = set(references)
        found: dict[str, str] = {}
        for line in listed.splitlines():
            tags, _, identity = line.rpartition(" ")
            for reference in (*json.loads(tags or "[]"), identity):
                if reference in wanted:
                    found[reference] = identity
        return found

    def inspect(self, reference: str) -> dict[str, Any] | None:
        """All attributes of an image, or None if it doesn't exist."""
        answer = self._run(["image", "inspect", reference], check=False)
        found = json.loads(answer or "[]")
        return found[0] if found else None

    def load(self, archive: Path) -> str:
        """Loads the one image of an archive and returns its id."""
        answer = self._run(["load", "--quiet", "--input", str(archive)], limit=TRANSFER_LIMIT)
        identity = answer.strip().rpartition("ID: ")[2]
        if not identity.startswith("sha256:"):
            raise CommandFailed(f"`docker load` named no image id but said {answer.strip()!r}.")
        return identity

    def tag(self, identity: str, reference: str) -> None:
        """Points a tag at an image."""
        self._run(["image", "tag", identity, reference])

    def untag(self, reference: str) -> None:
        """Removes a tag, if it exists; an image with other names is kept."""
        self._run(["image", "rm", reference], check=False)

    def remove(self, identity: str) -> None:
        """Removes an image with all its tags, unless a container uses it or another image is made from it."""
        if self.inspect(identity) is not None:
            self._run(["image", "rm", "--force", identity])

    def pull(self, reference: str) -> str:
        """Pulls an image from its registry unless it exists locally, and returns its id. Raises CommandFailed."""
        if (found := self.inspect(reference)) is None:
            self._run(["pull", "--quiet", reference], limit=TRANSFER_LIMIT)
            found = self.inspect(reference)
        if found is None:
            raise CommandFailed(f"`docker pull` fetched no image {reference}.")
        return str(found["Id"])

    def push(self, reference: str) -> str:
        """Pushes a tag to its registry and returns the digest of the manifest there, `sha256:<hex>`."""
        said = self._run(["push", reference], limit=TRANSFER_LIMIT)
        digest = re.search(r"digest: (sha256:[0-9a-f]{64})", said)
        if digest is None:
            raise CommandFailed(f"`docker push` named no digest but said {said.strip()[-200:]!r}.")
        return digest[1]

    def images_of_containers(self) -> set[str]:
        """The ids of the images of all containers, running or not."""
        containers = self._run(["container", "ls", "--all", "--quiet", "--no-trunc"]).split()
        if not containers:
            return set()
        # A container that is removed meanwhile is no error.
        return set(self._run(["container", "inspect", "--format", "{{.Image}}", *containers], check=False).split())

    def remove_untagged(self, identity: str) -> None:
        """Removes an image unless a tag names it or a container uses it."""
        found = self.inspect(identity)
        if found is not None and not found["RepoTags"]:
            self._run(["image", "rm", identity], check=False)

    def start(
        self,
        image: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        build: str,
        *,
        entrypoint: Sequence[str] | None = None,
    ) -> str:
        """Starts the container in which a build is validated, without a network, and returns its id.

        `entrypoint` replaces the image's, unless it is None; with an empty one the container runs `command` alone.
        """
        variables = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
        options = ["--detach", "--network", "none", "--name", f"{VALIDATING}{build}"]
        program, *arguments = entrypoint or [""]
        replaced = [] if entrypoint is None else [f"--entrypoint={program}"]
        return self._run(["run", *options, *variables, *replaced, image, *arguments, *command]).strip()

    def check_platform(self, image: str) -> None:
        """Raises CommandFailed for an image that is made for another platform than that of the engine."""
        found = self.inspect(image) or {}
        made_for = f"{found.get('Os')}/{found.get('Architecture')}"
        runs = self._run(["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"]).strip()
        if made_for != runs:
            raise CommandFailed(f"The image {image} is made for {made_for}, and this Docker engine runs {runs}.")

    def container(self, identity: str) -> dict[str, Any]:
        """All attributes of a container."""
        found: dict[str, Any] = json.loads(self._run(["container", "inspect", identity]))[0]
        return found

    def exec(self, container: str, command: Sequence[str], *, user: str = "", limit: float = LIMIT) -> str:
        """The output of a command in a running container, run as the image's user or another. Raises CommandFailed."""
        options = ["--user", user] if user else []
        return self._run(["exec", *options, container, *command], limit=limit)

    def logs(self, container: str) -> str:
        """The output of a container so far, standard output and standard error together."""
        return self._run(["logs", container], check=False, errors=True)

    def remove_containers(self, build: str) -> None:
        """Removes the containers of a build, running or not, with their anonymous volumes."""
        self._run(["rm", "--force", "--volumes", f"{BUILDING}{build}", f"{VALIDATING}{build}"], check=False)

    def remove_untagged_of(self, build: str) -> None:
        """Removes untagged images of a build."""
        filters = ["--filter", "dangling=true", "--filter", f"label={BUILD_LABEL}={build}"]
        for identity in self._run(["image", "ls", "--quiet", "--no-trunc", *filters]).split():
            self._run(["image", "rm", identity], check=False)

    def _run(self, arguments: Sequence[str], *, limit: float = LIMIT, check: bool = True, errors: bool = False) -> str:
        try:
            done = subprocess.run(
                ["docker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if errors else subprocess.PIPE,
                timeout=limit,
                check=False,
                text=True,
            )
        except FileNotFoundError as error:
            raise DockerUnavailable("There is no docker client on the PATH.") from error
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(f"`docker {arguments[0]}` took longer than {limit:.0f} s.") from error
        complaint = (done.stderr or "").strip()
        if done.returncode != 0 and _engine_is_away(complaint):
            raise DockerUnavailable(f"No Docker engine answers: {complaint}")
        if check and done.returncode != 0:
            # The client's advice about its own options helps nobody here.
            complaint = complaint.partition("\nRun 'docker")[0].strip()
            raise CommandFailed(f"`docker {arguments[0]}` failed: {complaint or 'it says nothing'}")
        return done.stdout


def _engine_is_away(complaint: str) -> bool:
    return any(
        words in complaint for words in ("Cannot connect to the Docker daemon", "permission denied while trying")
    )
