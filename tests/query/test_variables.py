"""How large values may be, to the last item."""

from typing import Any

import pytest

from plait.query.variables import VALUE_DEPTH_MAX, VariableLimits, variables_error

LIMITS = VariableLimits(depth=3, list_items=2)


def nested(depth: int, inner: Any = 1) -> Any:
    for number in range(depth):
        inner = [inner] if number % 2 else {"a": inner}
    return inner


@pytest.mark.parametrize(
    "variables",
    [
        None,
        {},
        {"a": 1},
        {"a": [1, 2]},
        {"a": [], "b": {}, "c": "x" * 10_000},
        {"a": nested(2)},
        {"a": nested(3)},
        {"a": {str(n): n for n in range(100)}},
        {"a": [[1, 2], [3, 4]]},
    ],
)
def test_what_is_within_the_limits_is_no_error(variables: Any) -> None:
    assert variables_error(variables, LIMITS) is None


@pytest.mark.parametrize("variables", [{"a": [1, 2, 3]}, {"a": {"b": [[1, 2, 3]]}}, {"a": [1] * 3}])
def test_a_list_with_one_item_too_many(variables: Any) -> None:
    error = variables_error(variables, LIMITS)
    assert error is not None
    assert str(error) == "A list has 3 items, and 2 are allowed. Ask for less at once."
    assert (error.limit, error.value) == ("request_list_items_max", 2)


@pytest.mark.parametrize("variables", [{"a": nested(4)}, {"a": 1, "b": [nested(3)]}])
def test_a_value_that_nests_too_deeply(variables: Any) -> None:
    error = variables_error(variables, LIMITS)
    assert error is not None
    assert str(error) == "A value nests more than the 3 lists and objects that are allowed."
    assert (error.limit, error.value) == ("value_depth", 3)


def test_the_defaults() -> None:
    assert VariableLimits() == VariableLimits(depth=50, list_items=2_000)
    assert VALUE_DEPTH_MAX == 50
    assert variables_error({"a": [0] * 2_000}, VariableLimits()) is None
    assert variables_error({"a": [0] * 2_001}, VariableLimits()) is not None
