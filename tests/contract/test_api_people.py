"""People, groups and transfers over HTTP: who may, what is told, and that it counts at once, also for open streams."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.api import streams
from environments.client import Client
from environments.domain.access import Person, PersonKind
from environments.domain.errors import (
    BackendUnavailable,
    Forbidden,
    NotAllowedNow,
    NotFound,
    Unauthenticated,
    UnknownEnvironment,
)
from environments.wire.environments import CreateRequest
from environments.wire.people import AssignRequest, GroupRequest
from environments.wire.people_local import LocalPersonRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.listener import Listener, connected
from tests.fakes.plans import NOW
from tests.fakes.service import Served, served


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(streams, "CHECK_SECONDS", 0.1)
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def root(api: Served) -> Iterator[Client]:
    with api.client() as client:
        yield client


def person(api: Served, name: str) -> Client:
    """A client of somebody who has signed in."""
    with api.service.database.write() as tx:
        tx.people.add(
            Person(name=name, kind=PersonKind.PERSON, issuer="https://id.example.net", subject=name, created_at=NOW)
        )
    with api.client() as root:
        secret = root.create_token(TokenRequest(owner=name)).secret
    return api.client(secret)


def test_people_are_listed_shown_disabled_and_enabled(api: Served, root: Client) -> None:
    with person(api, "ada") as ada, person(api, "bob") as bob:
        ada.create(CreateRequest(name="one", template="web"))
        assert [one.name for one in root.people()] == ["ada", "bob", "root"]
        assert [one.name for one in root.people(kind=PersonKind.UNCLAIMED)] == ["root"]
        assert ada.person("ada").environments == 1
        with pytest.raises(Forbidden):
            ada.people()
        assert ada.set_successor("ada", "bob").successor == "bob"
        done = root.disable_person("ada")
        assert (done.heir, done.environments, done.ended) == ("bob", ("one",), 1)
        with pytest.raises(Unauthenticated):
            ada.environments()
        assert [one.name for one in bob.environments()] == ["one"]
        assert [one.name for one in root.people(disabled=True)] == ["ada"]
        assert root.enable_person("ada").disabled_at is None
        with pytest.raises(Unauthenticated):
            ada.environments()


def test_a_person_of_the_built_in_provider_is_disabled_there_too(
    api: Served, root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = root.create_local_person(LocalPersonRequest(user_name="grace"))
    issuer = next(one.issuer for one in root.issuers() if one.built_in)
    with api.service.database.write() as tx:  # as of a person from before names were kept
        tx.people.change("grace", subject="another-subject")
        identity = {"issuer": issuer, "subject": made.person.subject}
        tx.people.add(Person(name="grace-2", kind=PersonKind.PERSON, created_at=NOW, **identity))
    assert root.disable_person("grace-2").person.disabled_at is not None
    assert root.local_people()[0].disabled
    assert root.enable_person("grace-2").disabled_at is None
    assert not root.local_people()[0].disabled

    def away(*_: object, **__: object) -> None:
        raise BackendUnavailable("OpenBao doesn't answer.")

    with monkeypatch.context() as patch:
        patch.setattr(api.service.provider_endpoints, "users", away)
        with pytest.raises(BackendUnavailable, match="grace-2 is disabled here, but not at the built-in provider"):
            root.disable_person("grace-2")
        assert root.person("grace-2").disabled_at is not None
        with pytest.raises(BackendUnavailable):
            root.enable_person("grace-2")
    assert not root.local_people()[0].disabled or root.person("grace-2").disabled_at is not None
    root.disable_person("grace-2")
    assert root.local_people()[0].disabled
    root.enable_local_person("grace")
    assert root.person("grace-2").disabled_at is None
    root.disable_local_person("grace")
    assert root.person("grace-2").disabled_at is not None


def test_an_environment_is_transferred_and_its_history_says_so(api: Served, root: Client) -> None:
    with person(api, "ada") as ada, person(api, "bob") as bob:
        ada.create(CreateRequest(name="one", template="web"))
        assert ada.transfer("one", "bob").owner == "bob"
        with pytest.raises(UnknownEnvironment):
            ada.environment("one")
        assert "environment.transferred" in [event.type for event in bob.history("one")]
        assert bob.explain("one", 1, past=1).past[0].reason == "ada transferred one from ada to bob"
        with pytest.raises(NotFound, match="nobody named"):
            bob.transfer("one", "eve")


def test_names_with_odd_characters(api: Served, root: Client) -> None:
    for name in ("team/a", "Ada L.", "käthe@example.net", "a/b"):
        root.create_token(TokenRequest(owner=name))
        assert root.person(name).kind is PersonKind.UNCLAIMED
    with person(api, "ada"):
        request = AssignRequest(to="ada")
        assert root.assign_owner("team/a", request, dry_run=True).moved == {"tokens": 1}
        assert root.person("team/a").became == ""
        assert root.assign_owner("team/a", request).name == "ada"
        assert root.person("team/a").became == "ada"
        assert root.disable_person("a/b").person.name == "a/b"


def test_groups_over_http(api: Served, root: Client) -> None:
    with person(api, "ada") as ada, person(api, "bob"):
        root.create_group(GroupRequest(name="platform", description="runs it"))
        for member in ("ada", "bob"):
            assert root.add_member("platform", member).person == member
        assert [one.person for one in ada.members("platform")] == ["ada", "bob"]
        assert [one.group for one in root.person("ada").groups] == ["platform"]
        assert ada.group("platform").members == 2
        assert root.describe_group("platform", "all of it").description == "all of it"
        with api.service.database.write() as tx:
            tx.groups.set_claimed("ada", "corp", ["staff/all", "members"], NOW)
        assert [one.name for one in ada.groups()] == ["corp/members", "corp/staff/all", "platform"]
        assert ada.group("corp/staff/all").provider == "corp"
        with pytest.raises(NotAllowedNow):
            root.delete_group("corp/members")
        for change in (root.add_member, root.remove_member):
            with pytest.raises(NotAllowedNow, match="comes from a claim of the provider corp"):
                change("corp/staff/all", "ada")
        assert root.remove_member("platform", "ada").person == "ada"
        with pytest.raises(NotFound):
            ada.members("platform")
        assert root.delete_group("platform", dry_run=True).takes_away == {"members": 1}
        assert root.delete_group("platform").applied
        with pytest.raises(NotFound):
            root.group("platform")


def test_who_leaves_a_group_sees_nothing_more_of_it_in_an_open_stream(api: Served, root: Client) -> None:
    with person(api, "ada") as ada, person(api, "bob") as bob:
        root.create_group(GroupRequest(name="platform"))
        for member in ("ada", "bob"):
            root.add_member("platform", member)
        ada.create(CreateRequest(name="ours", template="web"))
        bob.create(CreateRequest(name="bobs", template="web"))
        ada.transfer("ours", "group:platform")
        listener = Listener(bob.events())
        listener.until(connected)
        api.service.log("ours", "before")
        listener.until(lambda seen: seen.messages == ["before"])
        root.remove_member("platform", "bob")
        with pytest.raises(UnknownEnvironment):
            bob.environment("ours")
        for number in range(1000):  # the service looks at its streams at times
            api.service.log("ours", f"ours {number}")
            api.service.log("bobs", f"bobs {number}")
            listener.until(lambda seen, last=f"bobs {number}": last in seen.messages)  # type: ignore[misc]
            if f"ours {number}" not in listener.messages:
                break
            time.sleep(0.05)
        assert f"ours {number}" not in listener.messages
        listener.close()


def test_a_stream_of_somebody_who_is_disabled_ends(api: Served, root: Client) -> None:
    with person(api, "ada") as ada:
        listener = Listener(ada.events())
        listener.until(connected)
        root.disable_person("ada")
        listener.until(lambda seen: isinstance(seen.error, Unauthenticated))
