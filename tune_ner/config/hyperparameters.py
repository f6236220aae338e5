"""The table of hyperparameters; search spaces, options, error messages and the reference page are derived from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic.fields import FieldInfo

from tune_ner.tagging.alignment import SubwordLabels
from tune_ner.tagging.decoding import Decoding
from tune_ner.tagging.overlaps import OverlapPolicy
from tune_ner.tagging.tokenization import WordTokenizer
from tune_ner.utils.text import format_value, near_misses

Precision = Literal["auto", "fp32", "fp16", "bf16"]
Quantization = Literal["none", "int8"]
Batching = Literal["padding_free", "padded"]
SelectionMetric = Literal["span_f1", "seqeval_f1"]
LearningRateSchedule = Literal["linear", "cosine", "constant"]
Optimizer = Literal["adamw_torch_fused", "adafactor", "sgd", "rmsprop", "adagrad"]
ClassWeights = Literal["none", "balanced", "sqrt"]
Head = Literal["linear", "crf"]
LoraTargets = Literal["attention", "all-linear"]
SchemeName = Literal["BIO", "BIOES", "IOB1", "BILOU", "IO"]
ModelKind = Literal["encoder", "baseline:crf", "baseline:gazetteer"]

BASELINE = "baseline:"
"""How the names of models without an encoder start."""
BASELINES: tuple[str, ...] = tuple(kind for kind in get_args(ModelKind) if kind.startswith(BASELINE))
_ALL_MODELS: tuple[ModelKind, ...] = get_args(ModelKind)
_CRF: tuple[ModelKind, ...] = ("baseline:crf",)
_LINEAR: tuple[Head, ...] = ("linear",)


@dataclass(frozen=True)
class Row:
    """Properties of a table row in addition to type and default.

    Attributes:
        help: one sentence, for `--help` and the reference page.
        option: the command-line option without dashes, or empty.
        is_repeatable: whether the option can be given several times.
        has_range: whether a search space may give a distribution of numbers.
        is_off: whether the default has no effect, so that summaries leave it out.
        models: the models that it has an effect on.
        heads: the heads of an encoder with which it has an effect.
    """

    help: str
    option: str = ""
    is_repeatable: bool = False
    has_range: bool = False
    is_off: bool = False
    models: tuple[ModelKind, ...] = ("encoder",)
    heads: tuple[Head, ...] = get_args(Head)


def _parse_number(value: Any) -> Any:
    """Convert text such as `1e-5`, which YAML reads as a string because it has no decimal point."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    try:
        return float(value)
    except (ValueError, OverflowError):
        return value


Text = Annotated[str, Strict(), Field(min_length=1)]
Integer = Annotated[int, Strict(), Field(ge=0, lt=2**32)]
PositiveInteger = Annotated[Integer, Field(ge=1)]
Number = Annotated[float, Strict(), BeforeValidator(_parse_number), Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[Number, Field(lt=1)]
Share = Annotated[Number, Field(gt=0, le=1)]


class Hyperparameters(BaseModel):
    """The table: one field per hyperparameter, in the order in which a grid enumerates them.

    Types give the allowed values; defaults are the notebook's, but for words and long
    sentences. To add a hyperparameter, add a field here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: Annotated[
        Text,
        Row(
            "Encoder: a Hub id, a folder, package:NAME or tiny:LAYERSxWIDTH; or baseline:crf, baseline:gazetteer.",
            "model",
            True,
            models=_ALL_MODELS,
        ),
    ]
    tagging_scheme: Annotated[
        SchemeName, Row("Tagging scheme of the word labels.", "scheme", True, models=("encoder", *_CRF))
    ] = "BIO"
    head: Annotated[Head, Row("Output layer; crf also learns transitions.", "head", True, is_off=True)] = "linear"
    learning_rate: Annotated[Fraction, Field(gt=0), Row("Peak learning rate.", "lr", True, has_range=True)]
    layer_learning_rate_decay: Annotated[
        Share, Row("Factor of the learning rate from each encoder layer to the one below.", has_range=True, is_off=True)
    ] = 1.0
    head_learning_rate: Annotated[
        Annotated[Fraction, Field(gt=0)] | None,
        Row("Learning rate above the encoder; null is learning_rate.", has_range=True, is_off=True),
    ] = None
    frozen_layers: Annotated[
        Integer, Row("Lowest layers not trained, and with them the embeddings.", has_range=True, is_off=True)
    ] = 0
    lora_rank: Annotated[
        Integer, Row("Rank of low-rank updates (LoRA) in place of training the encoder; 0 for none.", is_off=True)
    ] = 0
    lora_alpha: Annotated[
        Annotated[Number, Field(gt=0)] | None,
        Row("Updates are scaled by lora_alpha / lora_rank; null is twice the rank.", has_range=True, is_off=True),
    ] = None
    lora_targets: Annotated[
        LoraTargets, Row("Layers with updates: those of attention that peft recommends, or all.", is_off=True)
    ] = "attention"
    optimizer: Annotated[Optimizer, Row("Optimizer, by its name in transformers.")] = "adamw_torch_fused"
    lr_schedule: Annotated[LearningRateSchedule, Row("Shape of the learning rate's decay after warmup.")] = "linear"
    warmup: Annotated[Fraction, Row("Fraction of all steps in which the learning rate rises.", has_range=True)] = 0.0
    epochs: Annotated[PositiveInteger, Row("Passes over the training split.", "epochs", has_range=True)] = 5
    early_stopping_patience: Annotated[
        PositiveInteger | None,
        Row("Epochs without improvement after which training stops; null for none.", has_range=True, is_off=True),
    ] = None
    batch_size: Annotated[PositiveInteger, Row("Windows per training batch.", has_range=True)] = 16
    gradient_accumulation: Annotated[
        PositiveInteger, Row("Batches whose gradients are added up for one step.", has_range=True, is_off=True)
    ] = 1
    gradient_checkpointing: Annotated[
        bool, Strict(), Row("Compute activations again in the backward pass, for less memory.", is_off=True)
    ] = False
    max_grad_norm: Annotated[Number, Row("Norm to which gradients are clipped; 0 for none.", has_range=True)] = 1.0
    weight_decay: Annotated[Number, Row("Weight decay of the optimizer.", has_range=True)] = 0.01
    label_smoothing: Annotated[
        Fraction, Row("Label smoothing of the cross-entropy loss.", has_range=True, heads=_LINEAR)
    ] = 0.0
    class_weights: Annotated[
        ClassWeights,
        Row(
            "Weights in the loss: the inverse frequency of each label, or its square root.", is_off=True, heads=_LINEAR
        ),
    ] = "none"
    focal_gamma: Annotated[
        Number, Row("Exponent of the focal loss; 0 is cross-entropy.", has_range=True, is_off=True, heads=_LINEAR)
    ] = 0.0
    dropout: Annotated[Fraction | None, Row("Dropout of all layers; null is the encoder's.", has_range=True)] = None
    train_fraction: Annotated[
        Share,
        Row("Fraction of the training split, nested for each seed.", has_range=True, is_off=True, models=_ALL_MODELS),
    ] = 1.0
    max_train_sentences: Annotated[
        PositiveInteger | None,
        Row("Most sentences to train on; null for all.", has_range=True, is_off=True, models=_ALL_MODELS),
    ] = None
    max_length: Annotated[Integer, Field(ge=3), Row("Maximum subwords per window, with special tokens.")] = 256
    word_tokenizer: Annotated[
        WordTokenizer, Row("Where texts are split into words; auto chooses by the corpus.", "words", models=_ALL_MODELS)
    ] = "auto"
    stride: Annotated[
        Integer | None,
        Row("Subwords that windows of long sentences share; null is max_length / 4; 0 truncates them."),
    ] = None
    subword_labels: Annotated[SubwordLabels, Row("Subwords of a word that carry its label.")] = "first"
    decoding: Annotated[Decoding, Row("Best tag of each word, or best valid sequence of tags.", heads=_LINEAR)] = (
        "argmax"
    )
    crf_c1: Annotated[
        Number, Row("Weight of the L1 penalty of baseline:crf.", has_range=True, is_off=True, models=_CRF)
    ] = 0.01
    crf_c2: Annotated[
        Number, Row("Weight of the L2 penalty of baseline:crf.", has_range=True, is_off=True, models=_CRF)
    ] = 0.01
    seed: Annotated[
        Integer, Row("Random seed; several seeds repeat each configuration.", "seed", True, models=_ALL_MODELS)
    ] = 42


class RunSettings(BaseModel):
    """Settings with one value in all trials of a run."""

    precision: Annotated[
        Precision,
        Row("Floating-point precision; auto is fp16 on CUDA, bf16 on CPUs that compute it faster, fp32 elsewhere."),
    ] = "auto"
    selection_metric: Annotated[
        SelectionMetric, Row("Validation metric that selects the best epoch, configuration and model.")
    ] = "span_f1"
    overlaps: Annotated[
        OverlapPolicy, Row("Which of overlapping entities is trained on; error refuses a corpus that has any.")
    ] = "longest"
    target_f1: Annotated[
        Annotated[Number, Field(gt=0, le=1)] | None, Row("Selection metric at which a trial stops training.")
    ] = None


@dataclass(frozen=True)
class Hyperparameter:
    """A row of the table, as derived code reads it."""

    name: str
    field: FieldInfo

    @property
    def row(self) -> Row:
        """Help, option, and whether a range is allowed."""
        return next(extra for extra in self.field.metadata if isinstance(extra, Row))

    @property
    def value_type(self) -> Any:
        """The type of one value, with its constraints."""
        return Annotated[self.field.annotation, *self.field.metadata]

    @property
    def base_type(self) -> type:
        """`str`, `int`, `float` or `bool`."""
        annotation: Any = self.field.annotation
        while args := get_args(annotation):
            annotation = args[0]
        return annotation if isinstance(annotation, type) else str

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed values of a categorical hyperparameter; empty for free text and numbers."""
        annotation = self.field.annotation
        return get_args(annotation) if get_origin(annotation) is Literal else ()


HYPERPARAMETERS = {name: Hyperparameter(name, field) for name, field in Hyperparameters.model_fields.items()}


def is_off(name: str, value: Any) -> bool:
    """Return whether a hyperparameter has its default and that has no effect; also for names of other settings."""
    found = HYPERPARAMETERS.get(name)
    return found is not None and found.row.is_off and value == found.field.default


def is_baseline(model: str) -> bool:
    """Return whether this is the name of a model without an encoder."""
    return model.startswith(BASELINE)


def has_effect(name: str, model: str, head: str) -> bool:
    """Return whether a hyperparameter has an effect on a model with a head, which only an encoder has.

    A name that is not in the table has one on all.
    """
    found = HYPERPARAMETERS.get(name)
    if found is None:
        return True
    if is_baseline(model):
        return model in found.row.models
    return "encoder" in found.row.models and head in found.row.heads


NumberDistribution = FloatDistribution | IntDistribution

_KINDS: dict[type, tuple[str, ...]] = {int: ("int",), float: ("loguniform", "uniform")}


def parse_distribution(
    content: Mapping[Any, Any], base_type: type, check: Callable[[list[Any]], list[Any]]
) -> NumberDistribution:
    """Return the distribution that plain data describes.

    Args:
        content: one key, the kind, with a list of the lowest and the highest value.
        base_type: `int` or `float`, the type of the hyperparameter.
        check: validates and converts both ends as values of the hyperparameter.

    Raises:
        ValueError: unknown or unsuitable kind, an empty range, or a logarithmic one that starts at zero.
        pydantic.ValidationError: an end is not a value of the hyperparameter.
    """
    kinds = _KINDS[base_type]
    kind, ends = next(iter(content.items())) if len(content) == 1 else ("", None)
    if kind not in kinds or not isinstance(ends, list) or len(ends) != 2 or None in ends:
        expected = " or ".join(f"{{{name}: [lowest, highest]}}" for name in kinds)
        raise ValueError(f"found {str(content)[:80]}, expected {expected}{near_misses(str(kind)[:60], kinds)}")
    low, high = check(ends)
    is_log = kind == "loguniform"
    if low >= high or (is_log and low <= 0):
        found = f"{kind}: [{format_value(low)}, {format_value(high)}]"
        raise ValueError(f"found {found}, expected {'0 < ' if is_log else ''}lowest < highest")
    return IntDistribution(low, high) if kind == "int" else FloatDistribution(low, high, log=is_log)


def serialize(values: list[Any] | BaseDistribution) -> list[Any] | dict[str, list[float]]:
    """Return the plain data that a search space file contains for a list of values or a distribution.

    Raises:
        ValueError: the distribution has steps, or integers on a logarithmic scale.
    """
    match values:
        case list():
            return values
        case CategoricalDistribution():
            return list(values.choices)
        case IntDistribution(step=1, log=False):
            return {"int": [values.low, values.high]}
        case FloatDistribution(step=None):
            return {"loguniform" if values.log else "uniform": [values.low, values.high]}
    raise ValueError(f"found {values}, expected a distribution without steps, and no logarithmic scale for integers")


def format_distribution(distribution: NumberDistribution) -> str:
    """Return the text that a search space file contains for it, such as `{loguniform: [1e-6, 0.0001]}`."""
    low, high = map(format_value, (distribution.low, distribution.high))
    return f"{{{next(iter(serialize(distribution)))}: [{low}, {high}]}}"


def contains(distribution: NumberDistribution, value: Any) -> bool:
    """Return whether the distribution can sample this value."""
    is_valid = isinstance(value, int) or (isinstance(distribution, FloatDistribution) and isinstance(value, float))
    return is_valid and distribution.low <= value <= distribution.high
