"""What a trial learns from and is measured on, encoded; kept in the process for the next trial that needs the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import SPLIT_NAMES, Corpus, Sentence, SplitName
from tune_ner.data.splits import Split
from tune_ner.errors import EncoderError
from tune_ner.evaluation.seen_entities import SeenEntities, seen_entities
from tune_ner.tagging.alignment import EncodedSplit, Subwords, label_sentences, tokenize_sentences
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.dataset import Windows, positions_of
from tune_ner.training.encoders import Encoder, load_tokenizer
from tune_ner.training.padding_free.vocabulary_trimming import Vocabulary
from tune_ner.training.training_text_hashes import TrainingTextHashes

_MOST_KEPT = 4


@dataclass(frozen=True)
class TokenizedSplit:
    """The parts of a divided corpus as one tokenizer has them; the same for all tagging schemes."""

    tokenizer: Any
    subwords: dict[SplitName, Subwords]


def tokenization(config: TrialConfig) -> tuple[object, ...]:
    """What trials must have in common to share their `TokenizedSplit`."""
    return config.model, config.fold, config.word_tokenizer, config.max_length, config.stride


def tokenize_split(config: TrialConfig, corpus: Corpus, split: Split, tokenizer: Any) -> TokenizedSplit:
    """The parts as a tokenizer has them, cut as the configuration says."""
    subwords = {
        split_name: tokenize_sentences(
            [corpus.sentences[i] for i in split[split_name]],
            tokenizer,
            word_tokenizer=config.word_tokenizer,
            max_length=config.max_length,
            stride=config.stride,
        )
        for split_name in SPLIT_NAMES
    }
    return TokenizedSplit(tokenizer, subwords)


@dataclass(frozen=True)
class TrialFeatures:
    """An encoded corpus: what is the same for all trials of an encoder, tagging scheme and split.

    `labels` are those of the scheme, and `forms` the surface forms of the train part.
    """

    tokenizer: Any
    types: tuple[str, ...]
    labels: tuple[str, ...]
    sentences: dict[SplitName, list[Sentence]]
    encoded: dict[SplitName, EncodedSplit]
    forms: SeenEntities

    @property
    def known(self) -> TrainingTextHashes:
        """The texts that a model is trained and chosen on."""
        parts: tuple[SplitName, ...] = ("train", "validation")
        return TrainingTextHashes.of(sentence.text for split_name in parts for sentence in self.sentences[split_name])

    @cached_property
    def windows(self) -> dict[SplitName, Windows]:
        """The windows of each part."""
        return {
            split_name: Windows(encoded.subwords.ids, encoded.label_ids, encoded.subwords.windows)
            for split_name, encoded in self.encoded.items()
        }

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The subwords that the parts use."""
        every = (encoded.subwords.ids for encoded in self.encoded.values())
        return Vocabulary.of(every, self.tokenizer.pad_token_id)

    @cached_property
    def trimmed_windows(self) -> dict[SplitName, Windows]:
        """The windows of each part with the ids of `vocabulary`."""
        return {
            split_name: Windows(self.vocabulary.renumbered(windows.ids), windows.labels, windows.starts)
            for split_name, windows in self.windows.items()
        }

    def check_lengths(self, config: TrialConfig, model: Any) -> None:
        """Refuse sentences that are longer than the model has positions.

        Raises:
            EncoderError: one is.
        """
        positions = positions_of(model)
        longest = max(int(encoded.subwords.lengths.max()) for encoded in self.encoded.values())
        if positions is not None and longest > positions:
            raise EncoderError(
                f"model {config.model!r}: a sentence has {longest} subwords at max_length {config.max_length}; "
                f"expected a max_length up to {positions}, the positions that the model has"
            )


_kept: dict[tuple[object, ...], TrialFeatures] = {}


def trial_features(
    config: TrialConfig, encoder: Encoder, corpus: Corpus, split: Split, tokenized: TokenizedSplit | None = None
) -> TrialFeatures:
    """The inputs of a trial, encoded now or for an earlier trial of this process.

    Args:
        config: the trial.
        encoder: its resolved encoder.
        corpus: the whole corpus.
        split: its parts.
        tokenized: the tokenized parts, if they are at hand.

    Raises:
        EncoderError: the encoder's tokenizer cannot be loaded.
    """
    said = config.tagging_scheme, config.word_tokenizer, config.subword_labels, config.max_length, config.stride
    key = (encoder, corpus.fingerprint, split, *said)
    if key not in _kept:
        while len(_kept) >= _MOST_KEPT:
            del _kept[next(iter(_kept))]
        if tokenized is None:
            tokenizer = load_tokenizer(encoder, [corpus.sentences[i].text for i in split["train"]])
            tokenized = tokenize_split(config, corpus, split, tokenizer)
        _kept[key] = _labelled(config, corpus, split, tokenized)
    return _kept[key]


def _labelled(config: TrialConfig, corpus: Corpus, split: Split, tokenized: TokenizedSplit) -> TrialFeatures:
    scheme = SCHEMES[config.tagging_scheme]
    labels = scheme.labels(corpus.entity_types)
    sentences: dict[SplitName, list[Sentence]] = {
        split_name: [corpus.sentences[i] for i in split[split_name]] for split_name in SPLIT_NAMES
    }
    encoded = {
        split_name: label_sentences(rows, tokenized.subwords[split_name], labels, scheme, config.subword_labels)
        for split_name, rows in sentences.items()
    }
    return TrialFeatures(
        tokenized.tokenizer, corpus.entity_types, labels, sentences, encoded, seen_entities(corpus, split)
    )
