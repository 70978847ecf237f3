"""The pipeline of images on real Docker and Packer: small images made in a checkout of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from images.catalogue.records import Records
from images.errors import ImageBuildFailed, ImageNotBuilt, ImageValidationFailed, InvalidRecipe
from images.pipeline.builder import Builder
from images.pipeline.check import check_recipes
from tests.support.busy import patient
from tests.support.image_checkout import OWN_TEST, RECIPE, Checkout, containers_of, docker, id_of, untagged_of

CONTROL = """
import sys
from pathlib import Path
from images.pipeline.builder import Builder
from images.pipeline.check import check_recipes
Builder(Path(sys.argv[1]), Path(sys.argv[2])).build([sys.argv[3]], print)
"""


@pytest.fixture
def checkout(image_checkout: Checkout) -> Checkout:
    return image_checkout


def test_a_second_run_with_nothing_changed_does_nothing(checkout: Checkout) -> None:
    first = checkout.build()
    assert [record.status for record in first] == ["good", "good"]
    for file in checkout.folder.rglob("*.*"):
        file.touch()

    started = time.monotonic()
    second = checkout.build()

    assert time.monotonic() - started < patient(20)
    assert second == first
    assert checkout.said == []
    assert all(checkout.builder.up_to_date(name) for name in (checkout.first, checkout.second))


def test_an_image_is_tagged_recorded_and_labelled(checkout: Checkout) -> None:
    _, record = checkout.build()

    assert record.reference == f"calvinverse/{checkout.second}:{record.key[:12]}"
    assert id_of(record.reference) == id_of(f"calvinverse/{checkout.second}:qa") == record.image_id
    assert checkout.builder.good_image(checkout.second) == record
    assert record.validation is not None
    assert record.validation.passed == 2
    assert record.size > 0
    assert set(record.seconds) == {"prepare", "build", "validate"}
    assert f"images/{checkout.second}/provision.sh" in record.inputs
    assert "Provisioning with shell script" in (record.log.parent / "packer.log").read_text()
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", record.reference))
    assert labels["calvinverse.key"] == record.key
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.base.digest"] == record.parent_id
    assert all(file.stat().st_mode & 0o077 == 0 for file in checkout.state.rglob("*"))
    assert containers_of(checkout) == untagged_of(checkout) == []


def test_a_changed_input_makes_exactly_the_images_that_depend_on_it(checkout: Checkout) -> None:
    before = checkout.build()
    checkout.provision(checkout.second, "echo served > /opt/purpose # changed")
    one = checkout.build()
    assert [old == new for old, new in zip(before, one, strict=True)] == [True, False]
    assert any(f"images/{checkout.second}/provision.sh" in line for line in checkout.said)

    checkout.provision(checkout.first, "echo served > /opt/purpose # changed")
    both = checkout.build()
    assert [old == new for old, new in zip(one, both, strict=True)] == [False, False]


@pytest.mark.parametrize("kind", ["script", "recipe", "about", "variable", "version"])
def test_each_kind_of_input_makes_exactly_the_images_that_depend_on_it(checkout: Checkout, kind: str) -> None:
    before = checkout.build()
    folder = checkout.folder / "images" / checkout.second
    both = False
    if kind == "script":
        checkout.provision(checkout.second, "echo served > /opt/purpose; true")
    elif kind == "recipe":
        file = folder / "it.pkr.hcl"
        file.write_text(file.read_text() + "# changed\n")
    elif kind == "about":
        file = folder / "image.toml"
        file.write_text(file.read_text().replace('title = "T"', 'title = "U"'))
    elif kind == "variable":
        file = folder / "image.toml"
        file.write_text(file.read_text() + '[build]\nvariables = { colour = "red" }\n')
    else:
        (checkout.folder / "pyproject.toml").write_text('[project]\nname = "t"\nversion = "1.2.4"\n')
        both = True

    after = checkout.build()

    assert [old == new for old, new in zip(before, after, strict=True)] == [not both, False]
    assert all(new.image_id != old.image_id for old, new in zip(before, after, strict=True) if old != new)


def test_a_parent_that_was_made_again_makes_its_children_again(checkout: Checkout) -> None:
    first, second = checkout.build()
    docker("image", "rm", "--force", second.image_id)
    docker("image", "rm", "--force", first.image_id)

    again, child = checkout.build()

    assert again.key == first.key
    assert child.key != second.key  # the new parent is another image, whatever its key says
    assert child.parent_id == again.image_id
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", child.reference))
    assert labels["org.opencontainers.image.base.digest"] == again.image_id


def test_asked_for_anew_it_is_built_though_nothing_changed(checkout: Checkout, tmp_path: Path) -> None:
    (before,) = checkout.build(checkout.first)
    (after,) = Builder(checkout.folder, checkout.state, anew=True).build([checkout.first], print)
    assert (after.key, after.made_by) == (before.key, after.build)
    assert id_of(after.reference) == after.image_id
    parent, child = Builder(checkout.folder, checkout.state, anew=True).build([checkout.second], print)
    assert parent == after  # only what is named is made anew
    assert child.status == "good"

    # Another checkout, with the same inputs and a state of its own, takes the tags and no more.
    (other,) = Builder(checkout.folder, tmp_path / "other", anew=True).build([checkout.first], print)
    assert id_of(after.reference) == id_of(f"calvinverse/{checkout.first}:qa") == other.image_id != after.image_id
    assert checkout.build(checkout.first) == [after]
    assert checkout.said == []
    assert checkout.catalogue.deployable(checkout.first).reference == after.image_id == id_of(after.own_tag)


def test_validating_again_makes_another_record_of_the_same_image(checkout: Checkout) -> None:
    (before,) = checkout.build(checkout.first)
    after = checkout.builder.validate(checkout.first, print)
    assert after.build != before.build == after.made_by
    assert after.image_id == before.image_id
    assert checkout.builder.good_image(checkout.first) == after


def test_a_list_of_packages_that_the_mirror_left_behind_is_written_anew_and_changes_the_key(checkout: Checkout) -> None:
    # As far as the pipeline sees, a recipe tells what it installed by leaving a list in the work folder.
    recipe = checkout.folder / "images" / checkout.first / "it.pkr.hcl"
    installed = checkout.folder / "installed"
    installed.write_text("b\t2\tall\na\t1\tall\n")
    copies = f'provisioner "shell-local" {{ inline = ["cp {installed} ${{var.work}}/packages.tsv"] }}'
    recipe.write_text(recipe.read_text().replace('post-processor "manifest"', f'{copies}\n  post-processor "manifest"'))
    lock = recipe.parent / "packages.lock"
    (before,) = checkout.build(checkout.first)
    assert lock.read_text() == "a\t1\tall\nb\t2\tall\n"
    assert f"images/{checkout.first}/packages.lock" in before.inputs
    assert len(checkout.builds(checkout.first)) == 1

    installed.write_text("b\t3\tall\na\t1\tall\n")
    (same,) = checkout.build(checkout.first)
    assert same == before  # what the mirror has is looked at when something is built, and only then
    checkout.provision(checkout.first, "echo served > /opt/purpose; true")
    (after,) = checkout.build(checkout.first)

    assert lock.read_text() == "a\t1\tall\nb\t3\tall\n"
    assert any("b 2 → 3" in line for line in checkout.said)
    assert any(after.key[:12] in line for line in checkout.said)
    assert after.key != before.key


def test_going_back_to_earlier_inputs_builds_nothing_but_proves_the_image_again(checkout: Checkout) -> None:
    (before,) = checkout.build(checkout.first)
    checkout.provision(checkout.first, "echo served > /opt/purpose # changed")
    checkout.build(checkout.first)
    checkout.provision(checkout.first, "echo served > /opt/purpose")

    (again,) = checkout.build(checkout.first)

    assert again.image_id == before.image_id == id_of(f"calvinverse/{checkout.first}:qa")
    assert again.made_by == before.build != again.build
    assert "build" not in again.seconds


def test_changed_tests_prove_the_image_again_without_building_it(checkout: Checkout) -> None:
    (before,) = checkout.build(checkout.first)
    file = checkout.folder / "tests" / "images" / f"test_{checkout.first}.py"
    file.write_text(OWN_TEST + "\n\ndef test_more(host):\n    assert host.exists('python3')\n")

    assert not checkout.builder.up_to_date(checkout.first)
    (after,) = checkout.build(checkout.first)

    assert after.image_id == before.image_id
    assert after.validation is not None
    assert after.validation.passed == 3


def test_an_image_that_was_removed_is_built_again(checkout: Checkout) -> None:
    (record,) = checkout.build(checkout.first)
    docker("image", "rm", "--force", record.image_id)
    assert not checkout.builder.up_to_date(checkout.first)
    with pytest.raises(ImageNotBuilt):
        checkout.builder.good_image(checkout.first)

    (again,) = checkout.build(checkout.first)

    assert again.key == record.key
    assert id_of(again.reference) == again.image_id
    assert any("the image no longer exists" in line for line in checkout.said)


def test_a_failed_validation_leaves_the_last_good_image(checkout: Checkout) -> None:
    (good,) = checkout.build(checkout.first)
    checkout.provision(checkout.first, "echo broken > /opt/purpose")

    with pytest.raises(ImageValidationFailed, match="test_purpose") as caught:
        checkout.build(checkout.first)

    assert id_of(f"calvinverse/{checkout.first}:qa") == good.image_id
    assert checkout.builder.good_image(checkout.first) == good
    failed = checkout.builds(checkout.first)[-1]
    assert failed.status == "failed"
    assert id_of(failed.image_id) is None
    assert id_of(failed.reference) is None
    assert str(failed.log) in caught.value.hint
    assert "broken" in failed.log.read_text()
    assert containers_of(checkout) == untagged_of(checkout) == []


def test_an_image_that_no_test_examined_is_not_good(checkout: Checkout) -> None:
    for file in (checkout.folder / "tests" / "images").glob("test_*.py"):
        file.write_text("import pytest\n\n\n@pytest.mark.skip\ndef test_nothing(host): ...\n")
    with pytest.raises(ImageValidationFailed):
        checkout.build(checkout.first)
    assert id_of(f"calvinverse/{checkout.first}:qa") is None


def test_a_container_that_ends_by_itself_is_named_as_the_reason(checkout: Checkout) -> None:
    file = checkout.folder / "images" / checkout.first / "image.toml"
    file.write_text(file.read_text().replace('["sleep", "60"]', '["sh", "-c", "echo I give up >&2; exit 7"]'))
    with pytest.raises(ImageValidationFailed, match="status 7: I give up"):
        checkout.build(checkout.first)


def test_a_failed_build_names_the_line_that_matters_and_the_log(checkout: Checkout) -> None:
    checkout.provision(checkout.first, "echo 'E: no such thing' >&2; exit 3")

    with pytest.raises(ImageBuildFailed, match="E: no such thing") as caught:
        checkout.build(checkout.first)

    failed = checkout.builds(checkout.first)[-1]
    assert str(failed.log) in caught.value.hint
    assert "E: no such thing" in failed.log.read_text()
    assert id_of(failed.reference) is None
    assert containers_of(checkout) == untagged_of(checkout) == []


def test_a_build_that_takes_too_long_is_stopped(checkout: Checkout) -> None:
    checkout.provision(checkout.first, "sleep 60")
    file = checkout.folder / "images" / checkout.first / "image.toml"
    file.write_text(file.read_text() + '[build]\ntime_limit = "3s"\n')
    with pytest.raises(ImageBuildFailed, match="took longer than 3 s"):
        checkout.build(checkout.first)
    assert containers_of(checkout) == untagged_of(checkout) == []


SIDE_BY_SIDE = """
import sys
from pathlib import Path
from threading import Thread
from images.interrupts import handle_signals
from images.pipeline.builder import Builder
from images.pipeline.check import check_recipes
from tests.support.busy import patient
handle_signals()
def build(name):
    Builder(Path(sys.argv[1]), Path(sys.argv[2])).build([name], print)
threads = [Thread(target=build, args=[name], daemon=True) for name in sys.argv[3:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_a_broken_recipe_is_found_before_anything_is_built(checkout: Checkout) -> None:
    assert check_recipes(checkout.folder, checkout.state) == (2, True)
    assert check_recipes(checkout.folder, checkout.state) == (2, False)  # known to be good
    recipe = checkout.folder / "images" / checkout.second / "it.pkr.hcl"
    recipe.write_text(RECIPE.replace("var.container", "var.contianer"))
    with pytest.raises(InvalidRecipe, match=rf"images/{checkout.second}.*line \d+.*contianer"):
        check_recipes(checkout.folder, checkout.state)
    recipe.write_text(RECIPE + "\nbuild {")
    with pytest.raises(InvalidRecipe, match=rf"images/{checkout.second}.*line \d+"):
        check_recipes(checkout.folder, checkout.state)


def test_parallel_builds_clean_up_when_they_are_interrupted(checkout: Checkout) -> None:
    checkout.build(checkout.first)
    third = checkout.sibling("c")
    for name in (checkout.second, third):
        checkout.provision(name, "sleep 60")
    process = start(checkout, SIDE_BY_SIDE, checkout.second, third)

    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 130
    for name in (checkout.second, third):
        assert [record.status for record in checkout.builds(name)] == ["interrupted"]
        assert Records(checkout.state, name).unfinished() is None
    assert containers_of(checkout) == untagged_of(checkout) == []


def start(checkout: Checkout, control: str = CONTROL, *names: str) -> subprocess.Popen[bytes]:
    """Builders of these images (else of the first) in a process of their own, as far as their containers run."""
    wanted = names or (checkout.first,)
    command = [sys.executable, "-c", control, str(checkout.folder), str(checkout.state), *wanted]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(containers_of(checkout)) < len(wanted) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(containers_of(checkout)) == len(wanted)
    return process


def test_an_interrupted_build_leaves_nothing(checkout: Checkout) -> None:
    (good,) = checkout.build(checkout.first)
    checkout.provision(checkout.first, "sleep 60")
    process = start(checkout)

    process.send_signal(signal.SIGINT)

    assert process.wait(30) != 0
    assert checkout.builds(checkout.first)[-1].status == "interrupted"
    assert id_of(f"calvinverse/{checkout.first}:qa") == good.image_id
    assert containers_of(checkout) == untagged_of(checkout) == []


def test_the_next_build_removes_what_a_killed_one_left(checkout: Checkout) -> None:
    checkout.provision(checkout.first, "sleep 60")
    process = start(checkout)
    process.kill()
    process.wait(30)
    records = Records(checkout.state, checkout.first)
    unfinished, work = records.unfinished(), records.unfinished_work()
    assert unfinished is not None
    assert work is not None
    assert work.is_dir()

    # Whatever it builds, and though Packer goes on.
    checkout.builder.clean_up_killed(checkout.said.append)
    assert any(unfinished in line for line in checkout.said)
    assert containers_of(checkout) == untagged_of(checkout) == []
    assert not work.exists()

    checkout.provision(checkout.first, "echo served > /opt/purpose")
    (record,) = checkout.build(checkout.first)
    assert record.status == "good"
