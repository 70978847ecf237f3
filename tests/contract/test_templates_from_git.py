"""Templates out of git repositories: over the API, with the real git and repositories of this machine."""

import contextlib
import http.server
import itertools
import os
import shlex
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from environments.client.bundles import read_bundle
from environments.domain.errors import (
    InvalidSource,
    InvalidTemplate,
    MachineError,
    SourceDenied,
    SourceFailed,
    SourceUnavailable,
    UnknownRevision,
)
from environments.providers.git import calls as git_calls
from environments.providers.git.source import GitRepositories
from environments.service.sources import Sources
from environments.wire.system import Problem
from environments.wire.templates import GitPushRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import WEB, Served, served


class Repository:
    """A repository in a folder, with the template `web` in its root and in `sub/web`."""

    def __init__(self, folder: Path, names: str = "sha1") -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main", f"--object-format={names}")
        self.write("template.toml", WEB)
        self.write("sub/web/template.toml", WEB.replace('version = "3"', 'version = "sub"'))
        self.write("sub/web/app/job.hcl", 'job "x" {}')
        self.write("sub/web/.hidden", "no part of it")
        self.write("sub/web/__pycache__/x.pyc", "no part of it")
        self.first = self.commit("first")

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def git(self, *arguments: str) -> str:
        names = {f"GIT_{who}_{what}": "ada@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **names}
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=environ, capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, message: str) -> str:
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def version(self, version: str) -> str:
        self.write("template.toml", WEB.replace('version = "3"', f'version = "{version}"'))
        return self.commit(version)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "service") as running:
        yield running


@pytest.fixture
def web(api: Served) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as client:
        yield client


def git() -> GitRepositories:
    return GitRepositories(("file", "http"))


def test_a_template_is_pushed_from_a_branch_pinned_and_kept_without_its_repository(
    api: Served, web: httpx2.Client, repository: Repository
) -> None:
    commit = repository.version("4")
    with api.client() as client:
        view = client.push_from_git(GitPushRequest(url=repository.url))
    assert view.source is not None
    assert (view.version, view.source.ref, view.source.commit, view.source.path) == ("4", "main", commit, "")
    assert view.source.url == repository.url
    pinned = web.get("/v1/templates/web").json()
    assert pinned["source"] == {"url": repository.url, "ref": "main", "commit": commit, "path": ""}
    assert web.get("/v1/templates").json() == [pinned]
    newer = repository.version("5")
    assert web.get("/v1/templates/web").json() == pinned, "what a branch points at later changes nothing by itself"
    again = web.post("/v1/templates/from-git", json={"url": repository.url, "ref": "main"}).json()
    assert (again["version"], again["source"]["commit"]) == ("5", newer)
    shutil.rmtree(repository.folder)
    files = web.get("/v1/templates/web/bundle", params={"digest": pinned["digest"]}).json()["files"]
    assert "template.toml" in files
    gone = web.post("/v1/templates/from-git", json={"url": repository.url})
    assert Problem.model_validate(gone.json()).code == "source_denied"
    assert again["creation"] is None
    assert web.get("/v1/templates/web").json() == {**again, "creation": pinned["creation"]}
    made = web.post("/v1/environments", json={"name": "demo", "template": "web", "digest": pinned["digest"]})
    assert made.json()["environment"]["template_version"] == "4"


def test_the_same_again_changes_nothing_and_another_commit_is_told(web: httpx2.Client, repository: Repository) -> None:
    def push(**more: str) -> Any:
        return web.post("/v1/templates/from-git", json={"url": repository.url, **more}).json()

    first = push()
    assert push() == first
    repository.write("README", "nothing of the template")
    repository.write("sub/web/app/job.hcl", 'job "y" {}')
    other = push(path="/sub/web/")
    commit = repository.commit("elsewhere")
    second = push(path="sub/web")
    assert (second["source"]["commit"], second["source"]["path"]) == (commit, "sub/web")
    assert second["digest"] != other["digest"]
    assert push(path="./sub/web")["digest"] == second["digest"]
    repository.write("README", "still nothing of the template")
    third = push(path="sub/web") if repository.commit("readme") else None
    assert third is not None
    assert third["digest"] == second["digest"]
    assert third["source"]["commit"] != commit


def test_only_admins_and_nothing_is_fetched_for_others(api: Served, repository: Repository) -> None:
    with api.client() as admin:
        secret = admin.create_token(TokenRequest(owner="grace")).secret
    asked: list[str] = []

    class Asked:
        def fetch(self, url: str, ref: str | None, path: str) -> Any:
            asked.append(url)
            raise AssertionError("nobody may ask")

    sources = Sources(api.service.catalogue, Asked())
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as grace:
        refused = grace.post("/v1/templates/from-git", json={"url": repository.url})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    with pytest.raises(InvalidSource):
        sources.push(api.service.admin, url=repository.url, path="../x")
    assert asked == []


def test_a_revision_may_be_a_tag_a_branch_or_a_commit(repository: Repository) -> None:
    repository.git("tag", "light")
    tagged = repository.version("4")
    repository.git("tag", "--annotate", "--message", "it", "v4")
    repository.git("switch", "--quiet", "--create", "feature/x")
    branched = repository.version("5")
    repository.git("branch", "ünï/ветка")
    repository.git("switch", "--quiet", "main")
    newest = repository.version("6")
    expected = {
        "light": repository.first,
        "v4": tagged,
        "refs/tags/v4": tagged,
        "feature/x": branched,
        "refs/heads/feature/x": branched,
        "main": newest,
        "ünï/ветка": branched,
        "refs/heads/ünï/ветка": branched,
        branched.upper(): branched,
        branched[:12].upper(): branched,
        None: newest,
        tagged: tagged,
        repository.first: repository.first,
        branched[:12]: branched,
    }
    for ref, commit in expected.items():
        found = git().fetch(repository.url, ref, "")
        assert (found.commit, found.ref) == (commit, ref or "main"), ref
        assert found.bundle.digest == git().fetch(str(repository.folder), commit, "").bundle.digest
    assert git().fetch(repository.url, "HEAD", "") == git().fetch(repository.url, None, "")


def test_objects_may_be_named_by_sha_256(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository", "sha256")
    newest = repository.version("4")
    for ref, commit in {
        None: newest,
        "main": newest,
        repository.first: repository.first,
        repository.first[:12]: repository.first,
    }.items():
        assert git().fetch(repository.url, ref, "sub/web").commit == commit


def test_nothing_beside_the_template_is_fetched(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository.folder / "video").write_bytes(os.urandom(3_000_000))
    commit = repository.commit("beside")
    repository.version("4")
    monkeypatch.setattr(git_calls, "LARGEST_FETCH", 1_000_000)
    for ref in (None, commit, commit[:12]):
        assert git().fetch(repository.url, ref, "sub/web").bundle.files


def test_a_server_without_filters_gives_all(repository: Repository, tmp_path: Path) -> None:
    shim = _shim(tmp_path, 'GIT_CONFIG_GLOBAL=/dev/null exec {git} "$@"')
    for ref in (None, repository.first, repository.first[:12]):
        found = GitRepositories(("file",), environ=shim).fetch(repository.url, ref, "sub/web")
        assert found == git().fetch(repository.url, ref, "sub/web")


def test_a_repository_of_another_user_is_read_when_the_services_user_trusts_it(
    repository: Repository, tmp_path: Path
) -> None:
    environ = _shim(tmp_path, 'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {git} "$@"') | {"HOME": str(tmp_path)}
    others = GitRepositories(("file",), environ=environ)
    with pytest.raises(SourceDenied, match="belongs to another user") as refused:
        others.fetch(repository.url, None, "")
    advised = refused.value.hint.partition("`")[2].rstrip("`.")
    subprocess.run(shlex.split(advised), env=environ, check=True, timeout=60)
    assert others.fetch(repository.url, None, "").commit == repository.first


def _shim(folder: Path, script: str) -> dict[str, str]:
    """Variables with which `git` is this script."""
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script.format(git=shutil.which('git'))}\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


def test_a_commit_is_found_where_a_server_gives_only_what_has_a_name(repository: Repository, tmp_path: Path) -> None:
    program = shutil.which("git")
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    # The first version of git's protocol, as old servers speak it: nothing but what is advertised can be asked for.
    shim.write_text(f'#!/bin/sh\necho "$@" >>{shim}.log\nexec {program} -c protocol.version=0 "$@"\n')
    shim.chmod(0o755)
    repository.version("4")
    old = GitRepositories(("file",), environ={"PATH": f"{shim.parent}:{os.environ['PATH']}"})
    assert old.fetch(repository.url, repository.first, "").commit == repository.first
    assert "refs/heads/*" in Path(f"{shim}.log").read_text(), "the commit was given when it was asked for"
    with pytest.raises(UnknownRevision):
        old.fetch(repository.url, "0" * 40, "")


def test_the_bundle_is_that_of_the_folder(repository: Repository) -> None:
    found = git().fetch(repository.url, None, "sub/web")
    assert sorted(found.bundle.files) == ["app/job.hcl", "template.toml"]
    assert found.bundle.digest == read_bundle(repository.folder / "sub" / "web").digest


def test_what_is_not_there_is_named(repository: Repository) -> None:
    for ref in ("nope", "v1.0", "deadbeef", "0" * 40, "refs/tags/main"):
        with pytest.raises(UnknownRevision) as unknown:
            git().fetch(repository.url, ref, "")
        assert ref in unknown.value.message
        assert unknown.value.hint
    for path in ("nope", "sub", "sub/web/app/job.hcl", "README"):
        with pytest.raises(InvalidTemplate) as missing:
            git().fetch(repository.url, None, path)
        assert f"folder {path}" in missing.value.message
        assert "sub/web" in missing.value.hint
        assert "--path" in missing.value.hint
    empty = repository.folder.parent / "empty"
    subprocess.run(["git", "init", "--quiet", "--bare", str(empty)], check=True, timeout=120)
    with pytest.raises(UnknownRevision):
        git().fetch(str(empty), None, "")


def test_a_name_of_two_things_is_not_guessed(repository: Repository) -> None:
    repository.git("tag", "both")
    repository.git("branch", "both")
    with pytest.raises(InvalidSource) as refused:
        git().fetch(repository.url, "both", "")
    assert "refs/tags/both" in refused.value.hint
    assert git().fetch(repository.url, "refs/tags/both", "").commit == repository.first


def test_links_and_submodules_are_neither_followed_nor_left_out_silently(repository: Repository) -> None:
    secret = repository.folder.parent / "secret"
    secret.write_text("hunter2")
    (repository.folder / "sub" / "web" / "link").symlink_to(secret)
    repository.commit("link")
    with pytest.raises(InvalidTemplate, match="link is a link"):
        git().fetch(repository.url, None, "sub/web")
    (repository.folder / "sub" / "web" / "link").unlink()
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{repository.first},sub/web/module")
    repository.git("rm", "--quiet", "--cached", "sub/web/link")
    repository.git("commit", "--quiet", "--message", "submodule")
    with pytest.raises(InvalidTemplate, match="module is a submodule"):
        git().fetch(repository.url, None, "sub/web")
    assert git().fetch(repository.url, repository.first, "sub/web").bundle


def test_a_folder_that_is_too_large_is_refused_before_it_is_read(repository: Repository) -> None:
    (repository.folder / "sub" / "web" / "big").write_bytes(os.urandom(4 * 1024 * 1024 + 1))
    repository.commit("big")
    with pytest.raises(InvalidTemplate, match="more than 4194304 bytes"):
        git().fetch(repository.url, None, "sub/web")


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/owned",
        "ext::true",
        "--upload-pack=true",
        "file::/etc",
        "relative/path",
        "https://host:port/x",
        "https://ada:hunter2@git.example/x.git",
        "https://token@git.example/x.git",
        "https://git.example/x.git?private_token=hunter2",
        "ssh://ada:hunter2@git.example/x.git",
        "https://git.example/a b",
        "https://git.example/\n",
        "ftp://git.example/x",
        "/etc",
        "file:///etc",
        "http://git.example/x",
    ],
)
def test_addresses_that_could_do_harm_are_refused(url: str) -> None:
    with pytest.raises(InvalidSource) as refused:
        GitRepositories().fetch(url, None, "")
    assert "hunter2" not in refused.value.message
    assert refused.value.hint


def test_requests_that_make_no_sense_are_refused(web: httpx2.Client, repository: Repository) -> None:
    url = repository.url
    bodies: list[dict[str, Any]] = [
        {"url": url, "path": "../x"},
        {"url": url, "path": "/../etc"},
        {"url": url, "path": "//etc"},
        {"url": url, "path": "a//b"},
        {"url": url, "path": "a\x00b"},
        {"url": url, "ref": "--all"},
        {"url": url, "ref": "a..b"},
        {"url": url, "ref": "a:b"},
        {"url": url, "ref": "*"},
        {"url": url, "ref": "ü*"},
        {"url": url, "ref": "a\u202eb"},
        {"url": url, "ref": ""},
        {"url": "", "ref": "main"},
        {"url": url, "what": 1},
        {},
    ]
    for body in bodies:
        answer = web.post("/v1/templates/from-git", json=body)
        problem = Problem.model_validate(answer.json())
        assert (answer.status_code, problem.status) == (422, 422), body
        assert problem.code in ("invalid_source", "invalid_input"), body
    broken = repository.folder / "template.toml"
    broken.write_text("[template]")
    repository.commit("broken")
    assert web.post("/v1/templates/from-git", json={"url": url}).json()["code"] == "invalid_template"


def test_a_host_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"
        with pytest.raises(SourceUnavailable, match=r"didn't answer within 0\.5 s"):
            GitRepositories(("http",), time_limit=0.5).fetch(url, None, "")
    with pytest.raises(SourceUnavailable, match="can't be reached") as away:
        git().fetch(url, None, "")
    assert away.value.transient


def test_a_host_that_sends_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_calls, "_MOST_MEMORY", 256 << 20)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(b"001e# service=git-upload-pack\n0000")
                for number in itertools.count():
                    line = b"a" * 40 + b" refs/heads/%s-%d\n" % (b"x" * 60000, number)
                    self.wfile.write(b"%04x" % (len(line) + 4) + line)

        def log_message(self, *_: object) -> None:
            pass

    with _serving(Handler) as address, pytest.raises(SourceFailed):
        GitRepositories(("http",), time_limit=60).fetch(f"{address}/x.git", None, "")


def test_a_repository_that_is_too_large_is_not_read(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_calls, "LARGEST_FETCH", 1000)
    with pytest.raises(SourceFailed, match="larger than the service reads"):
        GitRepositories(("file",)).fetch(repository.url, None, "")


def test_a_host_that_refuses_us_is_told_apart(tmp_path: Path) -> None:
    shown: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers["Authorization"])
            self.send_response(401 if "private" in self.path else 404)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with _serving(Handler) as address:
        for path in ("private.git", "nope.git"):
            with pytest.raises(SourceDenied) as denied:
                git().fetch(f"{address}/{path}", None, "")
            assert "~/.ssh" in denied.value.hint or denied.value.hint
        assert set(shown) == {None}
        credentials = tmp_path / "git credentials"
        line = address.replace("http://", "http://ada:hunter2@") + "\n"
        credentials.write_text(line)
        with pytest.raises(SourceDenied) as denied:
            GitRepositories(("http",), credentials).fetch(f"{address}/private.git", None, "")
        assert "Basic YWRhOmh1bnRlcjI=" in shown
        assert "hunter2" not in denied.value.message
        assert credentials.read_text() == line, "what was refused stays in the file of its owner"


def test_a_machine_without_git_is_named(repository: Repository) -> None:
    with pytest.raises(MachineError, match="no git"):
        GitRepositories(("file",), environ={"PATH": "/nowhere"}).fetch(repository.url, None, "")


def test_what_git_says_otherwise_is_told(repository: Repository) -> None:
    shutil.rmtree(repository.folder / ".git" / "objects")
    with pytest.raises(SourceFailed):
        git().fetch(repository.url, None, "")


@contextmanager
def _serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="git-host")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(120)
