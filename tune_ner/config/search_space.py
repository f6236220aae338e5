"""The search space: settings of a run, and for every hyperparameter a list of values or a distribution."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import product
from reprlib import Repr
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_validator,
)
from typing_extensions import TypedDict

from tune_ner.config.hyperparameters import (
    HYPERPARAMETERS,
    Fraction,
    Hyperparameter,
    Integer,
    NumberDistribution,
    Row,
    RunSettings,
    Text,
    contains,
    format_distribution,
    has_effect,
    parse_distribution,
    serialize,
)
from tune_ner.data.formats.options import ReadOptions
from tune_ner.data.markup import MarkupMode
from tune_ner.data.splits import SplitMethod, SplitSpec
from tune_ner.errors import SpaceError

BatchingChoice = Literal["auto", "padding_free", "padded"]

MAX_SPECIAL_TOKENS = 4
MAX_TRIALS = 100_000
SHORT = Repr()
"""Shortens values for messages."""
SHORT.maxlevel, SHORT.maxlist, SHORT.maxdict, SHORT.maxstring, SHORT.maxother = 2, 3, 3, 60, 60

_IN_EVERY_TITLE = ("model", "tagging_scheme", "learning_rate", "seed", "fold")


def _to_python(value: Any) -> Any:
    """Convert what Python callers may pass: numpy scalars and arrays, pandas series, ranges, tuples and paths."""
    if isinstance(value, Mapping):
        return {key: _to_python(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_to_python(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if hasattr(value, "tolist") else value


def _parse_values(hyperparameter: Hyperparameter, ranges: bool, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Return a list of different values, or a distribution where `ranges` allows it."""
    if isinstance(value, BaseDistribution):
        value = serialize(value)
    if isinstance(value, Mapping):
        if not ranges:
            raise ValueError(f"found {SHORT.repr(value)}, expected one value or a list of values, not a distribution")
        return parse_distribution(value, hyperparameter.base_type, check)
    values = check(value if isinstance(value, list) else [value])
    duplicates = [value for value, count in Counter(values).items() if count > 1]
    if duplicates:
        raise ValueError(f"duplicate value {duplicates[0]!r}")
    return values


def _values_type(hyperparameter: Hyperparameter, ranges: bool) -> Any:
    return Annotated[
        list[hyperparameter.value_type],  # type: ignore[name-defined] # built from the table
        Field(min_length=1),
        WrapValidator(partial(_parse_values, hyperparameter, ranges)),
        PlainSerializer(serialize, return_type=Any),
    ]


def _keep_order(points: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Validate initial points in the order given, which is the order in which a search tries their combinations."""
    checked = check(points)
    return {name: checked[name] for name in points}


def _check_folds(folds: int) -> int:
    if folds == 1:
        raise ValueError("1 fold leaves no training data; expected 0 for a single test split, or 2 and more")
    return folds


class SplitSettings(BaseModel):
    """`split:` of a search space; see `tune_ner.data.splits.SplitSpec`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    test_size: Annotated[Fraction, Field(gt=0), Row("Fraction of all sentences in the test split.")] = 0.2
    validation_size: Annotated[Fraction, Field(gt=0), Row("Fraction of the other sentences in validation.")] = 0.1
    seed: Annotated[Integer, Row("Seed of the split.")] = 67
    method: Annotated[SplitMethod, Row("Random, or grouped: near-duplicates are in one split.")] = "random"
    folds: Annotated[
        Integer, AfterValidator(_check_folds), Row("Folds of a cross-validation; 0 is one test split.")
    ] = 0

    @property
    def spec(self) -> SplitSpec:
        """The settings as the data layer takes them."""
        return SplitSpec(self.test_size, self.validation_size, self.seed, self.method, self.folds)


if TYPE_CHECKING:
    InitialPoints = dict[str, list[Any]]
else:
    InitialPoints = TypedDict(
        "InitialPoints",
        {name: _values_type(each, ranges=False) for name, each in HYPERPARAMETERS.items() if name != "seed"},
        total=False,
    )
    InitialPoints.__pydantic_config__ = ConfigDict(extra="forbid")


class DataSettings(ReadOptions):
    """`data:` of a search space: a path or name, and how to read it; see `tune_ner.data.formats.options`."""

    path: Text

    @property
    def reading(self) -> dict[str, Any]:
        """The options of `load_corpus` that are set."""
        return self.model_dump(exclude={"path"}, exclude_defaults=True)


def _data_settings(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


def _short_data(data: DataSettings | None) -> Any:
    """Return the path alone if nothing else is set."""
    return data and ({"path": data.path, **data.reading} if data.reading else data.path)


class SpaceSettings(RunSettings):
    """Entries of a search space that are not hyperparameters."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    data: Annotated[
        DataSettings | None,
        BeforeValidator(_data_settings),
        PlainSerializer(_short_data, return_type=Any),
        Row(
            "Corpus: hub:DATASET[:CONFIG], synthetic[:SENTENCES], a file or a folder; or `path` and how to read it: "
            "`format`, `token_column`, `tag_column`, `columns`, `labels`, `multiple_labels`, "
            "`discontinuous`, `group_by`."
        ),
    ] = None
    markup: Annotated[MarkupMode, Row("Keep annotation markup in the text, or strip it.")] = "keep"
    split: Annotated[SplitSettings, Row("Division of the corpus into train, validation and test.")] = SplitSettings()
    batching: Annotated[
        BatchingChoice,
        BeforeValidator(lambda value: "padding_free" if value == "packed" else value),
        Row("Layout of batches; auto is padding_free for the encoders that support it and padded for others."),
    ] = "auto"
    trim_vocabulary: Annotated[bool, Strict(), Row("Drop embeddings of subwords that the corpus lacks.")] = True
    initial_points: Annotated[
        InitialPoints,
        WrapValidator(_keep_order),
        Field(default_factory=dict),
        Row("Values whose combinations a search tries before it samples."),
    ]


if TYPE_CHECKING:

    class _SpaceFields(SpaceSettings):
        def __getattr__(self, name: str) -> Any: ...
else:
    _SpaceFields = create_model(
        "_SpaceFields",
        __base__=SpaceSettings,
        **{
            name: (_values_type(each, each.row.has_range), ... if each.field.is_required() else [each.field.default])
            for name, each in HYPERPARAMETERS.items()
        },
    )


class SearchSpace(_SpaceFields):
    """Settings of a run, and for every hyperparameter a list of values or a distribution.

    A grid is the product of all lists. A search samples from lists and distributions, after the combinations of
    `initial_points`. The defaults are the notebook's.
    """

    HYPERPARAMETERS: ClassVar[tuple[str, ...]] = tuple(HYPERPARAMETERS)

    @model_validator(mode="before")
    @classmethod
    def _accept_python_values(cls, content: Any) -> Any:
        content = _to_python(content)
        data = content.get("data") if isinstance(content, Mapping) else None
        if (
            isinstance(data, Mapping) and "overlaps" in data
        ):  # which is about the corpus, but decides what is trained on
            if content.get("overlaps", data["overlaps"]) != data["overlaps"]:
                raise ValueError(
                    f"overlaps: found {content['overlaps']}, and {data['overlaps']} under `data:`; expected one"
                )
            rest = {key: value for key, value in data.items() if key != "overlaps"}
            content = {**content, "data": rest, "overlaps": data["overlaps"]}
        return content

    @model_validator(mode="after")
    def _check_windows_advance(self) -> Self:
        longest, shortest = max(stride or 0 for stride in self.stride), min(self.max_length)
        limit = max(0, shortest - MAX_SPECIAL_TOKENS - 1)
        if longest > limit:
            raise ValueError(
                f"stride: found {longest} with max_length {shortest}, expected at most {limit}, "
                "so that windows advance over the sentence"
            )
        return self

    @model_validator(mode="after")
    def _check_head(self) -> Self:
        """Refuse what only the labels of single words can have, if sequences of labels are trained on.

        With both heads, the settings of the loss are those of the linear ones.
        """
        expected: dict[str, Any] = {"subword_labels": "first"} if "crf" in self.head else {}
        if self.head == ["crf"]:
            expected |= {"class_weights": "none", "focal_gamma": 0.0, "label_smoothing": 0.0}
        for name, value in expected.items():
            if (found := getattr(self, name)) != [value]:
                raise ValueError(
                    f"{name}: found {SHORT.repr(serialize(found))} with head crf, expected {value}: a CRF learns "
                    "the sequence of the labels of words"
                )
        return self

    @property
    def hyperparameters(self) -> dict[str, list[Any] | NumberDistribution]:
        """The list or distribution of every hyperparameter, and the folds of a cross-validation."""
        folds = {"fold": list(range(self.split.folds))} if self.split.folds else {}
        return {name: getattr(self, name) for name in self.HYPERPARAMETERS} | folds

    @property
    def distributions(self) -> dict[str, NumberDistribution]:
        """The hyperparameters that have a distribution."""
        return {name: found for name, found in self.hyperparameters.items() if not isinstance(found, list)}

    @property
    def search_distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's search space: distributions and lists of several values."""
        return {
            name: CategoricalDistribution(found) if isinstance(found, list) else found
            for name, found in self.hyperparameters.items()
            if not isinstance(found, list) or len(found) > 1
        }

    @property
    def varied_hyperparameters(self) -> list[str]:
        """The hyperparameters with several values, except those that every trial title contains."""
        return [name for name in self.search_distributions if name not in _IN_EVERY_TITLE]

    def largest(self, name: str) -> int:
        """Return the largest value of an integer hyperparameter."""
        found = getattr(self, name)
        return max(found) if isinstance(found, list) else int(found.high)

    def example(self, name: str) -> Any:
        """Return one of the values of a hyperparameter."""
        found = getattr(self, name)
        return found[0] if isinstance(found, list) else found.low

    def contains(self, name: str, value: Any) -> bool:
        """Return whether a hyperparameter can have this value."""
        found = getattr(self, name)
        if isinstance(found, list):
            return value in found or "auto" in found  # trials have the word tokenizer that stands for it
        return contains(found, value)

    @property
    def grid_values(self) -> dict[str, list[Any]]:
        """The values of every hyperparameter in the order in which the grid is enumerated, and the folds.

        Raises:
            SpaceError: a hyperparameter has a distribution.
        """
        if self.distributions:
            raise SpaceError(
                "\n".join(
                    f"{name}: found the distribution {format_distribution(found)}, expected a list of values; write a "
                    "list, or run `tune-ner search`"
                    for name, found in self.distributions.items()
                )
            )
        return {name: list(found) for name, found in self.hyperparameters.items() if isinstance(found, list)}

    def grid_points(self) -> list[dict[str, Any]]:
        """Return every point of the grid once; the last hyperparameter (seed or fold) varies fastest."""
        points = (self.effective(point) for point in _product(self.grid_values))
        return list({tuple(point.values()): point for point in points}.values())

    def effective(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return a point with an arbitrary value of the space for hyperparameters without an effect on its model."""
        model, head = point["model"], point["head"]
        return {name: value if has_effect(name, model, head) else self.example(name) for name, value in point.items()}

    def expand_initial_points(self) -> list[dict[str, Any]]:
        """Return the combinations of `initial_points`; the search samples the hyperparameters that are not in it."""
        return _product(self.initial_points) if self.initial_points else []

    def check_grid(self) -> None:
        """Check that the space has a grid of a feasible size.

        Raises:
            SpaceError: a hyperparameter has a distribution, or there are too many trials.
        """
        trials = math.prod(map(len, self.grid_values.values()))
        if trials > MAX_TRIALS:
            raise SpaceError(
                f"this grid has {trials:,} trials, expected at most {MAX_TRIALS:,}; remove values of hyperparameters"
            )

    def check_search(self) -> None:
        """Check that the space can be searched.

        Raises:
            SpaceError: no distribution, several seeds, folds, or initial points outside the space; lists all errors.
        """
        problems = [
            f"initial_points.{name}: {value!r} is not in the search space"
            for name, values in self.initial_points.items()
            for value in values
            if not self.contains(name, value)
        ]
        if not self.distributions:
            problems.append(
                "no hyperparameter has a distribution; add one, for instance "
                "`learning_rate: {loguniform: [1.0e-5, 1.0e-3]}`, or run the grid"
            )
        if len(self.seed) > 1:
            problems.append(
                f"seed: found {len(self.seed)} seeds, expected one; a search retrains the best configurations with "
                "further seeds at its end (--confirm-seeds)"
            )
        if self.split.folds:
            problems.append("split.folds: a search compares configurations on one split; expected 0")
        if problems:
            raise SpaceError("\n".join(problems))

    def to_yaml(self) -> str:
        """Return the space as a YAML file, with all defaults, that loads as the same space."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def _product(values: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(values, point, strict=True)) for point in product(*values.values())]
