"""The hyperparameter table and the reference that is generated from it."""

from typing import get_args

import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import TypeAdapter, ValidationError

from tune_ner.config.hyperparameters import (
    HYPERPARAMETERS,
    Hyperparameter,
    Number,
    SchemeName,
    contains,
    format_distribution,
    serialize,
)
from tune_ner.config.reference import hyperparameter_reference
from tune_ner.config.search_space import SearchSpace, SpaceSettings, SplitSettings
from tune_ner.config.trial_config import TrialConfig

rows = pytest.mark.parametrize("each", HYPERPARAMETERS.values(), ids=HYPERPARAMETERS)


@rows
def test_row_is_part_of_configurations_and_search_spaces(each: Hyperparameter) -> None:
    if each.name != "word_tokenizer":  # trials have the one that stands for `auto`
        assert TrialConfig.model_fields[each.name].default == each.field.default
    space_default = SearchSpace.model_fields[each.name].default
    assert space_default == (each.field.default if each.field.is_required() else [each.field.default])


@rows
def test_row_has_one_sentence_of_help(each: Hyperparameter) -> None:
    assert each.row.help.endswith(".")
    assert "\n" not in each.row.help
    assert each.base_type in (str, int, float, bool)
    assert not each.row.has_range or each.base_type is not str


def test_choices_are_those_of_the_type() -> None:
    assert HYPERPARAMETERS["tagging_scheme"].choices == get_args(SchemeName)
    assert HYPERPARAMETERS["model"].choices == HYPERPARAMETERS["epochs"].choices == ()
    assert HYPERPARAMETERS["dropout"].base_type is float


@pytest.mark.parametrize("value", [True, None, "", "1e", "nan", "inf", -1, [1.0]])
def test_number_refuses_other_values(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Number).validate_python(value)


@pytest.mark.parametrize("value", [0.5, "0.5", "5e-1", " 0.5"])
def test_number_accepts_text_of_a_number(value: object) -> None:
    assert TypeAdapter(Number).validate_python(value) == 0.5


def test_reference_lists_every_key() -> None:
    text = hyperparameter_reference()
    for name in (*SearchSpace.model_fields, *SplitSettings.model_fields):
        assert f"\n| `{name}` " in text
    assert set(SearchSpace.model_fields) == {*SpaceSettings.model_fields, *HYPERPARAMETERS}


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("learning_rate", ("number > 0, < 1", "required", "`loguniform`, `uniform`", "`--lr`")),
        ("epochs", ("integer ≥ 1", "`5`", "`int`", "`--epochs`")),
        ("dropout", ("number ≥ 0, < 1 or null", "`null`", "`loguniform`, `uniform`", "")),
        ("decoding", ("`argmax`, `viterbi`", "`argmax`", "", "")),
    ],
)
def test_reference_shows_values_defaults_and_options(name: str, cells: tuple[str, ...]) -> None:
    (line,) = (line for line in hyperparameter_reference().splitlines() if line.startswith(f"| `{name}` "))
    assert tuple(cell.strip() for cell in line.split("|")[2:-2]) == cells


@pytest.mark.parametrize(
    ("value", "in_int"), [(1, False), (2, True), (2.5, False), (4, True), (5, False), ("3", False)]
)
def test_distribution_contains_its_ends_and_integers_only_for_int(value: float, in_int: bool) -> None:
    assert contains(IntDistribution(2, 4), value) == in_int
    assert contains(FloatDistribution(2, 4), value) == (in_int or value == 2.5)


@pytest.mark.parametrize(
    ("distribution", "content", "text"),
    [
        (FloatDistribution(1e-6, 1e-4, log=True), {"loguniform": [1e-6, 1e-4]}, "{loguniform: [1e-6, 0.0001]}"),
        (FloatDistribution(0, 0.3), {"uniform": [0, 0.3]}, "{uniform: [0, 0.3]}"),
        (IntDistribution(2, 8), {"int": [2, 8]}, "{int: [2, 8]}"),
    ],
)
def test_distribution_is_written_as_in_a_space_file(
    distribution: FloatDistribution | IntDistribution, content: dict[str, list[float]], text: str
) -> None:
    assert serialize(distribution) == content
    assert format_distribution(distribution) == text
