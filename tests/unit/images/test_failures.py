"""What is said of a build or a validation that failed: the reason, the last lines that matter, and the log."""

import io
from pathlib import Path

import pytest

from images.docker import Docker
from images.errors import CommandFailed, ImageBuildFailed
from images.pipeline.packer import _artifact, _Transcript, where
from images.pipeline.recipe import Validate
from images.pipeline.validation import _outcome, decisive


class TestTranscript:
    def feed(self, *lines: str) -> tuple[_Transcript, list[str], str]:
        log, steps = io.StringIO(), list[str]()
        transcript = _Transcript(log, steps.append)
        for line in lines:
            transcript.line(line)
        return transcript, steps, log.getvalue()

    def test_it_shows_steps_and_keeps_everything(self) -> None:
        _, steps, log = self.feed(
            "1,,ui,say,==> docker.web: Starting docker container...",
            "1,,ui,message,    docker.web: one%!(PACKER_COMMA) two",
            "1,,ui,say,Build 'docker.web' finished after 1 second.",
            "1,docker.web,artifact,0,id,sha256:1",
        )
        assert steps[:2] == ["Starting docker container...", "one, two"]
        assert "one, two" in log
        assert "artifact" not in log

    def test_the_error_counts_not_what_packer_says_about_it(self) -> None:
        transcript, *_ = self.feed(
            "1,,ui,error,==> null.base: I: downloading",
            "1,,ui,error,==> null.base: E: Unable to locate package nonsense",
            "1,,ui,error,==> null.base: I: removing tempdir",
            "1,,ui,error,==> null.base: Provisioning step had errors: Running the cleanup provisioner",
            "1,,ui,error,Build 'null.base' errored after 3 seconds: Script exited with non-zero exit status: 25.",
        )
        assert transcript.what_matters() == "E: Unable to locate package nonsense"

    def test_a_script_that_says_nothing_is_told_by_its_status_and_what_came_before(self) -> None:
        transcript, *_ = self.feed(
            "1,,ui,say,==> docker.it: Starting docker container...",
            "1,,ui,message,    docker.it: Run command: docker run -d -i -t",
            "1,,ui,say,==> docker.it: Provisioning with shell script: provision/install.sh",
            "1,,ui,message,    docker.it: doing",
            "1,,ui,error,==> docker.it: Provisioning step had errors: Running the cleanup provisioner",
            "1,,ui,say,==> docker.it: Killing the container: 30a1ab2f7691",
            "1,,ui,error,Build 'docker.it' errored after 1 second 981 milliseconds: Script exited with non-zero exit "
            "status: 3. Allowed exit codes are: [0]",
            "1,,ui,error,==> Some builds didn't complete successfully and had errors:",
            "1,,ui,error,--> docker.it: Script exited with non-zero exit status: 3. Allowed exit codes are: [0]",
            "1,,ui,say,==> Builds finished but no artifacts were created.",
        )
        assert transcript.what_matters() == "Script exited with non-zero exit status: 3"
        assert transcript.last_lines() == ["Provisioning with shell script: provision/install.sh", "doing"]

    def test_the_reason_of_the_engine_counts_not_that_its_client_failed(self) -> None:
        why = (
            "Error response from daemon: image was found but does not match the specified platform: wanted linux/arm64"
        )
        transcript, *_ = self.feed(
            f"1,,ui,error,==> docker.it: Error running container: Docker exited with a non-zero exit status.\\n==> "
            f"docker.it: Stderr: docker: {why}\\n==> docker.it:\\n==> docker.it: Run 'docker run --help' for more",
            "1,,ui,error,Build 'docker.it' errored after 135 milliseconds 611 microseconds: Error running container: "
            f"Docker exited with a non-zero exit status.\\nStderr: docker: {why}",
        )
        assert transcript.what_matters() == why
        assert transcript.last_lines() == [why]

    def test_a_hint_has_the_last_lines_and_the_log(self) -> None:
        assert where(Path("/log"), ["one", "two"]).splitlines() == [
            "The last lines are:",
            "  one",
            "  two",
            "The whole log is in /log.",
        ]

    def test_output_that_is_not_packers_own_counts_too(self) -> None:
        transcript, _, log = self.feed("Error: Missing plugins")
        assert transcript.what_matters() == "Error: Missing plugins"
        assert "Missing plugins" in log


class TestValidation:
    def test_lines_that_pytest_marks_say_what_is_wrong(self) -> None:
        lines = [
            "___ ERROR collecting test_x.py ___",
            "E     def test_x(host:",
            "E               ^",
            "E   SyntaxError: no",
            "1",
        ]
        assert decisive(lines) == ["  def test_x(host:", "            ^", "SyntaxError: no"]
        assert decisive(["", "no tests ran", ""]) == ["no tests ran"]

    def test_the_report_names_each_test_and_the_reason(self, tmp_path: Path) -> None:
        report = tmp_path / "validation.xml"
        report.write_text(
            """<testsuites><testsuite>
            <testcase classname="tests.images.test_x" name="good[docker://0ab1]"/>
            <testcase classname="tests.images.test_x" name="bad"><failure message="assert 1 == 2&#10;more"/></testcase>
            <testcase classname="tests.images.test_x" name="skip"><skipped message="unconditional skip"/></testcase>
            <testcase classname="" name="tests.images.test_y"><error message="collection failure">def (
E     def (
E         ^
E   SyntaxError: invalid syntax</error></testcase>
            </testsuite></testsuites>"""
        )
        assert _outcome(report) == (
            ["test_x::good"],
            [
                "test_x::bad: assert 1 == 2",
                "test_x::skip: unconditional skip",
                "tests.images.test_y: SyntaxError: invalid syntax",
            ],
        )
        assert _outcome(tmp_path / "none") == ([], [])

    @pytest.mark.parametrize(
        ("entrypoint", "expected"),
        [
            (None, ["image", "sleep", "9"]),
            ((), ["--entrypoint=", "image", "sleep", "9"]),
            (("tini", "--"), ["--entrypoint=tini", "image", "--", "sleep", "9"]),
        ],
    )
    def test_the_entry_point_of_the_container_is_the_images_unless_one_is_given(
        self, monkeypatch: pytest.MonkeyPatch, entrypoint: tuple[str, ...] | None, expected: list[str]
    ) -> None:
        ran: list[list[str]] = []

        def run(_: Docker, arguments: list[str]) -> str:
            ran.append(arguments)
            return "id\n"

        monkeypatch.setattr(Docker, "_run", run)
        assert Docker().start("image", ["sleep", "9"], {}, "1", entrypoint=entrypoint) == "id"
        assert ran[0][-len(expected) :] == expected
        assert ran[0][-len(expected) - 1] == "calvinverse-validate-1"

    def test_a_new_key_that_is_not_used_makes_no_image_be_validated_again(self) -> None:
        assert "entrypoint" not in Validate().model_dump_json(exclude_none=True)

    def test_an_image_for_another_platform_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told = {"image": '[{"Os": "linux", "Architecture": "arm64"}]', "version": "linux/amd64\n"}
        monkeypatch.setattr(Docker, "_run", lambda _, arguments, **__: told[arguments[0]])
        with pytest.raises(CommandFailed, match="made for linux/arm64, and this Docker engine runs linux/amd64"):
            Docker().check_platform("sha256:1")
        told["image"] = told["image"].replace("arm64", "amd64")
        Docker().check_platform("sha256:1")

    def test_a_recipe_without_a_manifest_is_told_what_it_needs(self, tmp_path: Path) -> None:
        with pytest.raises(ImageBuildFailed, match="wrote no manifest") as caught:
            _artifact(tmp_path / "manifest.json", tmp_path / "log")
        assert 'post-processor "manifest"' in caught.value.hint
