"""What people do at the forge of tests with git, and the API can't: force or delete a branch, push for review."""

import base64
import os
import subprocess
import tempfile
from pathlib import Path

from tests.support.forge import Forge, owner
from tests.support.gitea import CALL_LIMIT


def force_push(forge: Forge, repository: str, branch: str, *, by: str = "") -> str:
    """Lets a branch lead to a new commit on top of `main`, whatever it led to before; the hash of that."""
    with tempfile.TemporaryDirectory(prefix="calvinverse-git-") as folder:
        git = _Git(forge, repository, by or owner(repository), Path(folder))
        git("init", "-q")
        git("fetch", "-q", git.remote, "main")
        git("checkout", "-q", "--detach", "FETCH_HEAD")
        git("commit", "-q", "--allow-empty", "-m", "Begin again")
        git("push", "-q", "--force", git.remote, f"HEAD:refs/heads/{branch}")
        return git("rev-parse", "HEAD").strip()


def push_deletion(forge: Forge, repository: str, branch: str, *, by: str = "") -> None:
    """Deletes a branch by a push."""
    with tempfile.TemporaryDirectory(prefix="calvinverse-git-") as folder:
        git = _Git(forge, repository, by or owner(repository), Path(folder))
        git("init", "-q")
        git("push", "-q", "--delete", git.remote, branch)


def push_for_review(forge: Forge, repository: str, *, by: str) -> None:
    """Makes a pull request by a push to `refs/for/main`: for that somebody need only read the repository."""
    with tempfile.TemporaryDirectory(prefix="calvinverse-git-") as folder:
        git = _Git(forge, repository, by, Path(folder))
        git("clone", "-q", git.remote, ".")
        git("commit", "-q", "--allow-empty", "-m", "For review")
        git("push", "-q", git.remote, "HEAD:refs/for/main", "-o", "topic=review")


class _Git:
    """Runs git as somebody; the token is in its environment, and the user's own settings aren't read."""

    def __init__(self, forge: Forge, repository: str, by: str, folder: Path) -> None:
        self.remote = f"{forge.server.address}/{repository}.git"
        self._folder = folder
        token = base64.b64encode(f"{by}:{forge.person(by).token}".encode()).decode()
        settings = {
            "http.extraHeader": f"Authorization: Basic {token}",
            "user.name": by,
            "user.email": f"{by}@forge.example",
        }
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for number, (name, value) in enumerate(settings.items()):
            self._environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CALL_LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"git {arguments[0]}: {done.stderr[-2000:]}"
        return done.stdout
