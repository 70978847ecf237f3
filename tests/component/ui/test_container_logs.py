"""The pages of containers' logs: choosing one, its end, following it, the file, and who doesn't get it."""

import re
from html import unescape
from pathlib import Path

from environments.domain.containers import Container, Stream
from environments.domain.environment import EventType
from environments.domain.errors import BackendUnavailable
from environments.wire.access import ShareRequest
from tests.fakes.plans import NOW
from tests.support.hostile_texts import HOSTILE
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader, text_of
from tests.support.ui_people import keep_people, reader_as

NAME = "checkout-fix"
HERE = f"/environments/{NAME}"


def _running(client: InProcessClient, *lines: str) -> Container:
    container = client.service.run(NAME)
    client.service.containers.write(container, "".join(f"{line}\n" for line in lines))
    return container


def _at(container: Container) -> str:
    return f"{HERE}/logs?container={container.allocation}/{container.task}"


def _more(page: str) -> str:
    """Where a page asks for more."""
    found = re.search(r'id="log-more" hx-get="([^"]+)"', page)
    return unescape(found[1]) if found else ""


def test_a_container_is_chosen_and_its_end_is_shown(client: InProcessClient, reader: Reader) -> None:
    container = _running(client, "hello", "there")
    client.service.containers.write(container, "wrong\n", Stream.STDERR)
    said = text_of(reader.get(f"{HERE}/logs"))
    assert "web/app 0a0a0a0a, running" in said
    page = reader.get(_at(container))
    assert "out hello" in text_of(page)
    assert "err wrong" in text_of(page)
    assert "selected>web/app 0a0a0a0a, running" in page.text


def test_what_comes_is_put_below_until_it_has_ended(client: InProcessClient, reader: Reader) -> None:
    container = _running(client, "hello")
    path = _more(reader.get(_at(container)).text)
    silent = reader.get(path)
    assert "log-lines" not in silent.text
    client.service.containers.write(container, "more\n")
    fresh = reader.get(_more(silent.text))
    assert 'hx-target="#log-lines" hx-swap="beforeend"' in fresh.text
    assert "more" in text_of(fresh)
    client.service.containers.end(container)
    ended = reader.get(_more(fresh.text))
    assert "It has ended" in ended.text
    assert _more(ended.text) == ""
    assert _more(reader.get(_at(container)).text) == ""


def test_a_page_does_not_follow_for_ever(client: InProcessClient, reader: Reader) -> None:
    path = _more(reader.get(_at(_running(client, "hello"))).text)
    last = reader.get(path.replace("count=1", "count=1800"))
    assert _more(last.text) == ""
    assert "load it again" in last.text


def test_while_nomad_is_away_it_asks_again_later(client: InProcessClient, reader: Reader) -> None:
    path = _more(reader.get(_at(_running(client, "hello"))).text)
    client.service.containers.fault = BackendUnavailable("Nomad is away.")
    away = reader.get(path)
    assert "Nomad is away." in away.text
    assert "load delay:10s" in away.text
    said = text_of(reader.get(f"{HERE}/logs"))
    assert "Nomad is away." in said
    assert "Registered the job web" in said, "logs of steps are there all the same"


def test_the_log_is_a_file(client: InProcessClient, reader: Reader) -> None:
    container = _running(client, *(f"{number} {'x' * 90}" for number in range(3000)))
    answer = reader.get(f"{HERE}/logs/container.txt?container={container.allocation}/{container.task}")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="checkout-fix.0a0a0a0a.log"'
    assert len(answer.text.splitlines()) == 3000


def test_what_containers_write_is_text(client: InProcessClient, reader: Reader) -> None:
    container = _running(client)
    client.service.containers.write(container, "\n".join(HOSTILE).encode(errors="surrogatepass"))
    client.service.containers.write(container, "<script>alert(1)</script>\x1b[2J\n")
    page = reader.get(_at(container)).text
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_nothing_of_another_environment_is_shown(client: InProcessClient, reader: Reader) -> None:
    _running(client, "hello")
    other = client.service.run("shop", allocation="0b0b0b0b-0000-0000-0000-000000000002")
    client.service.containers.write(other, "their words\n")
    for chosen in (f"{other.allocation}/app", "../shop/app", "0a0a0a0a/../app", "/", "0a0a0a0a-/%2e%2e"):
        for page in ("logs", "logs/container.txt", "logs/container/more"):
            answer = reader.get(f"{HERE}/{page}?container={chosen}&after=beginning")
            assert "their words" not in answer.text


def test_a_viewer_is_told_which_role_it_takes(client: InProcessClient, tmp_path: Path) -> None:
    container = _running(client, "hello")
    keep_people(client, "bob")
    client.share(NAME, ShareRequest(subject="bob"))
    with reader_as(client, "bob", tmp_path) as bob:
        said = text_of(bob.get(f"{HERE}/logs"))
        assert "Logs of containers: you are viewer of checkout-fix, and this takes the role operator." in said
        assert bob.get(_at(container)).status_code == 403


def test_the_end_of_a_long_log_is_read_from_its_end(client: InProcessClient, reader: Reader) -> None:
    client.tell_all((NOW, EventType.LOG, NAME, f"line {n}.", {"step": "app"}) for n in range(1200))
    calls = len(client.calls)
    end = reader.get(f"{HERE}/logs")
    assert "line 1199." in text_of(end)
    assert len(client.calls) - calls < 8, "it isn't read from the beginning"
    earlier = re.search(r'href="([^"]+)" rel="prev"', end.text)
    assert earlier is not None
    page = reader.get(unescape(earlier[1]))
    assert "line 699." in text_of(page)
    assert "line 1199." not in text_of(page)
    client.tell(EventType.LOG, NAME, "the only one", step="settings")
    client.tell_all((NOW, EventType.LOG, NAME, f"then {n}.", {"step": "app"}) for n in range(600))
    assert "the only one" in text_of(reader.get(f"{HERE}/logs?step=settings"))
