"""Encoded splits of a corpus; each process caches them for the trials that share them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import SPLIT_NAMES, Corpus, Sentence, SplitName
from tune_ner.data.splits import Split, train_subset
from tune_ner.errors import EncoderError
from tune_ner.evaluation.seen_entities import SeenEntities, seen_entities
from tune_ner.tagging.alignment import EncodedSplit, Subwords, label_sentences, tokenize_sentences
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.dataset import Windows, max_positions
from tune_ner.training.encoders import Encoder, load_tokenizer
from tune_ner.training.padding_free.vocabulary_trimming import Vocabulary, can_trim
from tune_ner.training.training_text_hashes import TrainingTextHashes

_CACHE_SIZE = 4


@dataclass(frozen=True)
class TokenizedCorpus:
    """The subwords of each split, which are the same for all tagging schemes."""

    tokenizer: Any
    subwords: dict[SplitName, Subwords]


def tokenization_key(config: TrialConfig) -> tuple[object, ...]:
    """Return the settings that trials must have in common to share their `TokenizedCorpus`."""
    subset = config.train_fraction, config.max_train_sentences
    drawn = () if subset == (1, None) else (*subset, config.seed)
    return config.model, config.fold, config.word_tokenizer, config.max_length, config.window_stride, *drawn


def tokenize_corpus(config: TrialConfig, corpus: Corpus, split: Split, tokenizer: Any) -> TokenizedCorpus:
    """Tokenize each split as the configuration specifies."""
    subwords = {
        split_name: tokenize_sentences(
            [corpus.sentences[i] for i in split[split_name]],
            tokenizer,
            word_tokenizer=config.word_tokenizer,
            max_length=config.max_length,
            stride=config.window_stride,
        )
        for split_name in SPLIT_NAMES
    }
    return TokenizedCorpus(tokenizer, subwords)


@dataclass(frozen=True)
class TrialFeatures:
    """An encoded corpus, the same for all trials with this encoder, tagging scheme and split.

    Attributes:
        tokenizer: the encoder's tokenizer.
        entity_types: the entity types of the corpus.
        labels: the labels of the tagging scheme.
        sentences: the sentences of each split.
        encoded: their subwords and label ids.
        seen_entities: the entities of the train split.
    """

    tokenizer: Any
    entity_types: tuple[str, ...]
    labels: tuple[str, ...]
    sentences: dict[SplitName, list[Sentence]]
    encoded: dict[SplitName, EncodedSplit]
    seen_entities: SeenEntities

    @property
    def training_text_hashes(self) -> TrainingTextHashes:
        """Return hashes of the texts on which a model is trained and selected."""
        return TrainingTextHashes.of(s.text for name in SPLIT_NAMES if name != "test" for s in self.sentences[name])

    @cached_property
    def windows(self) -> dict[SplitName, Windows]:
        """Return the windows of each split."""
        return {
            split_name: Windows(encoded.subwords.ids, encoded.label_ids, encoded.subwords.windows)
            for split_name, encoded in self.encoded.items()
        }

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Return the subwords that occur in the corpus."""
        every = (encoded.subwords.ids for encoded in self.encoded.values())
        return Vocabulary.of(every, self.tokenizer.pad_token_id)

    @cached_property
    def trimmed_windows(self) -> dict[SplitName, Windows]:
        """Return the windows of each split with the ids of `vocabulary`."""
        return {
            split_name: Windows(self.vocabulary.renumbered(windows.ids), windows.labels, windows.starts)
            for split_name, windows in self.windows.items()
        }

    def trim_vocabulary(self, config: TrialConfig, model: Any) -> tuple[dict[SplitName, Windows], Vocabulary | None]:
        """Remove unused embeddings from the model if the configuration asks for it and the model supports it.

        Returns:
            The windows for this model, and its vocabulary (None if it is complete).
        """
        if not config.trim_vocabulary or not can_trim(model):
            return self.windows, None
        self.vocabulary.trim(model)
        return self.trimmed_windows, self.vocabulary

    def check_lengths(self, config: TrialConfig, model: Any) -> None:
        """Check that no window has more subwords than the model has positions.

        Raises:
            EncoderError: a window is too long.
        """
        positions = max_positions(model)
        longest = max(int(encoded.subwords.lengths.max()) for encoded in self.encoded.values())
        if positions is not None and longest > positions:
            raise EncoderError(
                f"model {config.model!r}: a sentence has {longest} subwords at max_length {config.max_length}; "
                f"expected a max_length up to {positions}, the number of positions of the model"
            )


_cache: dict[tuple[object, ...], TrialFeatures] = {}


def trial_features(
    config: TrialConfig, encoder: Encoder, corpus: Corpus, split: Split, tokenized: TokenizedCorpus | None = None
) -> TrialFeatures:
    """Encode the corpus for a trial, or return it from the cache of this process.

    Args:
        config: the configuration of the trial.
        encoder: its resolved encoder.
        corpus: the complete corpus.
        split: the sentences of each split; those of train are reduced as the configuration says.
        tokenized: the result of `tokenize_corpus`, if it is available.

    Raises:
        EncoderError: the encoder's tokenizer cannot be loaded.
        SplitError: the training sentences that the configuration leaves have no entity.
    """
    split = train_subset(corpus, split, config.train_size(len(split.train)), config.seed)
    settings = tokenization_key(config), config.tagging_scheme, config.subword_labels
    key = (encoder, corpus.fingerprint, split, *settings, config.overlaps)
    if key not in _cache:
        while len(_cache) >= _CACHE_SIZE:
            del _cache[next(iter(_cache))]
        if tokenized is None:
            tokenizer = load_tokenizer(encoder, [corpus.sentences[i].text for i in split["train"]])
            tokenized = tokenize_corpus(config, corpus, split, tokenizer)
        _cache[key] = label_corpus(config, corpus, split, tokenized)
    return _cache[key]


def label_corpus(config: TrialConfig, corpus: Corpus, split: Split, tokenized: TokenizedCorpus) -> TrialFeatures:
    """Label the words of each split as the configuration specifies."""
    scheme = SCHEMES[config.tagging_scheme]
    labels = scheme.labels(corpus.entity_types)
    sentences: dict[SplitName, list[Sentence]] = {
        split_name: [corpus.sentences[i] for i in split[split_name]] for split_name in SPLIT_NAMES
    }
    encoded = {
        split_name: label_sentences(
            rows, tokenized.subwords[split_name], labels, scheme, config.subword_labels, config.overlaps
        )
        for split_name, rows in sentences.items()
    }
    seen = seen_entities(corpus, split)
    return TrialFeatures(tokenized.tokenizer, corpus.entity_types, labels, sentences, encoded, seen)
