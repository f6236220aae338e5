"""A search space made ready: data read and divided, encoders found, every trial named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

from tune_ner.audit.audit import audit_corpus
from tune_ner.audit.findings import AuditReport
from tune_ner.config.search_space import SearchSpace
from tune_ner.config.trial_config import TrialConfig, library_versions
from tune_ner.data.corpus import Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.data.splits import Split, split_corpus
from tune_ner.errors import EncoderError, SpaceError
from tune_ner.results.run_dir import RunDir
from tune_ner.results.test_set_log import EarlierUse, earlier_uses, fingerprint_of_split
from tune_ner.training.encoders import (
    PACKABLE,
    Encoder,
    EncoderSize,
    architecture,
    encoder_size,
    load_tokenizer,
    resolve_encoder,
)
from tune_ner.tuning.resources import TrialNeed
from tune_ner.tuning.scheduling import SchedulerConfig, longest_first, trial_cost

if TYPE_CHECKING:
    from tune_ner.training.features import TokenizedSplit

# Measured: a record takes about 4 kB, and a sentence with its gold and predicted spans about 300 bytes.
_RECORD_BYTES = 4_000
_PREDICTION_BYTES = 300

_UNCUT = 2**30


@dataclass(frozen=True)
class Experiment:
    """Everything that a run needs, checked before Ray starts.

    `splits` are keyed by fold, or by None where there is one test part; `encoders` by the space's names.
    """

    space: SearchSpace
    corpus: Corpus
    splits: dict[int | None, Split]
    encoders: dict[str, Encoder]
    data_fingerprint: str

    @property
    def trials(self) -> list[TrialConfig]:
        """The configurations of the grid, in its order."""
        return [self.trial(point) for point in self.space.grid_points()]

    def point(self, trial: TrialConfig) -> dict[str, object]:
        """The point of the space that gives this trial, whether its grid or its distributions hold it or not."""
        return {name: getattr(trial, name) for name in self.space.hyperparameters}

    def largest_trial(self, model: str, **more: object) -> TrialConfig:
        """A trial of this encoder with the largest batches of the longest sentences; other values are any, or those
        of `more`.
        """
        values = {name: self.space.example(name) for name in self.space.HYPERPARAMETERS}
        sizes = {name: self.space.largest(name) for name in ("batch_size", "max_length")}
        return self.trial({**values, "fold": next(iter(self.splits)), **sizes, "model": model, **more})

    def trial(self, point: dict[str, object]) -> TrialConfig:
        """The configuration at a point of the space."""
        return TrialConfig.model_validate(
            {
                **point,
                "data_fingerprint": self.data_fingerprint,
                "model_fingerprint": self.encoders[str(point["model"])].fingerprint,
                "precision": self.space.precision,
                "batching": self._batching(str(point["model"])),
                "trim_vocabulary": self.space.trim_vocabulary,
                "selection_metric": self.space.selection_metric,
                "target_f1": self.space.target_f1,
            }
        )

    def _batching(self, model: str) -> str:
        """How batches of this encoder are laid out: packed where that is made for it, unless the space says how."""
        if self.space.batching != "auto":
            return self.space.batching
        return "padding_free" if architecture(self.encoders[model]) in PACKABLE else "padded"

    @cached_property
    def tokenizers(self) -> dict[tuple[str, int | None], Any]:
        """The tokenizer of each encoder and fold, for a `tiny:` one is trained.

        Those that cannot be loaded are missing; a trial will say what is wrong with them.
        """
        found: dict[tuple[str, int | None], Any] = {}
        for fold, split in self.splits.items():
            texts = [self.corpus.sentences[index].text for index in split.train]
            for name, encoder in self.encoders.items():
                with suppress(EncoderError):
                    found[name, fold] = load_tokenizer(encoder, texts)
        return found

    @cached_property
    def tokenized(self) -> dict[tuple[object, ...], TokenizedSplit]:
        """The corpus as each tokenizer has it, by what trials must have in common to share it.

        Once computed it goes with the experiment, and so reaches every worker through the object store: none tokenizes
        for itself, and those of one machine read the same memory.
        """
        from tune_ner.training.features import tokenization, tokenize_split  # brings torch

        cuts = product(self.tokenizers, self.space.word_tokenizer, self.space.max_length, self.space.stride)
        trials = [
            self.largest_trial(model, fold=fold, word_tokenizer=words, max_length=length, stride=stride)
            for (model, fold), words, length, stride in cuts
        ]
        return {
            tokenization(trial): tokenize_split(
                trial, self.corpus, self.splits[trial.fold], self.tokenizers[trial.model, trial.fold]
            )
            for trial in trials
        }

    @property
    def schedule(self) -> list[TrialConfig]:
        """The same configurations in the order in which they are started: the longest first, encoder by encoder.

        Trials of one encoder together, for its files are at hand then. Among them the larger learning rates first:
        they are ahead after an early epoch, and a scheduler that keeps what is above those before it (`Scheduling`)
        would keep every one of a rising row.
        """
        places = {name: place for place, name in enumerate(self.encoders)}
        trials = self.trials
        ties = [(places[trial.model], -trial.learning_rate) for trial in trials]
        return longest_first(trials, [self.cost(trial) for trial in trials], ties)

    def run_config(self, scheduler_config: SchedulerConfig) -> dict[str, Any]:
        """What its figures depend on; what a search is to try first may change between two starts of it."""
        return {
            "space": json.loads(self.space.model_dump_json(exclude={"initial_points"})),
            "data": self.data_fingerprint,
            "encoders": {name: encoder.fingerprint for name, encoder in self.encoders.items()},
            "scheduling": asdict(scheduler_config),
            "libraries": library_versions(),
        }

    def title(self, trial: TrialConfig) -> str:
        """What a person calls the trial, so that no other of the space is called the same."""
        return trial.titled(self.space.varied_hyperparameters)

    def cost(self, trial: TrialConfig) -> float:
        """How long a trial takes beside others; see `trial_cost`. Its epochs where its encoder's size is not known."""
        size = self._sizes[trial.model]
        return trial_cost(trial.epochs, len(self.splits[trial.fold].train), size) or float(trial.epochs)

    @cached_property
    def _sizes(self) -> dict[str, EncoderSize]:
        return {name: encoder_size(encoder) for name, encoder in self.encoders.items()}

    @property
    def need(self) -> TrialNeed:
        """The estimated memory of the largest trial."""
        sizes = [encoder_size(encoder) for encoder in self.encoders.values()]
        batch, length = self.space.largest("batch_size"), self.space.largest("max_length")
        return max((TrialNeed.of(size, batch, length) for size in sizes), key=lambda need: need.on_gpu)

    @property
    def disk_bytes(self) -> int:
        """Estimated bytes that the run leaves: records and predicted spans, no weights."""
        sentences = [len(split.validation) + len(split.test) for split in self.splits.values()]
        trials = len(self.space.grid_points()) // len(sentences)
        return trials * sum(_RECORD_BYTES + count * _PREDICTION_BYTES for count in sentences)


def prepare(space: SearchSpace) -> Experiment:
    """Read the data, divide it, and find every encoder.

    Raises:
        SpaceError: the space names no corpus.
        DataError, SplitError: the data cannot be read or divided.
        EncoderError: every encoder that cannot be found, in one message; or those that packed batches, asked
            for by name, are not made for.
    """
    if space.data is None:
        raise SpaceError("data: missing; add `data:` to the search space or pass --data, such as a file or hub:DATASET")
    corpus = load_corpus(space.data, space.markup)
    spec = space.split.spec
    folds: list[int | None] = list(range(spec.folds)) or [None]
    splits = {fold: split_corpus(corpus, spec, fold) for fold in folds}
    fingerprint = hashlib.sha256(f"{corpus.fingerprint}{splits}".encode()).hexdigest()[:16]
    encoders = _encoders(space.model)
    if space.batching == "padding_free":
        _check_packable(encoders)
    return Experiment(space, corpus, splits, encoders, fingerprint)


def audit_experiment(experiment: Experiment) -> dict[int | None, AuditReport]:
    """What is wrong with the data and each split of it, before anything is trained."""
    space = experiment.space
    return {
        fold: audit_corpus(
            experiment.corpus,
            split,
            tokenizers={name: each for (name, where), each in experiment.tokenizers.items() if where == fold},
            # what is cut at worst; windows with a stride cut nothing
            max_length=min(space.max_length) if 0 in space.stride else _UNCUT,
            word_tokenizer=space.word_tokenizer[0],
            data_option=space.data or "",
        )
        for fold, split in experiment.splits.items()
    }


def earlier_test_uses(experiment: Experiment, folder: RunDir) -> list[EarlierUse]:
    """The runs beside `folder` that measured on one of this experiment's test parts."""
    fingerprints = [fingerprint_of_split(experiment.corpus, split.test) for split in experiment.splits.values()]
    return earlier_uses(folder.path.parent, fingerprints, but=folder.path.name)


def _encoders(names: Sequence[str]) -> dict[str, Encoder]:
    encoders: dict[str, Encoder] = {}
    problems: dict[str, None] = {}
    for name in names:
        try:
            encoders[name] = resolve_encoder(name)
        except EncoderError as error:
            # Two models of one unreachable hub share their advice.
            problems |= dict.fromkeys(str(error).splitlines())
    if problems:
        raise EncoderError("\n".join(problems))
    return encoders


def _check_packable(encoders: Mapping[str, Encoder]) -> None:
    others = {name: architecture(encoder) for name, encoder in encoders.items()}
    refused = [f"{name} ({kind or 'unknown'})" for name, kind in others.items() if kind not in PACKABLE]
    if refused:
        raise EncoderError(
            f"batching padding_free: not made for the architecture of {', '.join(refused)}; expected one of "
            f"{', '.join(sorted(PACKABLE))}. Use --batching auto, which pads the batches of the others."
        )
