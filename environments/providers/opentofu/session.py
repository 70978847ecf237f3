"""One module in one folder, and the runs of tofu on it."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from environments.domain.cleaning import Cleaner
from environments.domain.errors import BackendUnavailable, CalvinverseError, LeaseLost
from environments.providers.opentofu import watchdog
from environments.providers.opentofu.faults import StateTrouble, disturbed, error_of, outdated
from environments.providers.opentofu.folders import Workplace
from environments.providers.opentofu.installation import SETTINGS, SOCKETS, Installation, environment, key_file
from environments.providers.opentofu.messages import Messages
from environments.providers.opentofu.ports import Module, Output, Place, Planned, Settled, UnsavedStates
from environments.providers.opentofu.prepared import Prepared
from environments.providers.opentofu.process import Ended, RunLimit, run_guarded
from environments.providers.opentofu.state_transfer import save_state, state_answer

LOCK_FILE = ".terraform.lock.hcl"

_VARIABLES = "calvinverse.auto.tfvars.json"
PLAN_FILE = "calvinverse.plan"
_ENDS = 'terraform {\n  backend "http" {}\n}\n'
_QUIET = ("-input=false", "-no-color")
_WAIT_FOR_LOCK = "-lock-timeout=15s"
_INIT_TRIES = 3
STATE_LIST = "state list"
_UNREAD = "Error refreshing state"
"""What `init` says when it can't read the state: it knows no place of the module and no provider yet."""


class Session:
    """One module in one folder, and the runs of tofu on it."""

    def __init__(
        self,
        program: Path,
        installation: Installation,
        prepared: Prepared,
        workplace: Workplace,
        place: Place,
        module: Module,
        limit: RunLimit,
    ) -> None:
        self._program = program
        self._settings = installation.settings()
        self._prepared = prepared
        self._workplace = workplace
        self._access = place.access
        self._module = module
        self._limit = limit
        self._keep = (key_file(place.key),) if module.encrypted else ()
        self._env = environment(workplace.folder, place.access, self._keep[0] if self._keep else None)
        self._credentials = place.credentials
        self.cleaner = Cleaner((place.access.password, place.key, *place.credentials.secrets))
        self._key = ""
        self._nothing_to_do = False
        self._declared: Mapping[str, bool] = {}
        self.say: Callable[[str], None] = _silent
        self.wait: Callable[[float], None] = time.sleep

    def lay_out(self) -> None:
        """Writes the module, its variables and the settings of tofu into the folder."""
        work = self._workplace
        (work.folder / SOCKETS).mkdir(mode=0o700)
        for path, content in self._module.files.items():
            work.write(path, content)
        if self._module.lock:
            work.write(LOCK_FILE, self._module.lock)
        work.write("calvinverse_override.tf", _ENDS.encode())
        work.write(SETTINGS, self._settings.encode())
        for name, certificates in self._credentials.certificates.items():
            work.write(f"calvinverse-{name}.pem", certificates.encode())
            self._env[name] = str(work.folder / f"calvinverse-{name}.pem")
        self._env |= self._credentials.variables
        if self._module.variables:
            work.write(_VARIABLES, json.dumps(self._module.variables).encode())

    def close(self) -> None:
        """Closes the file with the key."""
        for handle in self._keep:
            os.close(handle)

    def ready(self) -> None:
        """Prepares providers, modules and the backend: from an earlier run of the same module, or by `init`."""
        self._key = self._prepared.key(self._program, self._settings, self._module)
        if not self._prepared.restore(self._key, self._workplace.folder):
            self._initialise()

    def plan(self, *arguments: str, say: bool) -> Planned:
        """Plans into a file, without the lock: applying it fails if the state has moved since."""
        command = ["plan", *_QUIET, "-json", "-lock=false", f"-out={PLAN_FILE}", self._parallel(), *arguments]
        said = self._run(command, self.say if say else _silent, again=True)
        self._nothing_to_do = said.steady_outputs and not said.moves
        self._declared = said.declared
        return Planned(
            made=tuple(found for found, actions in said.planned.items() if {"create", "replace"} & set(actions)),
            changed=tuple(found for found, actions in said.planned.items() if "update" in actions),
            destroyed=tuple(found for found, actions in said.planned.items() if "delete" in actions),
            lock=self._lock(),
        )

    def carry_out(self, settled: Settled) -> Mapping[str, Output]:
        """Applies the plan in the file; if there is nothing to do, only reads the outputs, without a provider.

        Tofu stores no output that is null: declared outputs that it doesn't report are null.
        """
        self._forget_variables()
        nulls = {name: Output(None, sensitive) for name, sensitive in self._declared.items()}
        # If all outputs are null, the plan doesn't tell whether there is a state yet, which only an apply creates.
        if self._nothing_to_do and (told := json.loads(self.read("output", "-json", "-no-color"))):
            said = Messages(self.cleaner)
            return nulls | {name: said.output(output) for name, output in told.items()}
        command = ["apply", *_QUIET, "-json", _WAIT_FOR_LOCK, self._parallel(), PLAN_FILE]
        return nulls | self._run(command, self.say, settled=settled, planned=True).outputs

    def destroy(self, settled: Settled) -> None:
        """Destroys everything in the state."""
        command = ["destroy", *_QUIET, "-json", "-auto-approve", _WAIT_FOR_LOCK, self._parallel()]
        self._run(command, self.say, settled=settled, again=True)

    def catch_up(self, unsaved: UnsavedStates) -> None:
        """Saves a newer state that was kept aside, if there is one."""
        if (state := unsaved.newer()) is None:
            return
        self._limit.check()
        save_state(self._access, state)
        self.say("saved the state that an earlier run could not save")

    def read(self, *command: str) -> bytes:
        """The whole standard output of a command that knows no `-json` lines."""
        lines: list[bytes] = []
        ended = self._guarded(command, lines.append, _silent)
        said = Messages(self.cleaner)
        _take_prose(said, ended.complaint)
        phase = " ".join(command[:2])
        error = self._error(ended.interruption, ended.status, ended.killed, said, ended.complaint, phase)
        if error is not None:
            raise error
        return b"\n".join(lines)

    def _initialise(self) -> None:
        self._run(["init", *_QUIET, "-json", "-lock=false"], _silent, tries=_INIT_TRIES)
        # One key for a run without a lock file, and one for a run that got the lock file from an earlier one.
        again = self._prepared.key(self._program, self._settings, replace(self._module, lock=self._lock()))
        for key in {self._key, again}:
            self._prepared.keep(key, self._workplace.folder)

    def _run(
        self,
        command: Sequence[str],
        say: Callable[[str], None],
        *,
        settled: Settled | None = None,
        again: bool = False,
        planned: bool = False,
        tries: int = 1,
    ) -> Messages:
        """One run of tofu with `-json`. `again`: if what was prepared is outdated, it is prepared once more.

        `planned`: the plan has been reported already. `tries`: how often to run it where runs disturb each other.
        """
        said = Messages(self.cleaner, planned_before=planned)

        def on_line(line: bytes) -> None:
            if (text := said.take(line)) is not None:
                say(text)

        ended = self._guarded(command, on_line, say)
        error = self._error(ended.interruption, ended.status, ended.killed, said, ended.complaint, command[0])
        if settled is not None and not ended.killed and self._workplace.errored() is None:
            if error is None:
                settled(said.settlement())
            else:
                # The first error is the one to report; without a settlement more is observed later.
                with suppress(CalvinverseError):
                    settled(said.settlement())
        if error is None:
            return said
        if tries > 1 and not ended.killed and disturbed(ended.status, said):
            self._limit.check()
            return self._run(command, say, tries=tries - 1)
        if again and outdated(said):
            self._prepared.forget(self._key)
            self._initialise()
            return self._run(command, say, settled=settled)
        raise error

    def _error(
        self,
        interruption: CalvinverseError | None,
        status: int,
        killed: bool,
        said: Messages,
        complaint: str,
        phase: str,
    ) -> CalvinverseError | None:
        if interruption is not None:
            return interruption
        if status == 0:
            return None
        try:
            # It may have been ended because the lease was nearly over, while this process slept.
            self._limit.check()
        except CalvinverseError as error:
            return error
        if status == watchdog.TOO_LATE:
            return LeaseLost("The lease was nearly over before tofu could begin.")
        if killed:
            return BackendUnavailable(
                f"tofu was killed from outside during its {phase}.",
                hint="The step is retried. If it happens again, see whether this machine runs out of memory.",
            )
        return self._fault(said, complaint, phase)

    def _fault(self, said: Messages, complaint: str, phase: str) -> CalvinverseError:
        unsaved = self._workplace.errored() is not None
        return error_of(said, complaint, phase, unsaved=unsaved, ask=lambda: self._trouble(said, phase))

    def _trouble(self, said: Messages, phase: str) -> StateTrouble | None:
        """What is wrong with the state: by the service's answer, and by whether tofu can list its resources."""
        status = state_answer(self._access)
        if status is None or status == 429 or status >= 500:
            return "away"
        if status in (401, 403):
            return "refused"
        if status != 200 or outdated(said):
            return None
        if phase == "init":
            return "unreadable" if any(error.summary == _UNREAD for error in said.errors()) else None
        if phase != STATE_LIST:
            ended = self._guarded(STATE_LIST.split(), _silent_bytes, _silent)
            if ended.interruption is not None or ended.killed or ended.status == 0:
                return None
        return "unreadable"

    def _guarded(self, command: Sequence[str], on_line: Callable[[bytes], None], say: Callable[[str], None]) -> Ended:
        return run_guarded(
            [str(self._program), *command],
            cwd=self._workplace.folder,
            env=self._env,
            lock=self._workplace.take(self.wait),
            keep=self._keep,
            limit=self._limit,
            on_line=on_line,
            on_stop=lambda error: say(f"tofu is asked to stop: {error.message}"),
        )

    def _lock(self) -> bytes:
        file = self._workplace.folder / LOCK_FILE
        return file.read_bytes() if file.is_file() else b""

    def _parallel(self) -> str:
        return f"-parallelism={self._module.parallelism}"

    def _forget_variables(self) -> None:
        """The plan holds them, encrypted."""
        with suppress(FileNotFoundError):
            (self._workplace.folder / _VARIABLES).unlink()


def _take_prose(said: Messages, complaint: str) -> None:
    """Takes what a command without `-json` says is wrong: `Error: <summary>`, then a paragraph."""
    summary, _, detail = said.clean(complaint).partition("Error: ")[2].partition("\n")
    if summary:
        line = {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": summary, "detail": detail}}
        said.take(json.dumps(line).encode())


def _silent(_line: str) -> None:
    pass


def _silent_bytes(_line: bytes) -> None:
    pass
