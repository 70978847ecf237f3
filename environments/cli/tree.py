"""Which module has which command. Only the module of the command that runs is imported, and only it is put together."""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from environments.actions.registry import for_command
from environments.cli.session import registered

Path = tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """A group of commands: its help, and the module of each command, in the order of the help; empty: a group."""

    help: str
    commands: Mapping[str, str]


def _in(**modules: str) -> dict[str, str]:
    """Name of a command → its module, by modules of this package and the names of the commands that each has."""
    return {name: f"environments.cli.{module}" for module, names in modules.items() for name in names.split()}


GROUPS: Mapping[Path, Group] = {
    ("env",): Group(
        "Create, show, extend and destroy environments.",
        {
            **_in(
                environments_reading="list show outputs logs watch",
                sharing="share unshare access",
                drift="drift why history",
                environments="create update retry extend destroy",
                explaining="explain",
                heartbeats="heartbeat",
                people="transfer",
                recovery="repair promote rollback cancel abandon",
                rules="pin unpin",
                switching="stop start",
            ),
            "rule": "",
        },
    ),
    ("env", "rule"): Group("List, add and remove the calendar rules of an environment.", _in(rules="list add remove")),
    ("plan",): Group("Show plans and apply them as they were shown.", _in(plans="show apply")),
    ("policy",): Group("List, set and remove policies.", _in(policies="list set remove")),
    ("calendar",): Group("List, show, set and remove holiday calendars.", _in(calendars="list show set remove")),
    ("hold",): Group("List, release and cancel holds of destroys by the clock.", _in(holds="list release cancel")),
    ("trigger",): Group(
        "Set, list, test, pause and remove triggers: rules that act on what happens elsewhere.",
        _in(triggers="list show remove pause resume", trigger_files="set add", trigger_testing="test"),
    ),
    ("event",): Group(
        "List, show and replay received events: what happened elsewhere, and what triggers did.",
        _in(received_events="list show replay"),
    ),
    ("template",): Group(
        "See, write, check and push templates.",
        {**_in(templates="list show validate new push delete"), "creators": ""},
    ),
    ("template", "creators"): Group(
        "List, set and remove who may create from a template.", _in(creators="list set remove")
    ),
    ("image",): Group(
        "See, compare, promote, verify and remove images.",
        _in(images="list show diff promote push publish withdraw published verify sign prune"),
    ),
    ("access",): Group("Explain who may do what.", _in(access="why table")),
    ("role",): Group("List, grant and revoke roles on the service.", _in(roles="list grant revoke")),
    ("token",): Group("Create, list and revoke tokens.", _in(tokens="create list revoke")),
    ("user",): Group(
        "List, show, disable and enable people; assign old owners.",
        _in(
            people="list show disable enable successor assign",
            local_people="local create reset groups issuers move-issuer",
        ),
    ),
    ("group",): Group(
        "List, show, create and delete groups; choose members.",
        _in(groups="list show create describe add remove delete"),
    ),
    ("account",): Group(
        "Create service accounts for programs, and give them tokens.",
        _in(service_accounts="create list show change disable enable token revoke"),
    ),
    ("session",): Group("List and end sessions.", _in(signing_in="list end")),
    ("audit",): Group("List, export and verify the audit log.", _in(audit="list show export head verify")),
    ("context",): Group("Choose the service that commands use.", _in(contexts="add use list show export remove")),
    ("worker",): Group("Show the workers.", _in(workers="list")),
    ("preview",): Group("Show previews: the environments of pull requests.", _in(previews="list")),
    ("warning",): Group("Show and test the channels of warnings.", _in(warnings="channels test")),
    ("webhook",): Group(
        "Create webhooks for forges and programs, and see what they sent.",
        _in(webhooks="create set list show rotate token check delete"),
    ),
}

SINGLE = _in(signing_in="login logout whoami", system="ca doctor", terminal="tui", serve="serve")
"""Commands that belong to no group."""


def _modules(group: Path) -> Mapping[str, str]:
    if group:
        return GROUPS[group].commands
    return {**{path[0]: "" for path in GROUPS if len(path) == 1}, **SINGLE}


class _Commands(Mapping[str, Any]):
    """The commands of a group by name, each put together when it is asked for."""

    def __init__(self, group: Path) -> None:
        self._group = group
        self._modules = _modules(group)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._make((*self._group, name), self._modules[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def _make(self, path: Path, module: str) -> Any:
        if module:
            import_module(module)
            return typer.main.get_command(registered(path))
        return Tree(path, name=path[-1], help=GROUPS[path].help, no_args_is_help=True, rich_markup_mode=None)


class Tree(TyperGroup):
    """A group whose help and completion import none of the modules of its commands. As `cls` of a `Typer`: the root."""

    def __init__(self, path: Path = (), **settings: Any) -> None:
        commands = cast(MutableMapping[str, Any], _Commands(path))  # nobody adds to it
        super().__init__(**{**settings, "commands": None})
        self.commands = commands
        self._path = path

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command with the short help only, for lists of commands; `resolve_command` gives those that run."""
        if cmd_name not in self.commands:
            return None
        path = (*self._path, cmd_name)
        if path in GROUPS:
            return TyperCommand(cmd_name, help=GROUPS[path].help)
        return TyperCommand(cmd_name, short_help=for_command(*path).help)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is named first, and what follows the name."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, None if found is None else self.commands[args[0]], rest
