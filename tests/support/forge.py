"""What people do at the forge of tests: repositories, branches, pull requests, labels and webhooks, through its API."""

import base64
import secrets
import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2

from tests.support.gitea import ADMIN, Gitea, Person

EVERYTHING = (
    "push",
    "create",
    "delete",
    "fork",
    "issue_comment",
    "pull_request_only",
    "pull_request_label",
    "pull_request_comment",
    "pull_request_sync",
    "repository",
    "status",
)
"""What a webhook is told of: all that can matter to an environment, and some that can't. A name of a kind chooses that
kind alone; `pull_request` would choose all kinds of pull requests."""


@dataclass(frozen=True)
class Delivery:
    """A webhook's delivery, as the forge keeps it. It tries once."""

    id: str
    event: str
    ended: bool
    succeeded: bool
    body: str


class Forge:
    """Acts at a server. Repositories are named in full, `ada/shop`; who acts is the owner, unless `by` says who."""

    def __init__(self, server: Gitea) -> None:
        self.server = server
        self._people = server.people
        self._client = cache(self._new_client)
        self._used: list[httpx2.Client] = []

    def close(self) -> None:
        """Ends its connections."""
        for client in self._used:
            client.close()

    def person(self, name: str) -> Person:
        """Somebody of this name, with a new account if there is none."""
        if name not in self._people:
            password = secrets.token_hex(16)
            account = {"username": name, "email": f"{name}@forge.example", "password": password}
            self._ask("POST", "/admin/users", by=ADMIN, json=account | {"must_change_password": False})
            self._people[name] = Person(name, self._token(name, password, ("all",)))
        return self._people[name]

    def token(self, person: str, *scopes: str) -> str:
        """Another token of somebody, for no more than these scopes, such as `write:issue` and `read:repository`."""
        password = secrets.token_hex(16)
        body = {"login_name": person, "source_id": 0, "password": password, "must_change_password": False}
        self._ask("PATCH", f"/admin/users/{person}", by=ADMIN, json=body)
        return self._token(person, password, scopes)

    def repository(self, owner: str, name: str, *, private: bool = False) -> str:
        """A new repository of somebody's, with a branch `main` and a file in it; its full name."""
        self.person(owner)
        body = {"name": name, "private": private, "auto_init": True, "default_branch": "main", "readme": "Default"}
        return str(self._ask("POST", "/user/repos", by=owner, json=body)["full_name"])

    def let_write(self, repository: str, person: str) -> None:
        """Lets somebody else push to a repository."""
        self.person(person)
        self._ask("PUT", f"/repos/{repository}/collaborators/{person}", by=owner(repository), json={})

    def fork(self, repository: str, by: str, name: str = "") -> str:
        """Somebody's fork of a repository; its full name."""
        self.person(by)
        body = {"name": name} if name else {}
        return str(self._ask("POST", f"/repos/{repository}/forks", by=by, json=body)["full_name"])

    def branch(self, repository: str, branch: str, *, start: str = "main", by: str = "") -> str:
        """A new branch; what its head is."""
        body = {"new_branch_name": branch, "old_ref_name": start}
        made = self._ask("POST", f"/repos/{repository}/branches", by=by or owner(repository), json=body)
        return str(made["commit"]["id"])

    def push(self, repository: str, branch: str, *, path: str = "", text: str = "", by: str = "") -> str:
        """A new commit with one new file on a branch; its hash. The branch is made of `main` if it isn't there."""
        who = by or owner(repository)
        path = path or f"{secrets.token_hex(6)}.txt"
        content = base64.b64encode((text or f"{path}\n").encode()).decode()
        body = {"content": content, "message": f"Add {path}", "branch": branch}
        if self.head(repository, branch) is None:
            body |= {"branch": "main", "new_branch": branch}
        made = self._ask("POST", f"/repos/{repository}/contents/{path}", by=who, json=body)
        return str(made["commit"]["sha"])

    def head(self, repository: str, branch: str) -> str | None:
        """The hash of a branch's newest commit; None if there is no such branch."""
        answer = self._send("GET", f"/repos/{repository}/branches/{branch}", by=owner(repository))
        return None if answer.status_code == 404 else str(_good(answer)["commit"]["id"])

    def delete_branch(self, repository: str, branch: str, *, by: str = "") -> None:
        """Deletes a branch. A pull request from it is closed by that."""
        self._ask("DELETE", f"/repos/{repository}/branches/{branch}", by=by or owner(repository))

    def pull(
        self,
        repository: str,
        head: str,
        *,
        title: str = "",
        body: str = "",
        base: str = "main",
        fork: str = "",
        by: str = "",
    ) -> int:
        """A new pull request from a branch, or from that branch of a `fork`, by whoever owns it; its number."""
        source = fork or repository
        content = {"title": title or f"Change {head}", "body": body, "base": base}
        content["head"] = f"{owner(fork)}:{head}" if fork else head
        made = self._ask("POST", f"/repos/{repository}/pulls", by=by or owner(source), json=content)
        return int(made["number"])

    def pull_request(self, repository: str, number: int) -> dict[str, Any]:
        """What the API says of a pull request."""
        found: dict[str, Any] = self._ask("GET", f"/repos/{repository}/pulls/{number}", by=owner(repository))
        return found

    def edit(self, repository: str, number: int, *, by: str = "", **changes: object) -> None:
        """Changes a pull request: its `title`, `body`, `state` or `base`."""
        self._ask("PATCH", f"/repos/{repository}/pulls/{number}", by=by or owner(repository), json=changes)

    def close_pull(self, repository: str, number: int, *, by: str = "") -> None:
        """Closes a pull request without merging it."""
        self.edit(repository, number, by=by, state="closed")

    def reopen(self, repository: str, number: int, *, by: str = "") -> None:
        """Opens a closed pull request again."""
        self.edit(repository, number, by=by, state="open")

    def merge(self, repository: str, number: int, *, by: str = "", delete_branch: bool = False) -> None:
        """Merges a pull request; the forge may still be looking whether it can be merged, so this waits for that."""
        who = by or owner(repository)
        body = {"Do": "merge", "delete_branch_after_merge": delete_branch}
        for _ in range(100):
            answer = self._send("POST", f"/repos/{repository}/pulls/{number}/merge", by=who, json=body)
            if answer.status_code != 405:
                break
        _good(answer)

    def label(self, repository: str, number: int, *names: str, by: str = "") -> None:
        """Gives labels to a pull request; makes those that the repository lacks."""
        who = by or owner(repository)
        ids = [self._label_id(repository, name) for name in names]
        self._ask("POST", f"/repos/{repository}/issues/{number}/labels", by=who, json={"labels": ids})

    def unlabel(self, repository: str, number: int, name: str, *, by: str = "") -> None:
        """Takes a label from a pull request."""
        path = f"/repos/{repository}/issues/{number}/labels/{self._label_id(repository, name)}"
        self._ask("DELETE", path, by=by or owner(repository))

    def tag(self, repository: str, tag: str, *, by: str = "") -> None:
        """Tags the newest commit of `main`."""
        self._ask("POST", f"/repos/{repository}/tags", by=by or owner(repository), json={"tag_name": tag})

    def delete_tag(self, repository: str, tag: str, *, by: str = "") -> None:
        """Deletes a tag."""
        self._ask("DELETE", f"/repos/{repository}/tags/{tag}", by=by or owner(repository))

    def set_status(self, repository: str, sha: str, state: str, context: str, *, by: str = "") -> None:
        """Sets a status of a commit, `pending`, `success`, `error` or `failure`."""
        body = {"state": state, "context": context}
        self._ask("POST", f"/repos/{repository}/statuses/{sha}", by=by or owner(repository), json=body)

    def comment(self, repository: str, number: int, text: str, *, by: str = "") -> int:
        """Writes a comment; its id."""
        path = f"/repos/{repository}/issues/{number}/comments"
        return int(self._ask("POST", path, by=by or owner(repository), json={"body": text})["id"])

    def comments(self, repository: str, number: int) -> list[dict[str, Any]]:
        """The comments at a pull request, the oldest first: each with `id`, `body`, `user` and more."""
        return self._list(f"/repos/{repository}/issues/{number}/comments", repository)

    def statuses(self, repository: str, sha: str) -> list[dict[str, Any]]:
        """The statuses of a commit, the newest first: each with `context`, `status`, `description`, `target_url`."""
        return self._list(f"/repos/{repository}/commits/{sha}/statuses", repository)

    def webhook(self, repository: str, url: str, secret: str, *, events: tuple[str, ...] = EVERYTHING) -> int:
        """Adds a webhook; its id."""
        config = {"url": url, "content_type": "json", "secret": secret}
        body = {"type": "gitea", "active": True, "events": list(events), "config": config}
        return int(self._ask("POST", f"/repos/{repository}/hooks", by=owner(repository), json=body)["id"])

    def edit_webhook(self, repository: str, hook: int, **changes: object) -> None:
        """Changes a webhook, such as `active=False`, or `config={"url": …}`."""
        self._ask("PATCH", f"/repos/{repository}/hooks/{hook}", by=owner(repository), json=changes)

    def delete_webhook(self, repository: str, hook: int) -> None:
        """Removes a webhook."""
        self._ask("DELETE", f"/repos/{repository}/hooks/{hook}", by=owner(repository))

    def test_webhook(self, repository: str, hook: int) -> None:
        """Delivers what the button for testing does: a push that hasn't happened."""
        self._ask("POST", f"/repos/{repository}/hooks/{hook}/tests", by=owner(repository))

    def deliveries(self, hook: int) -> list[Delivery]:
        """The deliveries of a webhook, the oldest first. The API has no such list, so this reads the database."""
        with sqlite3.connect(f"file:{self.server.folder}/gitea.db?mode=ro", uri=True, timeout=60) as database:
            columns = "uuid, event_type, is_delivered, is_succeed, payload_content"
            rows = database.execute(f"SELECT {columns} FROM hook_task WHERE hook_id = ? ORDER BY id", [hook]).fetchall()  # noqa: S608
        database.close()
        return [Delivery(str(i), str(event), bool(done), bool(good), str(body)) for i, event, done, good, body in rows]

    def delete_repository(self, repository: str) -> None:
        """Deletes a repository with everything in it."""
        self._ask("DELETE", f"/repos/{repository}", by=owner(repository))

    def _label_id(self, repository: str, name: str) -> int:
        known = {label["name"]: label["id"] for label in self._list(f"/repos/{repository}/labels", repository)}
        if name not in known:
            body = {"name": name, "color": "#0e8a16"}
            return int(self._ask("POST", f"/repos/{repository}/labels", by=owner(repository), json=body)["id"])
        return int(known[name])

    def _token(self, person: str, password: str, scopes: tuple[str, ...]) -> str:
        body = {"name": secrets.token_hex(6), "scopes": list(scopes)}
        with self.server.api("") as client:
            answer = client.post(f"/users/{person}/tokens", json=body, auth=(person, password))
        return str(_good(answer)["sha1"])

    def _list(self, path: str, repository: str) -> list[dict[str, Any]]:
        """Every page of a list."""
        found: list[dict[str, Any]] = []
        for page in range(1, 1000):
            more = self._ask("GET", path, by=owner(repository), params={"page": page, "limit": 50})
            found += more
            if len(more) < 50:
                break
        return found

    def _ask(self, method: str, path: str, *, by: str, **more: Any) -> Any:
        return _good(self._send(method, path, by=by, **more))

    def _send(self, method: str, path: str, *, by: str, **more: Any) -> httpx2.Response:
        try:
            return self._client(by).request(method, path, **more)
        except httpx2.TimeoutException:
            raise AssertionError(f"{method} {path}: no answer.\n{self.server.said()}") from None

    def _new_client(self, person: str) -> httpx2.Client:
        self._used.append(self.server.api(self._people[person].token))
        return self._used[-1]


def owner(repository: str) -> str:
    """Whose repository that is."""
    return repository.partition("/")[0]


def _good(answer: httpx2.Response) -> Any:
    """What it says; an error of the forge fails the test."""
    asked = f"{answer.request.method} {answer.request.url.path}"
    assert answer.is_success, f"{asked}: {answer.status_code} {answer.text[:1000]}"
    return answer.json() if answer.content else None
