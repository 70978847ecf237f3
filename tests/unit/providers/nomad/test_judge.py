"""What a connected Nomad thinks of job files: which of its words become faults, and where."""

from collections.abc import Callable
from typing import Any

import pytest

from environments.domain.errors import BackendUnavailable, InvalidJob, NotConnected
from environments.domain.faults import Fault
from environments.domain.template import Bundle, make_bundle
from environments.providers.nomad.ports import Job
from environments.providers.nomad.reported_faults import diagnostics, told_of_job
from environments.providers.nomad.validation import NomadJudge
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import parse
from tests.fakes.backends.nomad import MemoryNomad

HEAD = '[template]\nname = "judged"\nversion = "1"\n'
STEP = '[[steps]]\nname = "app"\nuses = "nomad.job"\nwith = {{ file = "app.nomad.hcl", variables = {{ {0} }} }}\n'
JOB = """variable "text" { type = string }
job "app" {
  group "group" {
    count = 1
    task "one" {
      driver = "docker"
      env {
        A = var.text
      }
    }
    task "one" {
      driver = "docker"
    }
    network {
      mode = "bridge"
    }
  }
}
"""


def template(variables: str, parameters: str = "", job: str = JOB) -> Bundle:
    """A template of one job."""
    text = f"{HEAD}{parameters}{STEP.format(variables)}"
    return make_bundle({"template.toml": text.encode(), "app.nomad.hcl": job.encode()})


def judged(nomad: MemoryNomad, bundle: Bundle, found: tuple[Fault, ...] = ()) -> list[str]:
    return [str(fault) for fault in NomadJudge(nomad)(bundle, found, {})]


class Asked(MemoryNomad):
    """Answers as it is told, and remembers the variables that it was given."""

    def __init__(self, answer: Callable[[str], Job], errors: Callable[[Job], list[str]] = lambda job: []) -> None:
        super().__init__()
        self.given: list[str] = []
        self._answer, self._errors = answer, errors

    def parse(self, text: str, variables: str) -> Job:
        self.given.append(variables)
        return self._answer(variables)

    def validate(self, job: Job) -> list[str]:
        return self._errors(job)


def job(**fields: Any) -> Job:
    return {"ID": "app", "Name": "app", "TaskGroups": [], **fields}


def test_two_tasks_of_one_name_are_told_at_their_group_whether_values_are_known_or_not() -> None:
    said = ["app.nomad.hcl:3: Nomad refuses the job: Task group group: Task 2 redefines 'one' from task 1"]
    assert judged(MemoryNomad(), template('text = "x"')) == said
    assert judged(MemoryNomad(), template('text = "{{ steps.other.url }}"')) == said
    assert judged(MemoryNomad(), template('text = "x"', job=JOB.replace('task "one"', 'task "two"', 1))) == []


def test_a_file_with_a_fault_is_not_judged_once_more() -> None:
    found = (Fault(message="it is wrong", file="app.nomad.hcl"),)
    assert judged(MemoryNomad(), template('text = "x"'), found) == []
    warned = (found[0].model_copy(update={"warning": True}),)
    assert len(judged(MemoryNomad(), template('text = "x"'), warned)) == 1


@pytest.mark.parametrize(
    ("variable", "parameters", "given"),
    [
        ('"x"', "", ["x"]),
        ('"{{ images.web }}"', "", ["image:placeholder"]),
        ('"{{ parameters.a }}"', '[parameters.a]\ntype = "string"\ndefault = "b"\n', ["b"]),
        ('"{{ parameters.a }}"', '[parameters.a]\nenum = ["c", "d"]\n', ["c"]),
        ('"{{ parameters.a }}"', '[parameters.a]\ntype = "string"\ndefault = ""\n', ["placeholder", "example"]),
        ('"{{ parameters.a }}"', '[parameters.a]\ntype = "string"\n', ["placeholder", "example"]),
        ("\"{{ steps.a.url | default('x') }}\"", "", ["placeholder", "example"]),
        ("\"{{ 'x' * 3 ~ environment.name }}\"", "", ["placeholder", "example"]),
    ],
)
def test_what_is_not_known_is_guessed_twice(variable: str, parameters: str, given: list[str]) -> None:
    nomad = Asked(lambda variables: job())
    assert judged(nomad, template(f"text = {variable}", parameters)) == []
    assert nomad.given == [f'text = "{text}"\n' for text in given]


def test_what_may_come_of_a_guess_is_no_fault() -> None:
    guessed = template('text = "{{ steps.a.url }}"')

    def refused(variables: str) -> Job:
        raise InvalidJob(
            "Nomad rejects the job: Failed to parse job: input.hcl:8,13-21: Invalid index; No such key. "
            "input.hcl:4,5-10: Unsuitable value type; Unsuitable value: a bool is required."
        )

    # The first one is about a variable, the second about what the file says itself.
    told = "app.nomad.hcl:4: Nomad can't read the job file: Unsuitable value type; Unsuitable value: a bool is required"
    assert judged(Asked(refused), guessed) == [told]
    assert len(judged(Asked(refused), template('text = "x"'))) == 2

    errors: Callable[[Job], list[str]] = lambda found: ["Invalid job type"]  # noqa: E731 - one line of setting
    assert judged(Asked(lambda variables: job(Type=variables), errors), guessed) == []
    assert judged(Asked(lambda variables: job(Env=variables), errors), guessed) != []
    assert judged(Asked(lambda variables: job(Type=variables), errors), template('text = "x"')) != []


def test_nomad_that_is_away_keeps_no_template() -> None:
    def away(variables: str) -> Job:
        raise BackendUnavailable("Nomad at http://127.0.0.1:1 is away: it can't be reached.")

    def nowhere(variables: str) -> Job:
        raise NotConnected("There is no Nomad.")

    (fault,) = NomadJudge(Asked(away))(template('text = "x"'), [], {})
    assert fault.warning
    assert fault.message.startswith("Nomad couldn't be asked about this job file: Nomad at http://127.0.0.1:1 is away")
    assert NomadJudge(Asked(nowhere))(template('text = "x"'), [], {}) == []


def test_what_nomad_says_of_its_own_cluster_is_no_fault() -> None:
    source = Source("app.nomad.hcl", parse(JOB))
    errors = ['Vault "default" not enabled but used in the job', 'job "app" is in nonexistent node pool "x"']
    assert list(told_of_job(source, errors)) == []


def test_each_of_several_errors_is_told_with_what_it_is_in() -> None:
    text = (
        "Task group group validation failed: 2 errors occurred:\n\t* minimum DiskMB value is 10; got 5\n"
        "\t* Task one validation failed: 1 error occurred:\n\t* 1 error occurred:\n\t* too much\n\n\n"
    )
    assert [str(fault) for fault in told_of_job(Source("a", parse(JOB)), [text])] == [
        "a:3: Nomad refuses the job: Task group group: minimum DiskMB value is 10; got 5",
        "a:5: Nomad refuses the job: Task group group: Task one: too much",
    ]


def test_the_consequences_and_the_end_that_is_cut_off_are_not_told() -> None:
    first = 'input.hcl:13,10-11: Not enough arguments; Function "upper" expects 1.'
    follows = "input.hcl:13,4-10: Unsuitable value type; Unsuitable value: value must be known"
    found = diagnostics(f"Nomad rejects the job: Failed to parse job: {first} {follows}.")
    assert [(item.line, item.column, item.said) for item in found] == [
        (13, 10, 'Not enough arguments; Function "upper" expects 1')
    ]
    long = f"Nomad rejects the job: Failed to parse job: {first} input.hcl:14,1-2: {'x ' * 200}"[:323]
    assert [item.line for item in diagnostics(long)] == [13]
    assert diagnostics("Nomad rejects the job: nothing is right.")[0].said == "nothing is right"
