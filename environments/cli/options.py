"""Options and arguments that several commands share."""

from typing import Annotated

import typer

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="An environment, by name or id; `id:…` and `name:…` say which.")
]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Follow the deployment until it has ended; status 6 if it fails.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show which deadlines, stops and starts would move.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Only show what would be done, and save that as a plan.")]
