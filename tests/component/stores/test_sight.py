"""What somebody sees, said in SQL and of a record: the same, whatever is shared with whom until when."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments.domain.access import EnvironmentRole, Share, SharedTo, Sight
from environments.domain.template import make_bundle
from environments.stores.database import Database
from tests.fakes.plans import NOW
from tests.support.engine_harness import DATABASES
from tests.support.in_process.rows import put_environment
from tests.support.migrated import open_migrated
from tests.support.views import WEB, environment_view

SUBJECTS = ("ann", "bob", "everyone", "group:red", "group:corp/red")
IDS = [environment_view(f"plum-{number}").id for number in range(4)]


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("sight")
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres")
        database = open_migrated(folder, postgres.new_database(), postgres.password_file)
    else:
        database = open_migrated(folder)
    with database.write() as tx:
        tx.templates.push("web", make_bundle({"template.toml": WEB.encode()}), "root", NOW, None)
        for number in range(4):
            view = environment_view(f"plum-{number}", owner=SUBJECTS[number], template=("web", "kit")[number % 2])
            put_environment(tx, view, NOW)
    yield database
    database.close()


moments = st.none() | st.integers(-2, 2).map(lambda hours: NOW + timedelta(hours=hours))
shares = st.dictionaries(st.tuples(st.sampled_from(IDS), st.sampled_from(SUBJECTS)), moments, max_size=5)


def limits(values: list[str]) -> st.SearchStrategy[frozenset[str] | None]:
    """No limit, or to some of these."""
    return st.none() | st.frozensets(st.sampled_from(values), max_size=3)


sights = st.builds(
    Sight,
    subjects=limits(list(SUBJECTS)),
    now=moments,
    templates=limits(["web", "kit", "other"]),
    environments=limits(IDS),
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(shares, st.lists(sights, min_size=1, max_size=4))
def test_the_condition_of_sql_and_the_record_say_the_same(
    database: Database, given_shares: dict[tuple[str, str], object], asked: list[Sight]
) -> None:
    made = [
        Share(
            id=f"share-{number}",
            environment_id=environment_id,
            subject=subject,
            role=EnvironmentRole.VIEWER,
            until=until,
            by="test",
            at=NOW,
        )
        for number, ((environment_id, subject), until) in enumerate(given_shares.items())
    ]
    with database.write() as tx:
        for environment_id in IDS:
            for subject in SUBJECTS:
                tx.shares.remove(environment_id, subject)
        for share in made:
            tx.shares.put(share)
    with database.read() as tx:
        found = [tx.environments.get(each) for each in IDS]
        of_each = tx.shares.of_many(IDS)
        for sight in asked:
            seen = {
                one.id
                for one in found
                if one is not None
                and sight.sees(
                    SharedTo(id=one.id, template=one.template, owner=one.owner, shares=of_each.get(one.id, ()))
                )
            }
            assert tx.environments.visible(sight, IDS) == seen
            assert {one.id for one in tx.environments.all(sight=sight)} == seen
            assert set(tx.environments.names(sight=sight, limit=10)) == {
                one.name for one in found if one and one.id in seen
            }
