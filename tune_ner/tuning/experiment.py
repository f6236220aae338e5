"""An experiment: a search space with its data split, its encoders resolved and its trials enumerated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

from tune_ner.audit.audit import audit
from tune_ner.audit.findings import AuditReport
from tune_ner.config.hyperparameters import is_baseline
from tune_ner.config.search_space import SearchSpace
from tune_ner.config.trial_config import TrialConfig, library_versions
from tune_ner.data.corpus import Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.data.splits import Split, split_corpus
from tune_ner.errors import DataError, EncoderError, SpaceError
from tune_ner.results.run_dir import RunDir
from tune_ner.results.test_set_log import EarlierUse, earlier_uses, fingerprint_of_split
from tune_ner.tagging.overlaps import most_disjoint
from tune_ner.tagging.tokenization import choose_word_tokenizer
from tune_ner.training.encoders import (
    PADDING_FREE_ARCHITECTURES,
    Encoder,
    EncoderSize,
    architecture,
    encoder_size,
    load_tokenizer,
    resolve_encoder,
)
from tune_ner.tuning.options import SchedulerConfig
from tune_ner.tuning.resources import MemoryEstimate
from tune_ner.utils.extras import check_installed
from tune_ner.utils.text import plural

if TYPE_CHECKING:
    from tune_ner.training.features import TokenizedCorpus

# Measured: a record takes about 4 kB, a sentence with its gold and predicted spans about 300 bytes, and the label
# probabilities of its words about 200.
_RECORD_BYTES = 4_000
_PREDICTION_BYTES = 500


@dataclass(frozen=True)
class Experiment:
    """A search space with everything that its trials need, validated before Ray starts.

    Attributes:
        space: the search space.
        corpus: the corpus.
        splits: the splits by fold; the key is None without folds.
        encoders: the resolved encoders by their name in the search space.
        data_fingerprint: hash of the corpus and its splits.
    """

    space: SearchSpace
    corpus: Corpus
    splits: dict[int | None, Split]
    encoders: dict[str, Encoder]
    data_fingerprint: str

    @property
    def trials(self) -> list[TrialConfig]:
        """Trials of the grid, in its order."""
        return [self.trial(point) for point in self.space.grid_points()]

    def trial(self, point: Mapping[str, object]) -> TrialConfig:
        """Return the configuration with these hyperparameters, seed and fold.

        Those without an effect on the model have an arbitrary value of the search space.
        """
        return TrialConfig.model_validate(
            {
                **self.space.effective(point),
                "data_fingerprint": self.data_fingerprint,
                "model_fingerprint": self.encoders[str(point["model"])].fingerprint,
                "precision": self.space.precision,
                "batching": self._batching(str(point["model"])),
                "trim_vocabulary": self.space.trim_vocabulary,
                "selection_metric": self.space.selection_metric,
                "target_f1": self.space.target_f1,
                "overlaps": self.space.overlaps,
            }
        )

    def _batching(self, model: str) -> str:
        """Return the batching of an encoder; `auto` is padding-free where its architecture supports it."""
        if self.space.batching != "auto":
            return self.space.batching
        if is_baseline(model):
            return "padding_free"  # without an effect; not a difference to most encoders
        return "padding_free" if architecture(self.encoders[model]) in PADDING_FREE_ARCHITECTURES else "padded"

    def largest_trial(self, model: str, **changes: object) -> TrialConfig:
        """Return a trial of this encoder with the largest batches of the longest sentences.

        Its other hyperparameters are arbitrary values of the search space, or those of `changes`.
        """
        values = {name: self.space.example(name) for name in self.space.HYPERPARAMETERS}
        sizes = {name: self.space.largest(name) for name in ("batch_size", "max_length")}
        return self.trial({**values, "fold": next(iter(self.splits)), **sizes, "model": model, **changes})

    @cached_property
    def tokenizers(self) -> dict[tuple[str, int | None], Any]:
        """Tokenizers by encoder and fold, since a `tiny:` encoder has a tokenizer trained on each fold.

        Tokenizers that cannot be loaded are missing; the trials of their encoder will report the error.
        """
        return load_tokenizers(self.encoders, self.corpus, self.splits)

    @cached_property
    def tokenized(self) -> dict[tuple[object, ...], TokenizedCorpus]:
        """The tokenized splits, by the hyperparameters that affect tokenization.

        If it is computed before the experiment is put into Ray's object store, workers do not tokenize, and those of
        one node share the memory.
        """
        from tune_ner.training.features import tokenization_key, tokenize_corpus

        variants = product(self.tokenizers, self.space.word_tokenizer, self.space.max_length, self.space.stride)
        trials = [
            self.largest_trial(model, fold=fold, word_tokenizer=words, max_length=length, stride=stride)
            for (model, fold), words, length, stride in variants
        ]
        return {
            tokenization_key(trial): tokenize_corpus(
                trial, self.corpus, self.splits[trial.fold], self.tokenizers[trial.model, trial.fold]
            )
            for trial in trials
        }

    @property
    def schedule(self) -> list[TrialConfig]:
        """Trials of the grid in the order in which they start: the longest first, encoder by encoder.

        A grid whose longest trial starts last ends with one trial and idle machines. Trials of one encoder start
        together, since its files are cached then. Among them, larger learning rates start first: they lead after early
        epochs, and ASHA, which compares a trial with those before it, would prune nothing in an ascending order.
        """
        positions = {name: position for position, name in enumerate(self.encoders)}
        return sorted(
            self.trials,
            # Costs are estimates: equal in two digits is equal, as are folds that differ by a sentence.
            key=lambda trial: (-float(f"{self.cost(trial):.1e}"), positions[trial.model], -trial.learning_rate),
        )

    def run_config(self, scheduler: SchedulerConfig) -> dict[str, Any]:
        """Return the settings that a resumed run must share with its earlier sessions, as plain data.

        The initial points of a search may change.
        """
        return {
            "space": json.loads(self.space.model_dump_json(exclude={"initial_points"})),
            "data": self.data_fingerprint,
            "encoders": {name: encoder.fingerprint for name, encoder in self.encoders.items()},
            "scheduler": asdict(scheduler),
            "libraries": library_versions(),
        }

    def title(self, trial: TrialConfig) -> str:
        """Return a readable name of a trial; values are rounded, so two trials of a search can have the same."""
        return trial.titled(self.space.varied_hyperparameters)

    def cost(self, trial: TrialConfig) -> float:
        """Return the relative duration of a trial; see `trial_cost`."""
        sentences = trial.train_size(len(self.splits[trial.fold].train))
        return trial_cost(trial.epochs, sentences, self._sizes[trial.model])

    @cached_property
    def _sizes(self) -> dict[str, EncoderSize]:
        return {name: encoder_size(encoder) for name, encoder in self.encoders.items()}

    @property
    def memory(self) -> MemoryEstimate:
        """Estimated memory of the largest trial."""
        batch, length = self.space.largest("batch_size"), self.space.largest("max_length")
        estimates = (MemoryEstimate.of(size, batch, length) for size in self._sizes.values())
        return max(estimates, key=lambda estimate: estimate.on_gpu)

    @property
    def precisions(self) -> dict[str, str]:
        """The precision that each encoder trains in on this machine."""
        from tune_ner.training.precision import used_precision

        sizes = {name: size for name, size in self._sizes.items() if not is_baseline(name)}
        return {name: used_precision(self.space.precision, size.hidden) for name, size in sizes.items()}

    @property
    def disk_bytes(self) -> int:
        """Estimated size of the records and predictions of a grid, without weights."""
        sentences = [len(split.validation) + len(split.test) for split in self.splits.values()]
        trials_per_fold = len(self.space.grid_points()) // len(sentences)
        return trials_per_fold * sum(_RECORD_BYTES + count * _PREDICTION_BYTES for count in sentences)


def trial_cost(epochs: int, sentences: int, size: EncoderSize) -> float:
    """Return the relative duration of a trial: epochs times train sentences times parameters of the linear layers.

    A transformer layer has about 12 times the square of its width (Kaplan et al. 2020, "Scaling Laws for Neural
    Language Models", section 2.1). Embeddings are looked up and cost little time. For an encoder of unknown shape, all
    parameters count, and for one of unknown size only the epochs.
    """
    parameters = 12 * size.layers * size.hidden**2 or size.parameters
    return float(epochs) * sentences * parameters or float(epochs)


def prepare(space: SearchSpace, corpus: Corpus | None = None) -> Experiment:
    """Load and split the data, and resolve every encoder.

    Args:
        space: the search space.
        corpus: the corpus; by default loaded from `space.data`.

    Raises:
        SpaceError: there is neither a corpus nor `space.data`.
        DataError, SplitError: the data cannot be loaded or split.
        EncoderError: encoders cannot be found, or do not support `batching: padding_free`; lists all of them. Or
            `lora_rank` is given and peft is not installed.
    """
    if max(space.lora_rank):
        check_installed("peft", "lora", "lora_rank", EncoderError)
    space, corpus, splits = load_data(space, corpus)
    if space.overlaps == "error":
        _check_overlaps(corpus)
    fingerprint = hashlib.sha256(f"{corpus.fingerprint}{splits}".encode()).hexdigest()[:16]
    encoders = _resolve_encoders(space.model)
    if space.batching == "padding_free":
        _check_padding_free(encoders)
    return Experiment(space, corpus, splits, encoders, fingerprint)


def load_data(space: SearchSpace, corpus: Corpus | None = None) -> tuple[SearchSpace, Corpus, dict[int | None, Split]]:
    """Load and split the data of a search space.

    Returns:
        The search space with a word tokenizer in place of `auto`, the corpus, and its splits by fold (None for one).

    Raises:
        SpaceError: there is neither a corpus nor `space.data`.
        DataError, SplitError: the data cannot be loaded or split.
    """
    if corpus is None:
        if space.data is None:
            raise SpaceError("data: missing; add `data:` to the search space or pass --data FILE or hub:DATASET")
        corpus = load_corpus(space.data.path, space.markup, **space.data.reading)
    if "auto" in space.word_tokenizer:
        space, corpus = _with_word_tokenizer(space, corpus)
    spec = space.split.spec
    folds: list[int | None] = list(range(spec.folds)) or [None]
    return space, corpus, {fold: split_corpus(corpus, spec, fold) for fold in folds}


def _check_overlaps(corpus: Corpus) -> None:
    found = [s for s in corpus.sentences if most_disjoint([(x.start, x.end) for x in s.spans]) < len(s.spans)]
    if found:
        raise DataError(
            f"{found[0].source or found[0].id}: overlapping entities, as in {plural(len(found), 'sentence')} in all; "
            "choose `overlaps: longest`, outermost, innermost or first"
        )


def _with_word_tokenizer(space: SearchSpace, corpus: Corpus) -> tuple[SearchSpace, Corpus]:
    """Replace `auto` by the word tokenizer that suits the corpus, with a note."""
    chosen, note = choose_word_tokenizer(corpus.sentences)
    names = list(dict.fromkeys(chosen if name == "auto" else name for name in space.word_tokenizer))
    return space.model_copy(update={"word_tokenizer": names}), replace(corpus, notes=(*corpus.notes, note))


def audit_experiment(experiment: Experiment) -> dict[int | None, AuditReport]:
    """Audit the data and each split before anything is trained."""
    return audit_data(experiment.space, experiment.corpus, experiment.splits, experiment.tokenizers)


def audit_data(
    space: SearchSpace,
    corpus: Corpus,
    splits: Mapping[int | None, Split],
    tokenizers: Mapping[tuple[str, int | None], Any],
    *,
    near_duplicates: bool = True,
) -> dict[int | None, AuditReport]:
    """Audit each split with the words, overlaps and lengths of a search space.

    Args:
        space: the search space; its data and encoders are not loaded.
        corpus: its corpus.
        splits: the splits by fold.
        tokenizers: tokenizers by encoder and fold.
        near_duplicates: also search for near-identical sentences.
    """
    return {
        fold: audit(
            corpus,
            split,
            near_duplicates=near_duplicates,
            tokenizers={name: each for (name, where), each in tokenizers.items() if where == fold},
            max_length=min(space.max_length),
            stride=0 if 0 in space.stride else None,  # the most that is truncated
            word_tokenizer=space.word_tokenizer[0],
            overlaps=space.overlaps if space.overlaps != "error" else "longest",
            is_grouped=space.split.method == "grouped",
            data_option=f"{space.data.path}{space.data.arguments}" if space.data else "",
        )
        for fold, split in splits.items()
    }


def load_tokenizers(
    encoders: Mapping[str, Encoder], corpus: Corpus, splits: Mapping[int | None, Split]
) -> dict[tuple[str, int | None], Any]:
    """Return the tokenizers by encoder and fold; those that cannot be loaded are missing."""
    tokenizers: dict[tuple[str, int | None], Any] = {}
    for fold, split in splits.items():
        texts = [corpus.sentences[index].text for index in split.train]
        for name, encoder in encoders.items():
            with suppress(EncoderError):
                tokenizers[name, fold] = load_tokenizer(encoder, texts)
    return tokenizers


def earlier_test_uses(experiment: Experiment, run_dir: RunDir) -> list[EarlierUse]:
    """Return the other runs in the same results folder that were measured on a test set of this experiment."""
    fingerprints = [fingerprint_of_split(experiment.corpus, split.test) for split in experiment.splits.values()]
    return earlier_uses(run_dir.path.parent, fingerprints, exclude=run_dir.path.name)


def _resolve_encoders(names: Sequence[str]) -> dict[str, Encoder]:
    encoders: dict[str, Encoder] = {}
    problems: dict[str, None] = {}
    for name in names:
        try:
            encoders[name] = resolve_encoder(name)
        except EncoderError as error:
            # models of an unreachable hub share their advice
            problems |= dict.fromkeys(str(error).splitlines())
    if problems:
        raise EncoderError("\n".join(problems))
    return encoders


def _check_padding_free(encoders: Mapping[str, Encoder]) -> None:
    others = {name: architecture(encoder) for name, encoder in encoders.items() if not is_baseline(name)}
    supported = PADDING_FREE_ARCHITECTURES
    refused = [f"{name} ({kind or 'unknown'})" for name, kind in others.items() if kind not in supported]
    if refused:
        raise EncoderError(
            f"batching padding_free: architecture not supported: {', '.join(refused)}; expected one of "
            f"{', '.join(sorted(supported))}. Use --batching auto, which pads the batches of the others."
        )
