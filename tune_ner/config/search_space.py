"""The search space: its axes, validated as a whole, and the trials that it stands for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import product
from reprlib import Repr
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from tune_ner.config.distributions import Distribution, parse_distribution
from tune_ner.config.trial_config import LearningRateSchedule, Precision, SchemeName, SelectionMetric
from tune_ner.data.markup import MarkupMode
from tune_ner.data.splits import SplitMethod, SplitSpec
from tune_ner.errors import SpaceError
from tune_ner.tagging.alignment import SubwordLabels
from tune_ner.tagging.decoding import Decoding
from tune_ner.tagging.tokenization import WordTokenizer

BatchingChoice = Literal["auto", "padding_free", "padded"]
T = TypeVar("T")

MOST_SPECIAL_TOKENS = 4
MAX_TRIALS = 100_000
SHOWN = Repr()
"""What was found, short enough for a message."""
SHOWN.maxlevel, SHOWN.maxlist, SHOWN.maxdict, SHOWN.maxstring, SHOWN.maxother = 2, 3, 3, 60, 60


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _each_once(values: list[T]) -> list[T]:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands twice in it; every value may be tried once")
    return values


def _yaml_number(value: Any) -> Any:
    """YAML reads `1e-5`, which has no point, as a string."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    try:
        return float(value)
    except (ValueError, OverflowError):
        return value


def _listed(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, Mapping):
        raise ValueError(
            f"found {SHOWN.repr(value)}; only numbers have distributions: expected one value or a list of them"
        )
    return _each_once(check(_as_list(value)))


def _replicates(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, Mapping):
        raise ValueError("seeds are replicates and cannot be searched; expected one or a list of them")
    return _each_once(check(_as_list(value)))


def _real(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, Mapping):
        return parse_distribution(value, False, check)
    return _listed(value, check)


def _whole(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, Mapping):
        return parse_distribution(value, True, check)
    return _listed(value, check)


def _scalar(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        raise ValueError(f"found {SHOWN.repr(value)}, expected a value of that axis")
    return value


def _batching_alias(value: Any) -> Any:
    return "padding_free" if value == "packed" else value


def _plain(value: list[T] | Distribution) -> list[T] | dict[str, list[float]]:
    return value.as_yaml() if isinstance(value, Distribution) else value


Axis = Annotated[list[T], Field(min_length=1), WrapValidator(_listed)]
Replicates = Annotated[list[T], Field(min_length=1), WrapValidator(_replicates)]
# Of these two, the value may be a distribution too.
RealAxis = Annotated[list[T], Field(min_length=1), WrapValidator(_real), PlainSerializer(_plain, return_type=Any)]
WholeAxis = Annotated[list[T], Field(min_length=1), WrapValidator(_whole), PlainSerializer(_plain, return_type=Any)]
_Number = Annotated[StrictFloat, BeforeValidator(_yaml_number)]
_Rate = Annotated[_Number, Field(gt=0, lt=1, allow_inf_nan=False)]
_Count = Annotated[StrictInt, Field(ge=1)]
_Share = Annotated[_Number, Field(gt=0, lt=1, allow_inf_nan=False)]
_ZeroOrShare = Annotated[_Number, Field(ge=0, lt=1, allow_inf_nan=False)]
_Text = Annotated[StrictStr, Field(min_length=1)]
_REAL = ("learning_rate", "warmup", "weight_decay", "label_smoothing", "dropout")
SearchedName = Literal[
    "model",
    "tagging_scheme",
    "learning_rate",
    "lr_schedule",
    "warmup",
    "epochs",
    "batch_size",
    "weight_decay",
    "label_smoothing",
    "dropout",
    "max_length",
    "word_tokenizer",
    "stride",
    "subword_labels",
    "decoding",
]


def _no_single_fold(folds: int) -> int:
    if folds == 1:
        raise ValueError("1 fold leaves nothing to train on; expected 0 for one test part, or 2 and more")
    return folds


class SplitSettings(BaseModel):
    """`split:` of a space; see `tune_ner.data.SplitSpec`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    test_size: _Share = 0.2
    validation_size: _Share = 0.1
    seed: Annotated[StrictInt, Field(ge=0, lt=2**32)] = 67
    method: SplitMethod = "random"
    folds: Annotated[StrictInt, AfterValidator(_no_single_fold), Field(ge=0)] = 0

    @property
    def spec(self) -> SplitSpec:
        """The settings as the data layer takes them."""
        return SplitSpec(self.test_size, self.validation_size, self.seed, self.method, self.folds)


class SearchSpace(BaseModel):
    """What is searched: the data, and for every hyperparameter one value, a list of them, or a distribution.

    The grid is the product of all lists; distributions are for a search, which tries the product of `initial_points`
    before anything else. The defaults are the notebook's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: _Text = "hub:community-datasets/swedish_medical_ner:1177"
    markup: MarkupMode = "keep"
    split: SplitSettings = SplitSettings()
    precision: Precision = "auto"
    batching: Annotated[BatchingChoice, BeforeValidator(_batching_alias)] = "auto"
    trim_vocabulary: StrictBool = True
    selection_metric: SelectionMetric = "span_f1"
    target_f1: Annotated[_Number, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    initial_points: dict[SearchedName, Axis[Annotated[Any, AfterValidator(_scalar)]]] = {}
    model: Axis[_Text]
    tagging_scheme: Axis[SchemeName] = ["BIO"]
    learning_rate: RealAxis[_Rate]
    lr_schedule: Axis[LearningRateSchedule] = ["linear"]
    warmup: RealAxis[_ZeroOrShare] = [0.0]
    epochs: WholeAxis[_Count] = [5]
    batch_size: WholeAxis[_Count] = [16]
    weight_decay: RealAxis[Annotated[_Number, Field(ge=0, allow_inf_nan=False)]] = [0.01]
    label_smoothing: RealAxis[_ZeroOrShare] = [0.0]
    dropout: RealAxis[_ZeroOrShare | None] = [None]
    max_length: Axis[Annotated[StrictInt, Field(ge=3)]] = [256]
    word_tokenizer: Axis[WordTokenizer] = ["whitespace"]
    stride: Axis[Annotated[StrictInt, Field(ge=0)]] = [0]
    subword_labels: Axis[SubwordLabels] = ["first"]
    decoding: Axis[Decoding] = ["argmax"]
    seed: Replicates[Annotated[StrictInt, Field(ge=0, lt=2**32)]] = [42]

    @field_validator("initial_points", mode="before")
    @classmethod
    def _initial_numbers(cls, points: Any) -> Any:
        if not isinstance(points, Mapping):
            return points
        real = {name: [_yaml_number(value) for value in _as_list(points[name])] for name in _REAL if name in points}
        return {**points, **real}

    @model_validator(mode="after")
    def _windows_move_on(self) -> Self:
        longest, shortest = max(self.stride), min(self.max_length)
        if longest and longest > shortest - MOST_SPECIAL_TOKENS - 1:
            raise ValueError(
                f"stride: found {longest} with max_length {shortest}, expected at most "
                f"{max(0, shortest - MOST_SPECIAL_TOKENS - 1)}, so that each window goes on where the one before ended"
            )
        return self

    AXES: ClassVar[tuple[str, ...]] = (
        "model",
        "tagging_scheme",
        "learning_rate",
        "lr_schedule",
        "warmup",
        "epochs",
        "batch_size",
        "weight_decay",
        "label_smoothing",
        "dropout",
        "max_length",
        "word_tokenizer",
        "stride",
        "subword_labels",
        "decoding",
        "seed",
    )

    @property
    def distributions(self) -> dict[str, Distribution]:
        """The axes that are ranges of numbers."""
        values = {name: getattr(self, name) for name in self.AXES}
        return {name: value for name, value in values.items() if isinstance(value, Distribution)}

    def most(self, name: str) -> int:
        """The largest value that an axis of whole numbers can take."""
        value = getattr(self, name)
        return int(value.high) if isinstance(value, Distribution) else max(value)

    def some(self, name: str) -> Any:
        """One of the values that an axis can take."""
        value = getattr(self, name)
        if isinstance(value, Distribution):
            return int(value.low) if value.kind == "int" else value.low
        return value[0]

    @property
    def named_axes(self) -> list[str]:
        """The axes that a trial's title does not name by itself, and that trials of this space differ in."""
        return [
            name
            for name in self.AXES
            if name not in ("model", "tagging_scheme", "learning_rate", "seed")
            and (name in self.distributions or len(getattr(self, name)) > 1)
        ]

    def check_grid(self) -> None:
        """That there is a grid over this space, and that it is one that can be meant.

        Raises:
            SpaceError: an axis has a distribution, or the trials are too many.
        """
        trials = math.prod(len(values) for values in self.axes.values())
        if trials > MAX_TRIALS:
            raise SpaceError(f"this grid has {trials:,} trials, expected at most {MAX_TRIALS:,}; shorten its axes")

    def check_search(self) -> None:
        """That this space can be searched.

        Raises:
            SpaceError: it has no distribution, several seeds or folds, or something tried first that it does not hold;
                all that there is, one a line.
        """
        problems = []
        if not self.distributions:
            problems.append(
                "no axis has a distribution, so that there is nothing between its values to search; write for instance "
                "`learning_rate: {loguniform: [1.0e-5, 1.0e-3]}`, or run the grid"
            )
        if len(self.seed) > 1:
            problems.append(
                f"seed: found {len(self.seed)}, and a search compares configurations on one; the best are confirmed "
                "with several (--confirm-seeds)"
            )
        if self.split.folds:
            problems.append("split.folds: a search compares configurations on one split; write 0")
        for name, values in self.initial_points.items():
            problems += [
                f"initial_points.{name}: {value!r} is not in the space"
                for value in values
                if not self.holds(name, value)
            ]
        if problems:
            raise SpaceError("\n".join(problems))

    def holds(self, name: str, value: Any) -> bool:
        """Whether an axis can take this value."""
        values = getattr(self, name)
        return values.holds(value) if isinstance(values, Distribution) else value in values

    def expand_initial_points(self) -> list[dict[str, Any]]:
        """Return the product of `initial_points`, which a search tries before it samples the others."""
        if not self.initial_points:
            return []
        names, values = self.initial_points.keys(), self.initial_points.values()
        return [dict(zip(names, point, strict=True)) for point in product(*values)]

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The values of every hyperparameter, in the order in which the grid is enumerated, and the folds if any.

        Raises:
            SpaceError: some have a distribution, of which there is no grid.
        """
        if self.distributions:
            raise SpaceError(
                "\n".join(
                    f"{name}: found the distribution {found}, and a grid has lists of values; write some of them out, "
                    "or draw from it with `python -m tune_ner.search`"
                    for name, found in self.distributions.items()
                )
            )
        return self.all_axes

    @property
    def all_axes(self) -> dict[str, Any]:
        """The list or distribution of every axis, and the folds if any."""
        folds = {"fold": list(range(self.split.folds))} if self.split.folds else {}
        return {name: getattr(self, name) for name in self.AXES} | folds

    def points(self) -> list[dict[str, Any]]:
        """Every point of the grid, the last axis (seed or fold) varying fastest."""
        return [dict(zip(self.axes, values, strict=True)) for values in product(*self.axes.values())]

    def to_yaml(self) -> str:
        """The resolved space, every default spelt out, as a file that gives the same space again."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)
