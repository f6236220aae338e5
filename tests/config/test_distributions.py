"""Membership and text of distributions; their parsing is tested with the search space."""

import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from tune_ner.config.distributions import contains, format_distribution, serialize


@pytest.mark.parametrize(
    ("value", "in_int"), [(1, False), (2, True), (2.5, False), (4, True), (5, False), ("3", False)]
)
def test_distribution_contains_its_ends_and_integers_only_for_int(value: float, in_int: bool) -> None:
    assert contains(IntDistribution(2, 4), value) == in_int
    assert contains(FloatDistribution(2, 4), value) == (in_int or value == 2.5)


@pytest.mark.parametrize(
    ("distribution", "content", "text"),
    [
        (FloatDistribution(1e-6, 1e-4, log=True), {"loguniform": [1e-6, 1e-4]}, "{loguniform: [1e-06, 0.0001]}"),
        (FloatDistribution(0, 0.3), {"uniform": [0, 0.3]}, "{uniform: [0, 0.3]}"),
        (IntDistribution(2, 8), {"int": [2, 8]}, "{int: [2, 8]}"),
    ],
)
def test_distribution_is_written_as_in_a_space_file(
    distribution: FloatDistribution | IntDistribution, content: dict[str, list[float]], text: str
) -> None:
    assert serialize(distribution) == content
    assert format_distribution(distribution) == text
