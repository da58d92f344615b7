"""Records are closed, immutable, and come back from JSON unchanged."""

import math

import pytest
from pydantic import ValidationError

from hone.core.record import Record


class Point(Record):
    """A record of this test."""

    x: float
    names: tuple[str, ...] = ()


@pytest.mark.parametrize("x", [0.1 + 0.2, -1e-300, math.inf, -math.inf])
def test_a_record_comes_back_from_json_unchanged(x):
    point = Point(x=x, names=("größe", "b"))
    assert Point.model_validate_json(point.to_json()) == point


def test_not_a_number_survives_json():
    assert math.isnan(Point.model_validate_json(Point(x=math.nan).to_json()).x)


def test_a_record_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Point(x=1.0).x = 2.0


def test_an_unknown_field_is_refused():
    with pytest.raises(ValidationError, match="z"):
        Point.model_validate({"x": 1, "z": 2})
