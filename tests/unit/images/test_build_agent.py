"""The build agent's own program, on a registry in memory and without an engine."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.build_agent_harness import archive, order, program

BUILD = "20270301T120000-0123456789ab-c0de"


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.fixture
def agent() -> Iterator[ModuleType]:
    with program() as module:
        yield module


class TestOrder:
    def test_is_read_from_variables(self, agent: ModuleType) -> None:
        found = agent.Order.read(order())
        assert (found.images, found.anew) == (("base", "web"), True)
        assert found.folder == Path("/builds/agent-0123")
        assert found.result == Path("/alloc/data/records.tar.gz")
        assert agent.Order.read(order(NOMAD_META_images="", NOMAD_META_anew="")).images == ()

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"NOMAD_META_source": "main"}, "digest"),
            ({"NOMAD_META_images": "base --push"}, "'--push' can't be"),
            ({"NOMAD_META_images": "../x"}, "can't be"),
        ],
    )
    def test_refuses_what_could_mean_something_else(
        self, agent: ModuleType, changed: dict[str, str], said: str
    ) -> None:
        with pytest.raises(agent.Refused, match=said):
            agent.Order.read(order(**changed))

    def test_names_a_variable_that_is_missing(self, agent: ModuleType) -> None:
        variables = order()
        del variables["BUILDS"]
        with pytest.raises(agent.Refused, match="BUILDS"):
            agent.Order.read(variables)


class TestUnpacking:
    def unpack(self, agent: ModuleType, tmp_path: Path, data: bytes) -> int:
        file = tmp_path / "archive"
        file.write_bytes(data)
        count: int = agent.unpack(file, tmp_path / "out" / "source")
        return count

    def test_keeps_content_and_what_can_be_run(self, agent: ModuleType, tmp_path: Path) -> None:
        assert self.unpack(agent, tmp_path, archive({"a/b.txt": "x", "a/run.sh": "y"})) == 2
        folder = tmp_path / "out" / "source" / "a"
        assert (folder / "b.txt").read_text() == "x"
        assert [(folder / name).stat().st_mode & 0o777 for name in ("b.txt", "run.sh")] == [0o644, 0o755]

    @pytest.mark.parametrize(
        "files",
        [
            {"../x": "x"},
            {"a/../../x": "x"},
            {"/x": "x"},
            {"x": link("x", "/etc")},
            {"x": link("x", "../../x")},
            {"x": link("x", "/etc/shadow", tarfile.LNKTYPE)},
            {"x": link("x", "", tarfile.CHRTYPE)},
            {"x": link("x", "", tarfile.FIFOTYPE)},
        ],
        ids=["above", "above by the way", "absolute", "link", "link above", "hard link", "device", "pipe"],
    )
    def test_refuses_all_but_plain_files_below(
        self, agent: ModuleType, tmp_path: Path, files: dict[str, str | tarfile.TarInfo]
    ) -> None:
        with pytest.raises(agent.Refused, match="no plain file"):
            self.unpack(agent, tmp_path, archive(files))
        assert not (tmp_path / "x").exists()
        assert not (tmp_path / "out" / "x").exists()

    def test_refuses_too_much(self, agent: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(agent, "LARGEST", 10)
        with pytest.raises(agent.Refused, match="more than 10 bytes"):
            self.unpack(agent, tmp_path, archive({"a": "x" * 6, "b": "x" * 6}))

    def test_refuses_what_is_no_archive_or_twice_there(self, agent: ModuleType, tmp_path: Path) -> None:
        with pytest.raises(agent.Refused, match="can't be unpacked"):
            self.unpack(agent, tmp_path, b"nothing")
        twice = io.BytesIO()
        with tarfile.open(fileobj=twice, mode="w:gz") as opened:
            for _ in range(2):
                opened.addfile(tarfile.TarInfo("a"))
        with pytest.raises(agent.Refused, match="can't be unpacked"):
            self.unpack(agent, tmp_path, twice.getvalue())


class TestEnvironment:
    def test_holds_nothing_of_the_agents_own_but_what_is_needed(self, agent: ModuleType) -> None:
        found = agent.environment(agent.Order.read(order()), order(PATH="/bin", NOMAD_TOKEN="secret"))
        assert found["PATH"] == "/bin"
        assert not any(name.startswith("NOMAD") or value == "secret" for name, value in found.items())
        assert found["PACKER_TMP_DIR"].startswith("/builds/agent-0123/")

    def test_takes_the_network_of_whoever_sent_the_sources(self, agent: ModuleType, tmp_path: Path) -> None:
        found = agent.Order("", (), False, "", tmp_path, tmp_path, tmp_path)
        (tmp_path / "source").mkdir()
        (tmp_path / "source" / "sources.list").write_text("deb http://mirror bookworm main\n")
        network = {"proxies": {"https_proxy": "http://proxy:3128", "other": "x"}, "index_url": "https://index/simple"}
        (tmp_path / "source" / "network.json").write_text(json.dumps(network))
        variables = agent.environment(found, {})
        assert variables["https_proxy"] == variables["HTTPS_PROXY"] == "http://proxy:3128"
        assert variables["PIP_INDEX_URL"] == "https://index/simple"
        assert variables["CALVINVERSE_DEBIAN_SOURCES"] == str(tmp_path / "source" / "sources.list")
        assert "other" not in variables
        assert "http_proxy" not in variables
        (tmp_path / "source" / "network.json").write_text("[]")
        with pytest.raises(agent.Refused, match=r"network\.json"):
            agent.environment(found, {})

    def test_trusts_what_was_sent(self, agent: ModuleType, tmp_path: Path) -> None:
        trusted = tmp_path / "trusted.pem"
        trusted.write_text("the image's own")
        agent.trust(tmp_path / "ca.pem", trusted)
        assert trusted.read_text() == "the image's own"
        (tmp_path / "ca.pem").write_text("sent")
        agent.trust(tmp_path / "ca.pem", trusted)
        assert trusted.read_text() == "sent"


class TestClearing:
    def test_removes_containers_images_tags_and_the_folder(self, agent: ModuleType, tmp_path: Path) -> None:
        folder = tmp_path / "agent-1"
        current = folder / "state" / "images" / "base" / "current"
        current.parent.mkdir(parents=True)
        current.write_text(f"{BUILD}\n/tmp/calvinverse-{BUILD}")
        lost = folder / "state" / "images" / "web" / "current"
        lost.parent.mkdir()
        lost.write_bytes(b"\0" * 40)
        (folder / "pushing").write_text("127.0.0.1:5000")
        asked: list[tuple[str, ...]] = []

        def engine(*arguments: str) -> str:
            asked.append(arguments)
            if arguments[:2] == ("image", "ls"):
                tagged = "127.0.0.1:5000/calvinverse/base"
                return f"{tagged}:abc\n{tagged}:<none>\n" if "--format" in arguments else "sha256:1\n"
            return ""

        agent.clear(folder, engine)
        assert asked[0] == ("rm", "--force", "--volumes", f"calvinverse-build-{BUILD}", f"calvinverse-validate-{BUILD}")
        assert ("image", "rm", "sha256:1") in asked
        assert asked[-1] == ("image", "rm", "127.0.0.1:5000/calvinverse/base:abc")
        assert sum(arguments[0] == "rm" for arguments in asked) == 1
        assert not folder.exists()

    def test_takes_only_what_no_agent_holds(self, agent: ModuleType, tmp_path: Path) -> None:
        for name in ("agent-dead", "agent-young", "agent-old"):
            (tmp_path / name).mkdir()
        (tmp_path / "agent-dead" / "lock").touch()
        os.utime(tmp_path / "agent-old", (0, 0))
        mine = agent.Order("", (), False, "", tmp_path / "agent-mine", tmp_path / "scratch", tmp_path)
        with agent.own_folders(mine):
            assert sorted(path.name for path in tmp_path.glob("agent-*")) == ["agent-mine", "agent-young"]
            other = agent.Order("", (), False, "", tmp_path / "agent-next", tmp_path / "more", tmp_path)
            with agent.own_folders(other):
                assert mine.folder.exists()
        assert not mine.folder.exists()
        assert not mine.scratch.exists()
