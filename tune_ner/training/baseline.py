"""Models without an encoder: a CRF over words, and a list of the train entities; trained and evaluated as a trial."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from tune_ner.audit.baselines import Gazetteer, learn_gazetteer
from tune_ner.audit.crf_baseline import CrfBaseline, train_crf
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import SPLIT_NAMES, Corpus, Sentence, SplitName
from tune_ner.data.splits import Split, train_subset
from tune_ner.errors import ModelError, RunFolderError
from tune_ner.evaluation.seen_entities import EntityMatcher
from tune_ner.tagging.alignment import Subwords, label_words
from tune_ner.tagging.decoding import Transitions
from tune_ner.tagging.probabilities import WordProbabilities, pack
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import Words, split_texts
from tune_ner.training.features import TokenizedCorpus, TrialFeatures, label_corpus
from tune_ner.training.model_export import InferenceConfig
from tune_ner.training.profiling import StageClock, peak_memory_bytes
from tune_ner.training.result import EpochMetrics, TrialProfile, TrialResult
from tune_ner.training.scoring import Scorer, Tags
from tune_ner.training.training_text_hashes import TrainingTextHashes
from tune_ner.utils.io import read_json

BASELINE_FILE = "baseline.json"
BASELINE_FORMAT = 2

_SMALLEST = 1e-12  # probability in the loss

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BaselineModel(ABC):
    """A trained model without an encoder.

    Attributes:
        config: word tokenizer, tagging scheme and entity types.
        training_text_hashes: hashes of the texts on which it was trained and selected; None if unknown.
        notes: remarks for the user, one sentence each.
    """

    kind: ClassVar[str]

    config: InferenceConfig
    training_text_hashes: TrainingTextHashes | None
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The label list."""
        return SCHEMES[self.config.tagging_scheme].labels(self.config.entity_types)

    def __call__(self, sentences: Sequence[Sentence]) -> tuple[WordProbabilities, Ids]:
        """Return the label probabilities of all words, and the label id that the model gives each, shape (words,)."""
        words, _, _ = split_texts([sentence.text for sentence in sentences], self.config.word_tokenizer)
        ids, values = self._predict([sentence.text for sentence in sentences], words)
        return WordProbabilities(words, values, self.config.tagging_scheme, self.labels), ids

    @abstractmethod
    def _predict(self, texts: Sequence[str], words: Words) -> tuple[Ids, npt.NDArray[np.float64]]:
        """Return label ids of shape (words,) and probabilities of shape (words, labels)."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of weights, or of entries of a list."""

    def save(self, folder: Path, retraining_differences: tuple[str, ...] | None = None) -> None:
        """Write the model into a folder that `Predictor` loads.

        Args:
            folder: an empty or new folder.
            retraining_differences: see `InferenceConfig`.

        Raises:
            OSError: the files cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        content = {"format": BASELINE_FORMAT, "kind": self.kind, **self._content()}
        (folder / BASELINE_FILE).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
        if self.training_text_hashes:
            self.training_text_hashes.write(folder)
        self.config.model_copy(update={"retraining_differences": retraining_differences}).write(folder)

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """Return the model as JSON-compatible values."""

    @classmethod
    @abstractmethod
    def of_content(cls, content: Any, config: InferenceConfig, hashes: TrainingTextHashes | None) -> Self:
        """Return the model from its part of `baseline.json`.

        Raises:
            ValueError, KeyError, TypeError, IndexError: the content is corrupt.
        """


@dataclass(frozen=True)
class CrfModel(BaselineModel):
    """A linear-chain CRF over words.

    Attributes:
        crf: the CRF.
    """

    kind: ClassVar[str] = "crf"

    crf: CrfBaseline

    def _predict(self, texts: Sequence[str], words: Words) -> tuple[Ids, npt.NDArray[np.float64]]:
        columns = np.array([self.labels.index(label) for label in self.crf.labels])
        ids = [np.zeros(0, np.int64)]
        values = np.zeros((len(words), len(self.labels)))
        for index, text in enumerate(texts):
            first, after = words.firsts[index : index + 2]
            scores = self.crf.scores(text, words.of(index))
            ids.append(columns[self.crf.decoder(scores)] if len(scores) else ids[0])
            values[first:after, columns] = self.crf.decoder.marginals(scores)
        return np.concatenate(ids), values

    @property
    def parameters(self) -> int:
        """Number of weights that are not zero."""
        return int(np.count_nonzero(self.crf.weights) + np.count_nonzero(self.crf.transitions.transitions))

    def _content(self) -> dict[str, Any]:
        return {
            "labels": self.crf.labels,
            "transitions": self.crf.transitions.transitions,
            "features": {name: self.crf.weights[row].tolist() for name, row in self.crf.features.items()},
        }

    @classmethod
    def of_content(cls, content: Any, config: InferenceConfig, hashes: TrainingTextHashes | None) -> Self:
        """Return the model from its part of `baseline.json`; see `BaselineModel`."""
        labels, features = tuple(map(str, content["labels"])), dict(content["features"])
        if unknown := set(labels) - set(SCHEMES[config.tagging_scheme].labels(config.entity_types)):
            raise ValueError(
                f"the model has the label {sorted(unknown)[0]!r}, which is not one of {config.entity_types}"
            )
        weights = np.array([*features.values(), [0.0] * len(labels)], np.float64)[:-1]
        zeros = (0.0,) * len(labels)
        transitions = Transitions(transitions=content["transitions"], starts=zeros, ends=zeros)
        if not labels or len(set(labels)) < len(labels) or not np.isfinite(weights).all():
            raise ValueError("found no labels, equal labels, or weights that are infinite")
        numbers = {name: row for row, name in enumerate(features)}
        return cls(config, hashes, CrfBaseline(labels, numbers, weights, transitions, config.word_tokenizer))


@dataclass(frozen=True)
class GazetteerModel(BaselineModel):
    """A list of the train entities.

    Attributes:
        gazetteer: the list.
        shares: how often a word with a label of the list (row) has each label (column) in texts that the list was not
            made from; shape (labels, labels).
    """

    kind: ClassVar[str] = "gazetteer"

    gazetteer: Gazetteer
    shares: npt.NDArray[np.float64]

    def _predict(self, texts: Sequence[str], words: Words) -> tuple[Ids, npt.NDArray[np.float64]]:
        ids = gazetteer_labels(self.gazetteer, texts, words, self.config.tagging_scheme, self.labels)
        return ids, self.shares[ids]

    @property
    def parameters(self) -> int:
        """Number of entities."""
        return len(self.gazetteer.types)

    def _content(self) -> dict[str, Any]:
        entities = [[*words, label] for words, label in self.gazetteer.types.items()]
        matcher = self.gazetteer.matcher
        settings = {"fold_case": matcher.fold_case, "word_tokenizer": matcher.word_tokenizer}
        return {**settings, "entities": entities, "shares": self.shares.tolist()}

    @classmethod
    def of_content(cls, content: Any, config: InferenceConfig, hashes: TrainingTextHashes | None) -> Self:
        """Return the model from its part of `baseline.json`; see `BaselineModel`."""
        types = {tuple(map(str, row[:-1])): str(row[-1]) for row in content["entities"]}
        matcher = EntityMatcher.of(types, bool(content["fold_case"]), content["word_tokenizer"])
        size = len(SCHEMES[config.tagging_scheme].labels(config.entity_types))
        shares = np.array(content["shares"], np.float64)
        if shares.shape != (size, size) or not set(types.values()) <= set(config.entity_types):
            raise ValueError("the entities or shares are not of the entity types in tune_ner.json")
        return cls(config, hashes, Gazetteer(types, matcher), shares)


def read_baseline(folder: Path) -> BaselineModel | None:
    """Read the model in a folder; None for a folder without a `baseline.json`.

    Raises:
        ModelError: the files are unreadable or corrupt.
    """
    if not (folder / BASELINE_FILE).is_file():
        return None
    try:
        content = read_json(folder / BASELINE_FILE)
        kinds: dict[str, type[BaselineModel]] = {each.kind: each for each in (CrfModel, GazetteerModel)}
        if content["format"] != BASELINE_FORMAT:
            raise ValueError(f"format {content['format']}, expected {BASELINE_FORMAT}")
        config = InferenceConfig.read(folder)
        if config is None:
            raise ValueError("tune_ner.json is missing")
        return kinds[content["kind"]].of_content(content, config, TrainingTextHashes.read(folder))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RunFolderError) as error:
        raise ModelError(
            f"{folder / BASELINE_FILE}: not a baseline that a run exported: {error}; export it again"
        ) from error


def gazetteer_labels(
    gazetteer: Gazetteer, texts: Sequence[str], words: Words, scheme: str, labels: Sequence[str]
) -> Ids:
    """Return the label id of each word, shape (words,); a word of which a part is found belongs to the entity."""
    found = [Sentence("", text, gazetteer.predict(text)) for text in texts]
    return label_words(found, words, SCHEMES[scheme], labels).label_ids.astype(np.int64)


def train_baseline(config: TrialConfig, features: TrialFeatures) -> BaselineModel:
    """Train the model that a configuration names on the train split."""
    sentences = features.sentences["train"]
    encoded = features.encoded["train"]
    inference = InferenceConfig.of(config, features.entity_types)
    hashes = features.training_text_hashes
    if config.model == "baseline:crf":
        texts = [sentence.text for sentence in sentences]
        words, ids = encoded.subwords.words, encoded.word_label_ids
        crf = train_crf(texts, words, ids, features.labels, config.word_tokenizer, config.crf_c1, config.crf_c2)
        return CrfModel(inference, hashes, crf)
    shares = _shares(sentences[::2], sentences[1::2], config, features)
    return GazetteerModel(inference, hashes, learn_gazetteer(sentences), shares)


def _shares(
    learned: Sequence[Sentence], held_out: Sequence[Sentence], config: TrialConfig, features: TrialFeatures
) -> npt.NDArray[np.float64]:
    """Return `GazetteerModel.shares` of a list of the learned sentences, with one more count of each pair of labels."""
    texts = [sentence.text for sentence in held_out]
    words, _, _ = split_texts(texts, config.word_tokenizer)
    scheme, labels = SCHEMES[config.tagging_scheme], features.labels
    counts = np.ones((len(labels), len(labels)))
    guessed = gazetteer_labels(learn_gazetteer(learned), texts, words, scheme.name, labels)
    gold = label_words(held_out, words, scheme, labels, config.overlaps).label_ids
    np.add.at(counts, (guessed, gold), 1)
    shares: npt.NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
    return shares


def baseline_features(config: TrialConfig, corpus: Corpus, split: Split) -> TrialFeatures:
    """Return the labelled words of each split, with each word as its only subword."""
    split = train_subset(corpus, split, config.train_size(len(split.train)), config.seed)
    subwords: dict[SplitName, Subwords] = {}
    for name in SPLIT_NAMES:
        words, _, _ = split_texts([corpus.sentences[index].text for index in split[name]], config.word_tokenizer)
        numbers = np.arange(len(words), dtype=np.int32)
        subwords[name] = Subwords(numbers, numbers, words.firsts, numbers, words)
    return label_corpus(config, corpus, split, TokenizedCorpus(None, subwords))


def evaluate_baseline(
    config: TrialConfig, features: TrialFeatures, model: BaselineModel, clock: StageClock, *, measure_test: bool
) -> TrialResult:
    """Evaluate a trained model as a trial whose only epoch is its training."""
    names: tuple[SplitName, ...] = ("validation", "test") if measure_test else ("validation",)
    scorers = {name: Scorer(config, features, name) for name in names}
    tags: dict[SplitName, Tags] = {}
    probabilities: dict[SplitName, WordProbabilities] = {}
    with clock("evaluate"):
        for name in names:
            probabilities[name], ids = model(features.sentences[name])
            tags[name] = scorers[name].tags(ids)
    losses = {name: _loss(probabilities[name], features.encoded[name].word_label_ids) for name in names}
    scores, counts = scorers["validation"].epoch_metrics(tags["validation"])
    words = len(features.encoded["train"].subwords.words)
    epoch = EpochMetrics(
        epoch=1,
        validation_loss=losses["validation"],
        training_loss=None,
        tokens=words,
        **{f"validation_{name}": score for name, score in scores.items()},
    )
    return TrialResult(
        epochs=(epoch,),
        best_epoch=1,
        test_loss=losses.get("test"),
        metrics={name: scorers[name].metrics(tags[name]) for name in names},
        predicted_spans={name: scorers[name].spans(tags[name]) for name in names},
        epoch_counts=(counts,),
        probabilities=pack(probabilities) if measure_test else b"",
        encoding={name: encoded.stats.as_dict() for name, encoded in features.encoded.items()},
        labels=features.labels,
        training_log=(),
        train_loss=math.nan,
        precision_used="fp32",
        device="cpu",
        threads=1,
        parameters=model.parameters,
        seconds=clock.seconds,
        profile=TrialProfile(tokens=words, computed_tokens=words, peak_memory_bytes=peak_memory_bytes()),
        batching_used="none",
    )


def _loss(probabilities: WordProbabilities, gold: npt.NDArray[Any]) -> float:
    """Return the mean cross-entropy over words; 0 without words."""
    chosen = np.take_along_axis(probabilities.values, gold[:, None].astype(np.int64), axis=-1)
    return float(-np.log(np.maximum(chosen, _SMALLEST)).mean()) if len(gold) else 0.0
