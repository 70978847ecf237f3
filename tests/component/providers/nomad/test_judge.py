"""What a connected Nomad thinks of job files: which of its words become faults, and where."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.domain.errors import InvalidTemplate
from environments.domain.faults import Fault
from environments.domain.template import Bundle, make_bundle
from environments.service.catalogue import Catalogue
from environments.service.checking import DirectChecks
from tests.fakes.kinds import AnyKind
from tests.fakes.service import WEB, make_service


def test_who_checks_a_template_and_who_pushes_one_hears_what_the_judge_says(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    nine = make_bundle({"template.toml": WEB.replace('version = "1"', 'version = "9"').encode()})
    told = [Fault(message="it is wrong", file="web.nomad.hcl", line=3), Fault(message="who knows", warning=True)]
    asked: list[dict[str, str]] = []

    def judge(bundle: Bundle, found: Sequence[Fault], images: Mapping[str, str]) -> list[Fault]:
        assert bundle.digest == nine.digest
        asked.append(dict(images))
        return told

    try:
        checks = DirectChecks({"fake": AnyKind()})
        catalogue = Catalogue(service.database, checks, lambda: datetime.now(UTC), judge)
        assert [fault.message for fault in catalogue.validate(service.admin, nine)] == ["who knows", "it is wrong"]
        with pytest.raises(InvalidTemplate, match="it is wrong"):
            catalogue.push(service.admin, nine)
        catalogue.push_shipped(service.admin, nine)
        assert catalogue.template("web").digest == nine.digest
        del told[0]
        assert catalogue.push(service.admin, nine).digest == nine.digest
        assert asked == [{}] * 3
    finally:
        service.database.close()
