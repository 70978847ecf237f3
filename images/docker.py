"""A thin adapter around the docker client: images, tags, and the containers of builds."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from images.errors import CommandFailed, DockerUnavailable

LIMIT = 60.0
"""Seconds that a call may take unless it says otherwise."""

BUILD_LABEL = "calvinverse.build"
"""Label of an image with the id of the build that made it."""

BUILDING, VALIDATING = "calvinverse-build-", "calvinverse-validate-"
"""The names of a build's containers, before its id. Labels won't do: every container has those of its image."""


class Docker:
    """Calls to the Docker engine that the environment names. Raises DockerUnavailable when none answers."""

    def image_ids(self, references: Sequence[str]) -> dict[str, str]:
        """The ids of those of the images that exist, by reference; one call for all."""
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
        """All that the engine knows of an image, or None if there is none."""
        answer = self._run(["image", "inspect", reference], check=False)
        found = json.loads(answer or "[]")
        return found[0] if found else None

    def load(self, archive: Path) -> str:
        """Loads the one image of an archive and returns its id."""
        answer = self._run(["load", "--quiet", "--input", str(archive)], limit=300)
        identity = answer.strip().rpartition("ID: ")[2]
        if not identity.startswith("sha256:"):
            raise CommandFailed(f"`docker load` named no image id but said {answer.strip()!r}.")
        return identity

    def tag(self, identity: str, reference: str) -> None:
        """Points a tag at an image."""
        self._run(["image", "tag", identity, reference])

    def remove_untagged(self, identity: str) -> None:
        """Removes an image unless a tag names it or a container uses it."""
        found = self.inspect(identity)
        if found is not None and not found["RepoTags"]:
            self._run(["image", "rm", identity], check=False)

    def start(self, image: str, command: Sequence[str], environment: Mapping[str, str], build: str) -> str:
        """Starts the container in which a build is validated, without a network, and returns its id."""
        variables = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
        options = ["--detach", "--network", "none", "--name", f"{VALIDATING}{build}"]
        return self._run(["run", *options, *variables, image, *command]).strip()

    def container(self, identity: str) -> dict[str, Any]:
        """All that the engine knows of a container."""
        found: dict[str, Any] = json.loads(self._run(["container", "inspect", identity]))[0]
        return found

    def logs(self, container: str) -> str:
        """What a container has written so far, output and errors together."""
        return self._run(["logs", container], check=False, errors=True)

    def remove_containers(self, build: str) -> None:
        """Removes the containers of a build, running or not, with their anonymous volumes."""
        self._run(["rm", "--force", "--volumes", f"{BUILDING}{build}", f"{VALIDATING}{build}"], check=False)

    def remove_untagged_of(self, build: str) -> None:
        """Removes untagged images that a build committed and didn't get to name."""
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
            raise CommandFailed(f"`docker {arguments[0]}` failed: {complaint or 'it says nothing'}")
        return done.stdout


def _engine_is_away(complaint: str) -> bool:
    return any(
        words in complaint for words in ("Cannot connect to the Docker daemon", "permission denied while trying")
    )
