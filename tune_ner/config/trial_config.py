"""One trial's configuration: everything that its figures depend on, and the name that follows from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import version
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tune_ner import __version__
from tune_ner.tagging.alignment import SubwordLabels
from tune_ner.tagging.decoding import Decoding
from tune_ner.tagging.tokenization import WordTokenizer

Precision = Literal["auto", "fp32", "fp16", "bf16"]
Batching = Literal["padding_free", "padded"]
SelectionMetric = Literal["span_f1", "seqeval_f1"]
LearningRateSchedule = Literal["linear", "cosine", "constant"]
SchemeName = Literal["BIO", "BIOES", "IOB1", "BILOU", "IO"]

_FIGURE_LIBRARIES = ("torch", "transformers", "tokenizers", "seqeval", "datasets")


class TrialConfig(BaseModel):
    """What one trial trains, on what, and how. Frozen; the defaults are the notebook's.

    `data_fingerprint` names the text and gold spans, the split included, and `model_fingerprint` the
    pretrained weights (a hub revision or a digest of the files), so that a trial of changed data or
    weights is another trial. The learning rate rises over the share `warmup` of all steps and then falls as
    `lr_schedule` says; `dropout` is that of all layers, None the encoder's own. A trial that reaches `target_f1` on
    validation trains no further epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    data_fingerprint: str
    model: Annotated[str, Field(min_length=1)]
    model_fingerprint: str = ""
    tagging_scheme: SchemeName
    learning_rate: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    epochs: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=1)] = 16
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    lr_schedule: LearningRateSchedule = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    max_length: Annotated[int, Field(ge=3)] = 256
    word_tokenizer: WordTokenizer = "whitespace"
    stride: Annotated[int, Field(ge=0)] = 0
    subword_labels: SubwordLabels = "first"
    decoding: Decoding = "argmax"
    fold: Annotated[int, Field(ge=0, lt=2**20)] | None = None
    precision: Precision = "auto"
    batching: Batching = "padded"
    trim_vocabulary: bool = False
    selection_metric: SelectionMetric = "span_f1"
    target_f1: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None

    @property
    def trial_id(self) -> str:
        """Twelve hexadecimal digits from the configuration and the versions of the libraries under it."""
        content = json.dumps([self.model_dump(), library_versions()], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """What a person calls the trial: `bert-base-swedish-cased · BIOES · 2e-05 · seed 1`."""
        return self.titled()

    def titled(self, axes: Iterable[str] = (), *, replicate: bool = True) -> str:
        """Its title with the values of further hyperparameters; without `replicate`, that of all its seeds and folds:
        `tiny:1x64 · BIO · 0.002 · batch_size 16`.
        """
        model = self.model.rstrip("/").rpartition("/")[2] or self.model
        more = [f"{name} {_short(getattr(self, name))}" for name in axes]
        which = [f"seed {self.seed}", *([] if self.fold is None else [f"fold {self.fold}"])] if replicate else []
        return " · ".join([model, self.tagging_scheme, _short(self.learning_rate), *more, *which])


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide a trial's figures."""
    # a job of a cluster has the package as files alone, without what an installation knows of it
    return {"tune-ner": __version__, **{name: version(name) for name in _FIGURE_LIBRARIES}}
