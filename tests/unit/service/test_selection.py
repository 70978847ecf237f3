"""Where pages of sorted lists end, as texts that come back from anybody."""

import base64
import json
from typing import Any

import pytest

from environments.domain.errors import InvalidInput
from environments.domain.lifecycle import State
from environments.service.selection import BY_URGENCY, Order, Place, place_text, read_place
from tests.fakes.plans import NOW
from tests.support.hostile_texts import HOSTILE


def test_every_state_has_its_place() -> None:
    assert sorted(BY_URGENCY) == sorted(State)


@pytest.mark.parametrize(
    ("order", "value"),
    [(Order.CREATED, NOW), (Order.NAME, "shop"), (Order.DEADLINE, NOW), (Order.DEADLINE, None), (Order.STATE, 3)],
)
def test_a_place_survives_as_a_text_of_its_order_only(order: Order, value: Any) -> None:
    text = place_text(order, Place(value, "env-1"))
    assert read_place(order, text) == Place(value, "env-1")
    for other in set(Order) - {order}:
        with pytest.raises(InvalidInput):
            read_place(other, text)


@pytest.mark.parametrize("order", list(Order))
def test_no_other_text_is_a_place(order: Order) -> None:
    values: list[object] = [
        None,
        True,
        1.5,
        -1,
        99,
        "x\0",
        "\ud800",
        [],
        {},
        "2026-01-01",
        "2026-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        *HOSTILE,
    ]
    texts = [*HOSTILE, *(json.dumps(value) for value in values)]
    for value in values:
        for id in (1, None, ["env-1"]):
            texts.append(json.dumps([order.value, value, id]))
    for text in texts:
        for sent in (text, base64.urlsafe_b64encode(text.encode(errors="surrogatepass")).decode()):
            with pytest.raises(InvalidInput):
                read_place(order, sent)


@pytest.mark.parametrize(("order", "value"), [(Order.NAME, "shop"), (Order.DEADLINE, None), (Order.STATE, 3)])
@pytest.mark.parametrize("id", ["env-\0", "\ud800"])
def test_no_id_that_databases_refuse_is_in_a_place(order: Order, value: Any, id: str) -> None:
    with pytest.raises(InvalidInput):
        read_place(order, place_text(order, Place(value, id)))
