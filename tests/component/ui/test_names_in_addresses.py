"""Names in addresses: each page is reached by any name, also one with a slash and one that a form beside it has."""

import re
from pathlib import Path

import httpx2
import pytest
from starlette.routing import Route, compile_path

import environments.ui
from environments.api.app import create_app
from environments.domain.timing import Scope
from environments.ui.app import PAGES
from environments.ui.listing import place
from environments.ui.paths import FORMS, encoded, matched, part, parts_of
from environments.wire.environments import CreateRequest
from environments.wire.people import GroupRequest
from environments.wire.timing import PolicyRequest
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader, text_of

ODD = ("new", "name:new", "name:name:set", "a/b", "a/disable", "ä ö", "100%", "a?b#c", "%2F", "name:other")

UI = Path(environments.ui.__file__).parent

NAMES = ("{name}", "{person}", "{scope}")
"""Fields of addresses that people choose; ids are never words."""


def _beside() -> set[str]:
    """What stands in the address of a page where that of another page has a name."""
    paths = [path.split("/") for _, path, _ in PAGES]
    return {
        one[place]
        for one in paths
        for other in paths
        for place in range(1, min(len(one), len(other)))
        if one[:place] == other[:place] and other[place] in NAMES and not one[place].startswith("{")
    }


def test_all_forms_beside_names_are_known() -> None:
    assert _beside() == FORMS


@pytest.mark.parametrize("name", ODD)
def test_each_page_is_found_by_the_address_of_a_name_and_no_other(name: str) -> None:
    for _, path, _ in PAGES:
        pattern = path.split("/")
        room, *others = [part(name) if one.startswith("{") else one for one in pattern[1:]]
        sent = encoded(["", room, *others])
        parts = parts_of(sent.encode())
        assert path == next(other for _, other, _ in PAGES if matched(other.split("/"), parts) is not None)
        named = matched(pattern, parts)
        assert named is not None
        assert set(named.values()) <= {name}


def test_things_that_are_named_like_forms_have_pages(reader: Reader, client: InProcessClient) -> None:
    client.create(CreateRequest(name="new", template="web", parameters={"branch": "main"}))
    client.create_group(GroupRequest(name="new"))
    assert "/environments/name:new" in reader.get("/").text
    assert "new" in text_of(reader.get("/environments/name:new"))
    assert "Create an environment" in text_of(reader.get("/environments/new"))
    assert 'href="/environments/name:new/destroy"' in reader.get("/environments/name:new").text
    gone = reader.post("/environments/new/destroy", {"name": "new"})
    assert gone.headers["Location"].startswith("/environments/name:new?")
    assert 'href="/groups/name:new"' in reader.get("/groups").text
    assert reader.get("/groups/name:new").status_code == 200
    assert reader.get("/environments/new/badge.json").json()["address"].endswith("/environments/name:new")


def test_no_address_of_an_environment_is_made_without_its_part() -> None:
    """By `place`, `part` or `path_of`: without them a page of an environment called `new` is the form."""
    bare = re.compile(r"/environments/\{++ *+(?!part\(|(name|id|part)\})[^'\"`]*")
    sources = [file for kind in ("*.py", "*.html", "*.js") for file in UI.rglob(kind)]
    found = {f"{file.name}: {hit.group()}" for file in sources for hit in bare.finditer(file.read_text())}
    assert not found


def test_the_way_to_look_before_one_sends_again_leads_to_the_environment(
    reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create(CreateRequest(name="new", template="web", parameters={"branch": "main"}))

    transport = client._http._transport
    answer_of = transport.handle_request

    def lost(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return answer_of(request)
        raise httpx2.ReadTimeout("too slow")

    monkeypatch.setattr(transport, "handle_request", lost)
    page = reader.post("/environments/name:new/update", {"do": "update", "p.branch": "next"})
    assert "It may have been done" in text_of(page)
    assert 'href="/environments/name:new" target="_blank"' in page.text


def test_owners_with_a_slash_have_pages_and_forms(reader: Reader, client: InProcessClient) -> None:
    client.set_policy(Scope.OWNER, "team/ada", PolicyRequest(maximum="30d"))
    path = place("policies", "owner", "team/ada")
    assert path == "/policies/owner/team%2Fada"
    assert f'href="{path}"' in reader.get("/policies").text
    assert "team/ada" in text_of(reader.get(path))
    form = reader.get(f"{path}/remove")
    assert f'action="{path}/remove"' in form.text
    assert reader.post(f"{path}/remove", {}).status_code == 200
    assert client.policies() == []


def test_no_route_of_the_api_takes_what_another_one_means(client: InProcessClient) -> None:
    """A thing may be named like what stands beside names, such as `check`: no method of both is the same."""
    routes = [one for one in create_app(client.service).routes if isinstance(one, Route)]
    for literal in routes:
        for other in routes:
            both = (literal.methods or set()) & (other.methods or set()) - {"HEAD"}
            if literal is other or not both or "{" in literal.path:
                continue
            assert compile_path(other.path)[0].match(literal.path) is None, (literal.path, other.path, both)
