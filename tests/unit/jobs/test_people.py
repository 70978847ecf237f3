"""What deploy says about people."""

from environments.wire.people_local import IssuerView
from jobs.people import told_of_people

PATH = "/v1/identity/oidc/provider/calvinverse"
OLD, NEW = f"https://old.example.org{PATH}", f"https://new.example.org:8443{PATH}"


def test_it_says_where_people_sign_in_and_how_to_let_somebody_in() -> None:
    assert list(told_of_people([IssuerView(issuer=NEW, people=0, built_in=True)], "calvinverse")) == [
        "People sign in at https://new.example.org:8443. Let somebody in with `calvinverse user create NAME`."
    ]


def test_a_changed_issuer_is_told_with_the_command_that_moves_its_people() -> None:
    issuers = [
        IssuerView(issuer=OLD, people=2, built_in=False),
        IssuerView(issuer="https://id.example.net", people=7, built_in=False),
        IssuerView(issuer=NEW, people=0, built_in=True),
    ]
    warning, advice, _ = told_of_people(issuers, "calvinverse")
    assert warning.startswith("Warning: 2 people sign in with an earlier address of the built-in provider")
    assert advice.endswith(f"`calvinverse user move-issuer {OLD} {NEW}`.")


def test_without_the_built_in_provider_nothing_is_said() -> None:
    assert list(told_of_people([], "calvinverse")) == []
