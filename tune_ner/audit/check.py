"""Interface of a check: its input and its method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tune_ner.audit.baselines import EVALUATED_SPLITS, Gazetteer, Predict, learn_gazetteer, predict_known_types
from tune_ner.audit.crf_baseline import MOST_WORDS, CrfBaseline, learn_crf
from tune_ner.audit.findings import Finding, SplitSize
from tune_ner.audit.marker_baseline import MarkerBaseline, learn_marker_baseline
from tune_ner.audit.token_counts import Encoding, TokenizerCounts, count_tokens
from tune_ner.data.corpus import SPLIT_NAMES, Corpus, Sentence, Span, SplitName, valid_spans
from tune_ner.data.markup import has_bracket_markup
from tune_ner.data.near_duplicates import find_duplicates
from tune_ner.data.splits import Split
from tune_ner.evaluation.span_metrics import SpanMetrics, score_spans, sentence_counts
from tune_ner.tagging.overlaps import OverlapPolicy
from tune_ner.tagging.tokenization import WordTokenizer, choose_word_tokenizer, split_texts


@dataclass(frozen=True)
class AuditInput:
    """A corpus, its split and the options of an audit, with the quantities that several checks use.

    `is_grouped`: the split keeps similar sentences together.
    """

    corpus: Corpus
    split: Split
    near_duplicates: bool = True
    tokenizers: Mapping[str, Any] = field(default_factory=dict)
    max_length: int = 256
    stride: int | None = None
    word_tokenizer: WordTokenizer = "whitespace"
    overlaps: OverlapPolicy = "longest"
    is_grouped: bool = False
    data_option: str = ""

    def sentences_of(self, split_name: SplitName) -> list[Sentence]:
        """Return the sentences of a split."""
        return [self.corpus.sentences[index] for index in self.split[split_name]]

    @cached_property
    def sentences(self) -> list[Sentence]:
        """The sentences of all splits."""
        return [sentence for split_name in SPLIT_NAMES for sentence in self.sentences_of(split_name)]

    @cached_property
    def entities(self) -> list[tuple[Sentence, Span]]:
        """The spans of all splits that cover at least one character, with their sentences."""
        return [(sentence, span) for sentence in self.sentences for span in valid_spans(sentence)]

    @cached_property
    def has_bracket_markup(self) -> bool:
        """Whether the annotation is, or was, brackets in the text."""
        return has_bracket_markup(self.corpus)

    @cached_property
    def best_word_tokenizer(self) -> WordTokenizer:
        """The word tokenizer that suits the corpus."""
        return choose_word_tokenizer(self.sentences)[0]

    @property
    def encoding(self) -> Encoding:
        """How entities become tags of words."""
        return Encoding(self.corpus.entity_types, self.word_tokenizer, self.overlaps, self.max_length, self.stride == 0)

    @cached_property
    def token_counts(self) -> dict[str, dict[SplitName, TokenizerCounts]]:
        """The counts of each split by tokenizer; without one, those of test with one subword per word, under `""`."""
        splits: tuple[SplitName, ...] = SPLIT_NAMES if self.tokenizers else ("test",)
        return {
            name: {split: count_tokens(self.sentences_of(split), tokenizer, self.encoding) for split in splits}
            for name, tokenizer in (self.tokenizers or {"": None}).items()
        }

    @cached_property
    def sizes(self) -> dict[SplitName, SplitSize]:
        """The sizes of the splits."""
        counts = {name: self.corpus.entity_counts(self.split[name]) for name in SPLIT_NAMES}
        return {name: SplitSize(len(self.split[name]), sum(n.values()), n) for name, n in counts.items()}

    @cached_property
    def gazetteer(self) -> Gazetteer:
        """The gazetteer of the train entities."""
        return learn_gazetteer(self.sentences_of("train"))

    @cached_property
    def marker_baseline(self) -> MarkerBaseline:
        """The baseline that predicts entities from boundary markers."""
        return learn_marker_baseline(self.sentences_of("train"))

    @cached_property
    def is_too_large_for_crf(self) -> bool:
        """Whether evaluating a CRF would take minutes."""
        texts = [sentence.text for name in EVALUATED_SPLITS for sentence in self.sentences_of(name)]
        words, _, _ = split_texts(texts, self.word_tokenizer)
        return len(words) > MOST_WORDS

    @cached_property
    def crf(self) -> CrfBaseline | None:
        """A CRF trained on train; None if train has no entity or the corpus is too large."""
        if self.is_too_large_for_crf:
            return None
        return learn_crf(self.sentences_of("train"), self.corpus.entity_types, self.word_tokenizer, self.overlaps)

    @cached_property
    def baseline_spans(self) -> dict[str, dict[SplitName, list[tuple[Span, ...]]]]:
        """The predictions of `gazetteer`, of `crf` if there is one, and of `boundary_markers` if there are any."""
        predictors: dict[str, Predict] = {"gazetteer": self.gazetteer.predict}
        if self.marker_baseline.rules:
            predictors["boundary_markers"] = predict_known_types(self.marker_baseline, self.gazetteer)
        if self.crf:
            predictors["crf"] = self.crf.predict
        return {
            name: {split: [tuple(predict(s.text)) for s in self.sentences_of(split)] for split in EVALUATED_SPLITS}
            for name, predict in predictors.items()
        }

    @cached_property
    def baselines(self) -> dict[str, dict[SplitName, SpanMetrics]]:
        """The metrics of each baseline on validation and test."""
        gold = {split: [sentence.spans for sentence in self.sentences_of(split)] for split in EVALUATED_SPLITS}
        return {
            name: {
                split: score_spans(gold[split], spans, self.corpus.entity_types) for split, spans in predicted.items()
            }
            for name, predicted in self.baseline_spans.items()
        }

    def best_baseline_counts(self) -> tuple[tuple[int, int, int, int], ...]:
        """Return the index and the counts of each test sentence in which the best baseline on test has any."""
        best = max(self.baselines, key=lambda name: self.baselines[name]["test"].f1)
        gold = [sentence.spans for sentence in self.sentences_of("test")]
        counts = sentence_counts(gold, self.baseline_spans[best]["test"])
        return tuple(
            (index, int(tp), int(fp), int(fn))
            for index, (tp, fp, fn) in zip(self.split["test"], counts.tolist(), strict=True)
            if tp or fp or fn
        )

    @cached_property
    def duplicate_groups(self) -> dict[str, np.ndarray[Any, Any]]:
        """The group of similar sentences of each sentence, by level: `exact`, `normalized` and optionally `near`."""
        found = find_duplicates([sentence.text for sentence in self.corpus.sentences], near=self.near_duplicates)
        levels = {"exact": found.exact, "normalized": found.normalised}
        return levels if found.near is None else {**levels, "near": found.near}

    def shared_sentences(self, split_name: SplitName, other: SplitName) -> dict[str, tuple[int, ...]]:
        """Return the indices of the sentences of a split that also occur in another, by level; empty texts never do."""
        shared = {}
        for level, groups in self.duplicate_groups.items():
            known = set(groups[np.array(self.split[other], dtype=np.int64)].tolist())
            found = (index for index in self.split[split_name] if int(groups[index]) in known)
            shared[level] = tuple(index for index in found if self.corpus.sentences[index].text.strip())
        return shared

    def command(self, options: str) -> str:
        """Return the command-line options that read the same data with other options."""
        return f"`{f'--data {self.data_option} ' if self.data_option else ''}{options}`"


class Check(ABC):
    """A check of the data. The first line of a subclass's docstring is its description."""

    name: ClassVar[str]

    @property
    def description(self) -> str:
        """What the check looks for, in one line."""
        return (type(self).__doc__ or "").partition("\n")[0]

    @abstractmethod
    def run(self, data: AuditInput) -> Iterator[Finding]:
        """Yield the findings, none if the data is fine."""
