"""`calvinverse webhook`: who may use one, and what deleting one takes."""

import pytest

from environments.domain.preview import Preview, Wanted
from tests.fakes.service import Served
from tests.support.command_line import CommandLine


def listed(cli: CommandLine, name: str) -> str:
    (line,) = [line for line in cli("webhook", "list").out.splitlines() if line.startswith(f"{name} ")]
    return line


def test_who_may_use_it_is_said_listed_and_shown(cli: CommandLine) -> None:
    made = cli("webhook", "create", "said", "--kind", "gitea", "--forge", "https://forge.example")
    assert made.status == 0, made.err
    assert "Only admins may use it: `calvinverse webhook set said --for WHO`" in made.err
    assert "admins only" in listed(cli, "said")
    done = cli("webhook", "set", "said", "--for", "everyone", "--repository", "acme/*", "--repository", "x/y")
    assert done.out.split() == ["said", "everyone;", "acme/*,", "x/y"]
    assert "everyone; acme/* and 1 more" in listed(cli, "said")
    assert cli("webhook", "set", "said", "--all-repositories").status == 0
    assert "open to everyone" in listed(cli, "said")
    assert "for          open to everyone" in cli("webhook", "show", "said").out
    assert cli("webhook", "set", "said", "--admins-only", "--repository", "acme/shop").status == 0
    shown = cli("webhook", "show", "said", "-o", "json").json
    assert (shown["users"], shown["repositories"]) == ([], ["acme/shop"])
    created = cli("webhook", "create", "open", "--kind", "generic", "--for", "everyone")
    assert "Only admins" not in created.err
    assert "open to everyone" in listed(cli, "open")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Nothing is given to set."),
        (("--for", "everyone", "--admins-only"), "Give either"),
        (("--repository", "acme/shop", "--all-repositories"), "Give either"),
        (("--repository", "acme"), "names no repository"),
        (("--for", "nobody-known"), "There is nobody named"),
        (("--for", "group:none"), "There is no group"),
    ],
)
def test_what_cannot_be_said_is_refused(cli: CommandLine, arguments: tuple[str, ...], told: str) -> None:
    cli("webhook", "create", "refused", "--kind", "gitea", "--forge", "https://forge.example")
    refused = cli("webhook", "set", "refused", *arguments)
    assert refused.status != 0
    assert told in refused.err


def test_a_webhook_with_previews_is_deleted_by_force(cli: CommandLine, api: Served) -> None:
    cli("webhook", "create", "lived-by", "--kind", "gitea", "--forge", "https://forge.example")
    cli("env", "create", "lived-in", "--template", "web", "--no-wait", "--ttl", "4h")
    with api.service.database.write() as tx:
        environment = tx.environments.named("lived-in")
        assert environment is not None
        tx.previews.add(
            Preview(
                id="prv-lived",
                trigger_id="trg-none",
                webhook="lived-by",
                repository="acme/shop",
                number=12,
                environment_id=environment.id,
                environment="lived-in",
                wanted=Wanted.ALIVE,
            )
        )
    refused = cli("webhook", "delete", "lived-by", "--yes")
    assert refused.status != 0
    assert "1 preview lives by the webhook 'lived-by'." in refused.err
    assert "--force" in refused.err
    assert cli("webhook", "delete", "lived-by", "--force", "--yes").status == 0
