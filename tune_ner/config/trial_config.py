"""The configuration of one trial, and the id and title derived from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from importlib.metadata import version
from typing import Annotated, Any

from pydantic import Field, Strict

from tune_ner import __version__
from tune_ner.config.hyperparameters import Batching, Hyperparameters, RunSettings, has_effect, is_baseline
from tune_ner.tagging.tokenization import FixedWordTokenizer
from tune_ner.utils.text import short_value

_METRIC_LIBRARIES = ("torch", "transformers", "tokenizers", "seqeval", "datasets")


class TrialConfig(Hyperparameters, RunSettings):
    """All inputs of a trial: hyperparameters, run settings, and fingerprints of data and weights. Frozen.

    `data_fingerprint` covers texts, gold spans and the split; `model_fingerprint` is the Hub revision or a digest of
    the pretrained weights. A trial on other data or weights therefore has another id.
    """

    word_tokenizer: FixedWordTokenizer = "whitespace"
    data_fingerprint: str
    model_fingerprint: str = ""
    fold: Annotated[int, Strict(), Field(ge=0, lt=2**20)] | None = None
    batching: Batching = "padded"
    trim_vocabulary: bool = False

    @property
    def window_stride(self) -> int:
        """Subwords that consecutive windows of a sentence share; 0 truncates it."""
        return self.max_length // 4 if self.stride is None else self.stride

    @property
    def decodes_sequences(self) -> bool:
        """Whether the labels of a sentence are decoded together, not word by word."""
        return self.decoding == "viterbi" or self.head == "crf"

    @property
    def scaled_lora_alpha(self) -> float:
        """The numerator of the scale of low-rank updates."""
        return 2.0 * self.lora_rank if self.lora_alpha is None else self.lora_alpha

    def train_size(self, sentences: int) -> int:
        """Return how many sentences of a training split of this size the trial is trained on, at most."""
        limit = sentences if self.max_train_sentences is None else self.max_train_sentences
        return min(max(1, round(self.train_fraction * sentences)), limit, sentences)

    @property
    def is_baseline(self) -> bool:
        """Whether the model has no encoder."""
        return is_baseline(self.model)

    def has_effect(self, name: str) -> bool:
        """Return whether a hyperparameter, seed or fold has an effect on the model."""
        return has_effect(name, self.model, self.head)

    def effective(self, name: str) -> Any:
        """Return the value of a hyperparameter, seed or fold; None if it has no effect on the model."""
        return getattr(self, name) if self.has_effect(name) else None

    @property
    def trial_id(self) -> str:
        """Twelve hexadecimal digits: a hash of the configuration and the versions of the libraries."""
        content = json.dumps([self.model_dump(), library_versions()], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """Title for people, such as `bert-base-swedish-cased · BIOES · lr 2e-5 · seed 1`."""
        return self.titled()

    def titled(self, names: Iterable[str] = (), *, replicate: bool = True, without: Collection[str] = ()) -> str:
        """Return the title with more hyperparameters, such as `tiny:1x64 · BIO · lr 0.002 · batch_size 16 · seed 1`.

        Args:
            names: the further hyperparameters.
            replicate: whether to add the seed and the fold.
            without: hyperparameters to leave out, such as those that are equal in all trials.
        """
        model = {"model": self.model.rstrip("/").rpartition("/")[2] or self.model}
        main = {"tagging_scheme": self.tagging_scheme, "learning_rate": f"lr {short_value(self.learning_rate)}"}
        main = {name: value for name, value in main.items() if self.has_effect(name)}
        more = [f"{name} {short_value(getattr(self, name))}" for name in names if self.has_effect(name)]
        run = [f"seed {self.seed}", *([] if self.fold is None else [f"fold {self.fold}"])] if replicate else []
        shown = [value for name, value in (model | main).items() if name not in without]
        return " · ".join([*shown, *more, *run])


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that affect a trial's metrics."""
    # a cluster job runs from plain files, without installation metadata of its own version
    return {"tune-ner": __version__, **{name: version(name) for name in _METRIC_LIBRARIES}}
