"""Validation of search spaces, their grids, and the conditions of a search."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tests.damages import refusal
from tune_ner.config.hyperparameters import HYPERPARAMETERS
from tune_ner.config.loading import load_space, parse_space
from tune_ner.config.search_space import SearchSpace
from tune_ner.errors import SpaceError
from tune_ner.tagging.schemes import SCHEMES

MINIMAL: dict[str, Any] = {"model": "tiny:1x32", "learning_rate": 1e-3}


def space(**changes: Any) -> SearchSpace:
    return parse_space({**MINIMAL, **changes}, "here")


def problems_of(content: Mapping[Any, Any]) -> list[str]:
    """The lines of the error message for this space, without its head."""
    with pytest.raises(SpaceError) as caught:
        parse_space(content, "here")
    head, *lines = str(caught.value).splitlines()
    assert head == f"here: {'1 problem' if len(lines) == 1 else f'{len(lines)} problems'}"
    return [line.strip() for line in lines]


# ---- grids


def test_grid_is_the_product_of_all_values_and_the_last_varies_fastest() -> None:
    found = space(model=["a", "b"], seed=[1, 2], tagging_scheme=["BIO", "IO"])
    points = [(point["model"], point["tagging_scheme"], point["seed"]) for point in found.grid_points()]
    assert points == [(m, t, s) for m in ("a", "b") for t in ("BIO", "IO") for s in (1, 2)]
    assert all(list(point) == list(HYPERPARAMETERS) for point in found.grid_points())


def test_folds_are_part_of_the_grid() -> None:
    found = space(split={"folds": 3}, epochs=[1, 2])
    assert [(point["epochs"], point["fold"]) for point in found.grid_points()] == [
        (epochs, fold) for epochs in (1, 2) for fold in range(3)
    ]
    assert found.varied_hyperparameters == ["epochs"]


def test_hyperparameters_without_an_effect_on_a_baseline_do_not_repeat_it() -> None:
    found = space(
        model=["baseline:crf", "baseline:gazetteer", "tiny:1x32"],
        tagging_scheme=["BIO", "BIOES"],
        learning_rate=[1e-3, 2e-3],
        crf_c1=[0.01, 0.1],
        seed=[1, 2],
    )
    names = ("model", "tagging_scheme", "learning_rate", "crf_c1", "seed")
    points = [tuple(point[name] for name in names) for point in found.grid_points()]
    assert points == [
        *(
            ("baseline:crf", scheme, 1e-3, c1, seed)
            for scheme in ("BIO", "BIOES")
            for c1 in (0.01, 0.1)
            for seed in (1, 2)
        ),
        *(("baseline:gazetteer", "BIO", 1e-3, 0.01, seed) for seed in (1, 2)),
        *(("tiny:1x32", s, rate, 0.01, seed) for s in ("BIO", "BIOES") for rate in (1e-3, 2e-3) for seed in (1, 2)),
    ]


def test_ranges_without_an_effect_have_one_value() -> None:
    found = space(model=["baseline:crf", "tiny:1x32"], learning_rate={"loguniform": [1e-4, 1e-2]})
    point = {name: found.example(name) for name in HYPERPARAMETERS} | {"learning_rate": 5e-3, "crf_c1": 0.5}
    assert found.effective({**point, "model": "baseline:crf"})["learning_rate"] == 1e-4
    assert found.effective({**point, "model": "baseline:crf"})["crf_c1"] == 0.5
    assert found.effective({**point, "model": "tiny:1x32"})["learning_rate"] == 5e-3
    assert found.effective({**point, "model": "tiny:1x32"})["crf_c1"] == 0.01


def test_single_value_is_a_list_of_one() -> None:
    assert space(epochs=3).grid_values["epochs"] == [3] == space(epochs=[3]).grid_values["epochs"]


def test_every_scheme_can_be_searched() -> None:
    assert space(tagging_scheme=list(SCHEMES)).grid_values["tagging_scheme"] == list(SCHEMES)


def test_grid_of_distributions_names_each_of_them() -> None:
    found = space(learning_rate={"loguniform": [1e-6, 1e-4]}, epochs={"int": [2, 8]})
    with pytest.raises(SpaceError) as caught:
        found.grid_points()
    first, second = str(caught.value).splitlines()
    assert first.startswith("learning_rate: found the distribution {loguniform: [1e-6, 0.0001]}")
    assert second.startswith("epochs: found the distribution {int: [2, 8]}")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"class_weights": ["none", "sqrt"]}, "class_weights: found ['none', 'sqrt'] with head crf, expected none"),
        ({"focal_gamma": 2}, "focal_gamma: found [2.0] with head crf, expected 0.0"),
        ({"label_smoothing": {"uniform": [0.0, 0.1]}}, "label_smoothing: found {'uniform': [0.0, 0.1]} with head crf"),
        ({"subword_labels": "all"}, "subword_labels: found ['all'] with head crf, expected first"),
    ],
)
def test_what_a_crf_cannot_be_combined_with(changes: dict[str, Any], found: str) -> None:
    (problem,) = problems_of({**MINIMAL, "head": "crf", **changes})
    assert problem.startswith(found)
    assert space(**changes).head == ["linear"]


def test_with_both_heads_the_settings_of_the_loss_are_those_of_the_linear_one() -> None:
    found = space(
        head=["linear", "crf"], class_weights=["none", "sqrt"], decoding=["argmax", "viterbi"], focal_gamma=2.0
    )
    names = ("head", "class_weights", "decoding", "focal_gamma")
    assert [tuple(point[name] for name in names) for point in found.grid_points()] == [
        *(("linear", weights, decoding, 2.0) for weights in ("none", "sqrt") for decoding in ("argmax", "viterbi")),
        ("crf", "none", "argmax", 2.0),
    ]
    (problem,) = problems_of({**MINIMAL, "head": ["linear", "crf"], "subword_labels": ["first", "all"]})
    assert problem.startswith("subword_labels: found ['first', 'all'] with head crf, expected first")


def test_windows_must_advance() -> None:
    for stride, max_length in ((123, 128), (0, 3)):
        assert space(stride=stride, max_length=max_length).stride == [stride]
    for stride, max_length in ((20, 10), (124, 128)):
        (problem,) = problems_of({**MINIMAL, "stride": stride, "max_length": [max_length, 512]})
        assert problem.startswith(f"stride: found {stride} with max_length {max_length}")


# ---- searches


def test_numbers_can_have_a_distribution() -> None:
    found = space(learning_rate={"loguniform": ["1e-6", 1e-4]}, epochs={"int": [2, 8]}, dropout={"uniform": [0, 0.3]})
    assert found.distributions == {
        "learning_rate": FloatDistribution(1e-6, 1e-4, log=True),
        "epochs": IntDistribution(2, 8),
        "dropout": FloatDistribution(0.0, 0.3),
    }


def test_search_distributions_leave_out_single_values() -> None:
    found = space(learning_rate={"uniform": [0.1, 0.2]}, tagging_scheme=["BIO", "IO"])
    assert found.search_distributions == {
        "tagging_scheme": CategoricalDistribution(["BIO", "IO"]),
        "learning_rate": FloatDistribution(0.1, 0.2),
    }


def test_initial_points_are_combined() -> None:
    found = space(learning_rate={"uniform": [0.1, 0.9]}, initial_points={"learning_rate": ["2e-1", 0.3], "epochs": 5})
    assert found.expand_initial_points() == [{"learning_rate": rate, "epochs": 5} for rate in (0.2, 0.3)]
    assert space().expand_initial_points() == []
    found = space(initial_points={"epochs": [1, 2], "model": ["a", "b"]})
    assert [tuple(point.values()) for point in found.expand_initial_points()] == [
        (1, "a"),
        (1, "b"),
        (2, "a"),
        (2, "b"),
    ]


def test_errors_of_a_search_are_reported_together() -> None:
    found = space(seed=[1, 2], split={"folds": 3}, initial_points={"epochs": 4, "learning_rate": [1e-3, 0.1]})
    with pytest.raises(SpaceError) as caught:
        found.check_search()
    assert [line.partition(" ")[0] for line in str(caught.value).splitlines()] == [
        *("initial_points.epochs:", "initial_points.learning_rate:", "no", "seed:", "split.folds:"),
    ]


@given(name=st.sampled_from([name for name in HYPERPARAMETERS if name != "seed"]), values=st.data())
def test_any_initial_point_is_checked_or_refused(name: str, values: st.DataObject) -> None:
    value = values.draw(scalars | st.lists(scalars, max_size=3))
    ranges: dict[str, Any] = {"learning_rate": {"loguniform": [1e-5, 1e-3]}, "epochs": {"int": [1, 5]}}
    message = refusal(SpaceError, lambda: space(**ranges, initial_points={name: value}).check_search())
    assert not message or f"initial_points.{name}" in message


@pytest.mark.parametrize("value", ["banana", "1.0d-4", None, True, [[0.1]], {"uniform": [0.1, 0.2]}, float("nan")])
def test_initial_point_of_another_type_is_refused(value: Any) -> None:
    (problem,) = problems_of({**MINIMAL, "initial_points": {"learning_rate": value}})
    assert problem.startswith("initial_points.learning_rate")


# ---- values from Python


def test_python_values_are_accepted() -> None:
    found = space(
        model=Path("models/mine"),
        learning_rate=np.array([1e-3, 1e-4]),
        epochs=np.int64(3),
        batch_size=(8, 16),
        dropout=[None, np.float32(0.5)],
        seed=range(3),
        weight_decay=pd.Series([0.0, 0.1]),
        split={"test_size": np.float64(0.3)},
        trim_vocabulary=np.bool_(False),
        initial_points={"epochs": np.int32(3)},
    )
    assert found.model == [str(Path("models/mine"))]
    assert (found.learning_rate, found.epochs, found.batch_size) == ([1e-3, 1e-4], [3], [8, 16])
    assert (found.dropout, found.seed, found.weight_decay) == ([None, 0.5], [0, 1, 2], [0.0, 0.1])
    assert (found.split.test_size, found.trim_vocabulary, found.initial_points) == (0.3, False, {"epochs": [3]})
    assert all(type(value) in (int, float, str) for point in found.grid_points() for value in point.values() if value)
    assert yaml.safe_load(found.to_yaml())["seed"] == [0, 1, 2]


def test_optuna_distributions_are_accepted() -> None:
    found = space(
        learning_rate=FloatDistribution(1e-5, 1e-3, log=True),
        batch_size=IntDistribution(8, 16),
        tagging_scheme=CategoricalDistribution(["BIO", "IO"]),
    )
    assert found.learning_rate == FloatDistribution(1e-5, 1e-3, log=True)
    assert found.tagging_scheme == ["BIO", "IO"]
    assert parse_space(found.model_dump()) == found


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("batch_size", IntDistribution(8, 16, step=2)),
        ("batch_size", IntDistribution(8, 16, log=True)),
        ("learning_rate", FloatDistribution(0.1, 0.5, step=0.1)),
        ("learning_rate", IntDistribution(1, 2)),
        ("learning_rate", FloatDistribution(0.1, 1.5)),
        ("seed", IntDistribution(1, 2)),
    ],
)
def test_unsuitable_optuna_distribution_is_refused(name: str, distribution: Any) -> None:
    (problem,) = problems_of({**MINIMAL, name: distribution})
    assert problem.startswith(name)


# ---- invalid content


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"lerning_rate": 1}, "lerning_rate", "did you mean 'learning_rate'?"),
        ({"zzz": 1}, "zzz", "unknown key; known are precision"),
        ({"split": {"tst_size": 0.1}}, "split.tst_size", "did you mean 'test_size'?"),
        ({"initial_points": {"seed": 1}}, "initial_points.seed", "known are model,"),
        ({"split": 5}, "split", "found 5"),
        ({"split": None}, "split", "found None"),
        ({"split": {"test_size": 1}}, "split.test_size", "below 1"),
        ({"split": {"validation_size": 0}}, "split.validation_size", "above 0"),
        ({"split": {"seed": -1}}, "split.seed", "at least 0"),
        ({"split": {"folds": 1}}, "split.folds", "1 fold"),
        ({"model": []}, "model", "at least one value"),
        ({"model": ""}, "model[0]", "found ''"),
        ({"model": 5}, "model[0]", "found 5"),
        ({"model": ["a", None]}, "model[1]", "found None"),
        ({"model": {"a": 1}}, "model", "found {'a': 1}"),
        ({"seed": {"int": [1, 5]}}, "seed", "not a distribution"),
        (
            {"learning_rate": {"int": [1, 5]}},
            "learning_rate",
            "{loguniform: [lowest, highest]} or {uniform: [lowest, highest]}",
        ),
        ({"epochs": {"uniform": [1, 5]}}, "epochs", "expected {int: [lowest, highest]}"),
        ({"learning_rate": {"loguniforn": [1e-5, 1e-4]}}, "learning_rate", "did you mean 'loguniform'?"),
        ({"learning_rate": {}}, "learning_rate", "found {}"),
        ({"learning_rate": {"uniform": 1e-5}}, "learning_rate", "found {'uniform': 1e-05}"),
        ({"learning_rate": {"uniform": [0.1, 0.2, 0.3]}}, "learning_rate", "[lowest, highest]"),
        ({"learning_rate": {"uniform": [0.1, 0.1]}}, "learning_rate", "[0.1, 0.1]"),
        ({"learning_rate": {"loguniform": [0.1, 1e-5]}}, "learning_rate", "[0.1, 1e-5]"),
        ({"learning_rate": {"uniform": [0.1, 2]}}, "learning_rate[1]", "below 1"),
        ({"weight_decay": {"loguniform": [0, 0.1]}}, "weight_decay", "0 < lowest"),
        ({"dropout": {"uniform": [None, 0.1]}}, "dropout", "[None, 0.1]"),
        ({"epochs": {"int": [0, 5]}}, "epochs[0]", "at least 1"),
        ({"lr_schedule": "cosin"}, "lr_schedule[0]", "one of linear, cosine, constant (did you mean 'cosine'?)"),
        ({"warmup": 1}, "warmup[0]", "below 1"),
        ({"model": ["a", "b", "a"]}, "model", "duplicate value 'a'"),
        ({"learning_rate": [0.1, "1e-1"]}, "learning_rate", "duplicate value 0.1"),
        ({"learning_rate": "fast"}, "learning_rate[0]", "found 'fast'"),
        ({"learning_rate": True}, "learning_rate[0]", "found True"),
        ({"learning_rate": 0}, "learning_rate[0]", "above 0"),
        ({"learning_rate": 10**400}, "learning_rate[0]", "expected a number"),
        ({"weight_decay": "inf"}, "weight_decay[0]", "finite"),
        ({"weight_decay": -0.1}, "weight_decay[0]", "at least 0"),
        ({"epochs": 0}, "epochs[0]", "at least 1"),
        ({"epochs": "5"}, "epochs[0]", "found '5'"),
        ({"epochs": 1.5}, "epochs[0]", "whole number"),
        ({"epochs": 10**30}, "epochs[0]", "below 4294967296"),
        ({"batch_size": False}, "batch_size[0]", "found False"),
        ({"max_length": 2}, "max_length[0]", "at least 3"),
        ({"seed": [1, True]}, "seed[1]", "found True"),
        ({"seed": 2**32}, "seed[0]", "below 4294967296"),
        ({"data": ""}, "data.path", "found ''"),
        ({"markup": "stripp"}, "markup", "did you mean 'strip'?"),
        ({"precision": "fp8"}, "precision", "auto, fp32, fp16, bf16"),
        ({"selection_metric": "f1"}, "selection_metric", "span_f1, seqeval_f1"),
        ({"target_f1": 1.5}, "target_f1", "at most 1"),
        ({"trim_vocabulary": 1}, "trim_vocabulary", "true or false"),
        ({"tagging_scheme": ["BIO", "bioes"]}, "tagging_scheme[1]", "did you mean 'BIOES'?"),
        ({"tagging_scheme": "xyz"}, "tagging_scheme[0]", "one of BIO, BIOES, IOB1, BILOU, IO"),
        ({3: 4}, "[3]", "found 3"),
        ({"model": "\ud800"}, "model[0]", "surrogates"),
    ],
)
def test_error_names_key_found_and_expected(changes: dict[Any, Any], key: str, words: str) -> None:
    (problem,) = problems_of({**MINIMAL, **changes})
    assert problem.startswith(f"{key}: ")
    assert words in problem


def test_all_errors_are_reported_together() -> None:
    lines = problems_of({"modell": "m", "learning_rate": [1e-5, 3], "seed": "x", "split": {"seed": 1.5, "size": 1}})
    assert {line.partition(":")[0] for line in lines} == {
        *("split.seed", "split.size", "model", "learning_rate[1]", "seed[0]", "modell"),
    }


@pytest.mark.parametrize("key", MINIMAL)
def test_hyperparameter_without_default_is_required(key: str) -> None:
    (problem,) = problems_of({name: value for name, value in MINIMAL.items() if name != key})
    assert problem.startswith(f"{key}: missing")


def test_long_values_are_shortened_in_messages() -> None:
    (problem,) = problems_of({**MINIMAL, "data": [["x" * 1000] * 1000] * 1000})
    assert len(problem) < 1000


def test_many_values_are_checked_quickly() -> None:
    start = time.process_time()
    assert len(space(seed=list(range(100_000))).seed) == 100_000
    assert time.process_time() - start < 5


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**1000, 2**1100)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["BIO", "bioes", "1e-5", "nan", "tiny:1x32", "keep", "first", 0.1, 1, 16])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from([*SearchSpace.model_fields, "lr"]) | scalars


@settings(max_examples=400)
@given(st.dictionaries(keys, values, max_size=8), st.booleans())
@example({"initial_points": {"learning_rate": "banana"}}, True)
def test_any_content_is_a_space_or_is_refused(content: dict[Any, Any], complete: bool) -> None:
    try:
        found = parse_space({**MINIMAL, **content} if complete else content, "drawn")
    except SpaceError:
        return
    assert found.distributions or all(found.grid_values.values())
    assert parse_space(found.model_dump(), "again") == found


names = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


def ranges(kind: str, numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, list[Any]]]:
    ends = st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)
    return ends.map(lambda pair: {kind: pair})


valid_spaces = st.builds(
    lambda **content: parse_space(content, "drawn"),
    data=names,
    model=st.lists(names, min_size=1, max_size=3, unique=True),
    learning_rate=st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=1, max_size=3, unique=True),
    weight_decay=st.floats(0, 10) | ranges("uniform", st.floats(0, 10)),
    warmup=st.floats(0, 0.9),
    dropout=st.none() | ranges("uniform", st.floats(0, 0.9)),
    batch_size=st.integers(1, 64) | ranges("int", st.integers(1, 64)),
    seed=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3, unique=True),
    epochs=st.integers(1, 10**6),
    split=st.fixed_dictionaries({"test_size": st.floats(0.01, 0.99), "seed": st.integers(0, 2**32 - 1)}),
    word_tokenizer=st.sampled_from(["whitespace", "punctuation"]),
    markup=st.sampled_from(["keep", "strip"]),
)


@given(valid_spaces)
def test_space_survives_a_round_trip_through_yaml(drawn: SearchSpace) -> None:
    written = yaml.safe_load(drawn.to_yaml())
    assert load_space(written) == drawn
    assert set(written) == set(SearchSpace.model_fields)
