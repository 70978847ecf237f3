"""Templates and images on the web page: what they are as text, whatever is written in them; admins change them."""

import re
from pathlib import Path

import pytest

from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.ui import catalogue, template_versions
from environments.wire.environments import CreateRequest
from environments.wire.images import PublishImageRequest
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader, text_of
from tests.support.ui_people import keep_people, reader_as
from tests.support.views import environment_view

TEMPLATE = """
[template]
name = "store"
version = "1 <b>"
price = 0.25
description = "<script>alert(1)</script> [click](javascript:alert(1))"

[parameters]
count = { type = "integer", default = 3, description = "<img src=x onerror=alert(1)>" }
token = { type = "string", writeOnly = true }

[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { tags = "{{ parameters.count }}" } }

[outputs]
where = { value = "{{ steps.settings.keys.tags }}", description = "<i>Where</i>" }
"""
README = b"# Store\n<script>alert(1)</script>\n[click](javascript:alert(1))\n"


@pytest.fixture(autouse=True)
def pushed(client: InProcessClient) -> None:
    files = {"template.toml": TEMPLATE.encode(), "README.md": README, "logo.bin": b"\xff\xfe\x00"}
    client.push(make_bundle(files))


def test_templates_are_listed_and_told_as_text(reader: Reader) -> None:
    for path in ("/templates", "/templates/store"):
        page = reader.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
        assert 'href="javascript:' not in page.text
    said = text_of(reader.get("/environments/new"))
    assert "Makes consul.kv Takes not known yet Costs 0.25 an hour" in said
    said = text_of(reader.get("/templates/store"))
    for part in (
        "Makes consul.kv Takes not known yet Costs 0.25 an hour",
        "settings consul.kv",
        "count integer",
        "token string, secret needed",
        "README.md",
        "None that you may",
    ):
        assert part in said


def test_files_are_text(reader: Reader) -> None:
    page = reader.get("/templates/store/file?file=README.md&text=1")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script>alert" not in page.text
    assert 'href="javascript:' not in page.text
    assert "are no text" in text_of(reader.get("/templates/store/file?file=logo.bin"))
    for wanted in ("../../etc/passwd", "", "nothing"):
        assert reader.get(f"/templates/store/file?file={wanted}").status_code == 404


def test_documents_are_rendered_and_lead_to_other_files(reader: Reader, client: InProcessClient) -> None:
    page = reader.get("/templates/store/file?file=README.md")
    assert "<h2>Store</h2>" in page.text
    assert "<script>alert" not in page.text
    assert 'href="javascript:' not in page.text
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    linked = b"[use](docs/use.md) [no](docs/none.md)"
    files = {"template.toml": TEMPLATE.encode(), "README.md": linked, "docs/use.md": b"[back](../README.md)"}
    client.push(make_bundle(files))
    page = reader.get("/templates/store/file?file=README.md")
    assert page.text.count("file=docs") == 1
    assert 'href="/templates/store/file?file=README.md"' in reader.get("/templates/store/file?file=docs/use.md").text


def test_versions_in_use_and_what_was_made(reader: Reader, client: InProcessClient) -> None:
    client.create(CreateRequest(name="shop-1", template="store", parameters={"token": "hunter22"}))
    old = client.environment("shop-1").bundle
    client.push_template(TEMPLATE.replace("1 <b>", "2").replace("default = 3", "default = 4"))
    said = text_of(reader.get("/templates/store"))
    assert "shop-1" in said
    assert "Newest versions" in said
    said = text_of(reader.get(f"/templates/store?digest={old}"))
    assert "What the newest version, 2, changes" in said
    assert "default: 3 → 4" in said


def test_the_page_of_a_template_lists_a_few_of_what_was_made_and_leads_to_all(
    reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "in the overview" not in text_of(reader.get("/templates/store"))
    monkeypatch.setattr(catalogue, "_FEW", 2)
    for number in range(3):
        client.put(environment_view(f"shop-{number}", State.READY, template="store"))
    page = reader.get("/templates/store")
    assert page.text.count('href="/environments/shop-') == 2
    assert '<a href="/?template=store">All 3 in the overview</a>' in page.text


def test_a_version_that_was_deleted_says_so_and_leads_to_the_newest_one(
    reader: Reader, client: InProcessClient
) -> None:
    first = client.template("store").digest
    changed = TEMPLATE.replace("default = 3", "default = 4")
    gone = client.push(make_bundle({"template.toml": changed.replace("1 <b>", "2 <b>").encode()})).digest
    client.push(make_bundle({"template.toml": changed.replace("1 <b>", "3").encode()}))
    client.delete_template("store", gone)
    of_gone = f"/templates/store?digest={gone}"
    for path in (
        of_gone,
        f"/templates/store/file?file=template.toml&digest={gone}",
        f"/templates/store/changes?digest={gone}",
        f"/templates/store/changes?digest={first}&from={gone}",
    ):
        page = reader.get(path)
        assert page.status_code == 404
        assert "store 2 &lt;b&gt; was deleted" in page.text
        assert '<a role="button" class="secondary outline" href="/templates/store">' in page.text
        assert f"{gone} Deleted" in text_of(page)
    assert "There is nothing here" in reader.get("/templates/store?digest=sha256:none").text
    assert "There is nothing here" in reader.get(f"/templates/none?digest={gone}").text
    for left in {one.digest for one in client.template_versions("store")[0]}:
        client.delete_template("store", left)
    assert "There is nothing here" in reader.get(of_gone).text


def test_versions_are_listed_with_who_pushed_them_and_what_each_changed(
    reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"template.toml": TEMPLATE.encode(), "README.md": README, "logo.bin": b"\xff\xfe\x00"}
    first = client.template("store").digest
    text = TEMPLATE.replace("1 <b>", "2").replace("default = 3", "default = 4")
    changed = {"template.toml": text.encode(), "README.md": README.replace(b"# Store", b"# <b>Shop"), "new.txt": b"new"}
    second = client.push(make_bundle(changed)).digest
    client.push(make_bundle({**files, "logo.bin": b"\xff\x00"}))
    client.delete_template("store", client.template("store").digest)
    client.create(CreateRequest(name="shop-1", template="store", parameters={"token": "hunter22"}))
    page = reader.get("/templates/store/versions")
    said = text_of(page)
    assert f"2 {second}" in said
    assert "ada" in said
    assert said.index(second) < said.index(first) < said.index("Deleted versions")
    assert "✗ deleted" in said
    assert "1 &lt;b&gt;" in page.text
    changes = f"/templates/store/changes?digest={second}&from={first}".replace(":", "%3A")
    assert f'href="{changes}"'.replace("&", "&amp;") in page.text
    for path in (changes, f"/templates/store/changes?digest={second}"):
        page = reader.get(path)
        said = text_of(page)
        for part in ("default: 3 → 4", "README.md ~ changed", "new.txt + new", "logo.bin - gone 3 bytes", "-# Store"):
            assert part in said
        assert "+# &lt;b&gt;Shop" in page.text
        assert "<script>alert" not in page.text
    assert "first version" in text_of(reader.get(f"/templates/store/changes?digest={first}"))
    for path in ("nothing/versions", "nothing/changes", "store/changes?from=x", f"store/changes?digest={'0' * 9}"):
        assert reader.get(f"/templates/{path}").status_code == 404


def test_many_versions_come_in_pages(reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_versions, "_PAGE", 2)
    for number in range(2, 6):
        client.push_template(TEMPLATE.replace("1 <b>", f"v{number}"))
    found: list[str] = []
    path: str | None = "/templates/store/versions"
    while path is not None:
        page = reader.get(path)
        assert page.status_code == 200
        found += re.findall(r">(v\d|1 &lt;b&gt;)</a>", page.text)
        assert page.text.count(">show</a>") + page.text.count("nothing is known before it") == page.text.count("<code>")
        more = re.search(r'<a href="([^"]*)" rel="next">', page.text)
        path = more[1].replace("&amp;", "&") if more else None
    assert found == ["v5", "v4", "v3", "v2", "1 &lt;b&gt;"]


def test_admins_say_who_may_create(reader: Reader, client: InProcessClient, tmp_path: Path) -> None:
    keep_people(client, "linus")
    answer = reader.post("/templates/store/creators/set", {"subject": "linus", "most": "2"})
    assert answer.status_code == 303
    assert "linus 2" in text_of(reader.get("/templates/store"))
    assert reader.post("/templates/store/creators/set", {"subject": "linus", "most": "many"}).status_code == 400
    with reader_as(client, "linus", tmp_path) as linus:
        page = linus.get("/templates/store")
        assert "only admins may" in text_of(page)
        assert linus.post("/templates/store/creators/set", {"subject": "grace"}).status_code == 403
    assert reader.post("/templates/store/creators/remove", {"subject": "linus"}).status_code == 303
    assert client.creators("store") == []


def test_deleting_asks_for_the_name(reader: Reader, client: InProcessClient) -> None:
    assert reader.post("/templates/store/delete", {"name": "stor"}).status_code == 400
    assert client.template("store").name == "store"
    answer = reader.post("/templates/store/delete", {"name": "store"})
    assert answer.headers["Location"] == "/templates?done=template.delete"
    assert reader.get("/templates/store").status_code == 404


def test_images_have_a_history_and_a_difference(reader: Reader, client: InProcessClient, tmp_path: Path) -> None:
    one, two = (f"sha256:{letter * 64}" for letter in "ab")
    client.publish_image("shop", PublishImageRequest(reference=one, channel="qa", build="<b>7</b>"))
    answer = reader.post("/images/publish", {"name": "shop", "reference": two, "channel": "production"})
    assert answer.headers["Location"] == "/images/shop?done=image.publish"
    assert "shop" in text_of(reader.get("/images"))
    page = reader.get("/images/shop")
    assert f"Reference {one} {two}" in text_of(page)
    assert "<b>7" not in page.text
    assert reader.post("/images/publish", {"name": "shop", "reference": "x:latest", "channel": "qa"}).status_code == 400
    with reader_as(client, "linus", tmp_path) as linus:
        assert "only admins may" in text_of(linus.get("/images/shop"))
        sent = linus.post("/images/publish", {"name": "shop", "reference": one, "channel": "qa"})
        assert sent.status_code == 403
    assert reader.get("/images/nothing").status_code == 404


def test_withdrawing_an_image_asks_for_its_name(reader: Reader, client: InProcessClient, tmp_path: Path) -> None:
    reference = f"sha256:{'a' * 64}"
    client.publish_image("shop", PublishImageRequest(reference=reference, channel="qa"))
    assert 'href="/images/shop/withdraw"' in reader.get("/images/shop").text
    assert reference in text_of(reader.get("/images/shop/withdraw"))
    with reader_as(client, "linus", tmp_path) as linus:
        assert "Withdraw: only admins may" in text_of(linus.get("/images/shop"))
        assert linus.post("/images/shop/withdraw", {"name": "shop"}).status_code == 403
    assert reader.post("/images/shop/withdraw", {"name": "shpo"}).status_code == 400
    assert client.image("shop").reference == reference
    answer = reader.post("/images/shop/withdraw", {"name": "shop"})
    assert answer.headers["Location"] == "/images/shop?done=image.withdraw"
    page = reader.get("/images/shop?done=image.withdraw")
    assert "Done: Withdraw image." in text_of(page)
    assert "Withdrawn by" in text_of(page)
    assert 'href="/images/shop/withdraw"' not in page.text
    assert reader.get("/images/shop/withdraw").status_code == 404
    assert reader.get("/images").text.count("/images/shop") == 0
