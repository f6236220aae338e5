"""Audit of a corpus and its split before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.checks.brackets import Footnotes, LiteralBrackets, UnpairedBrackets
from tune_ner.audit.checks.duplicates import DuplicatesAcrossSplits, DuplicatesWithinSplits, GroupsAcrossSplits
from tune_ner.audit.checks.entity_overlap import EntityOverlap, GazetteerScore
from tune_ner.audit.checks.label_conflicts import AnnotationConflicts, LabelConflicts, UnlabelledEntities
from tune_ner.audit.checks.markup_leakage import MarkupLeakage
from tune_ner.audit.checks.merged_spans import MergedSpans
from tune_ner.audit.checks.overlaps import OverlappingSpans
from tune_ner.audit.checks.sample_size import MissingTypes, RareTypes, SampleSize, SimilarTypes
from tune_ner.audit.checks.span_boundaries import InvalidSpans, SpanEdges, WordBoundaries
from tune_ner.audit.checks.truncation import Ceiling, Truncation
from tune_ner.audit.checks.windows import CutWords
from tune_ner.audit.findings import SEVERITIES, AuditReport
from tune_ner.data.corpus import Corpus
from tune_ner.data.splits import Split, split_corpus
from tune_ner.evaluation.seen_entities import seen_entities
from tune_ner.tagging.overlaps import OverlapPolicy
from tune_ner.tagging.tokenization import WordTokenizer, choose_word_tokenizer

CHECKS: tuple[Check, ...] = (
    MarkupLeakage(),
    GazetteerScore(),
    MergedSpans(),
    DuplicatesAcrossSplits(),
    GroupsAcrossSplits(),
    DuplicatesWithinSplits(),
    EntityOverlap(),
    AnnotationConflicts(),
    LabelConflicts(),
    UnlabelledEntities(),
    OverlappingSpans(),
    WordBoundaries(),
    SpanEdges(),
    InvalidSpans(),
    SimilarTypes(),
    MissingTypes(),
    RareTypes(),
    LiteralBrackets(),
    UnpairedBrackets(),
    Footnotes(),
    CutWords(),
    Truncation(),
    Ceiling(),
    SampleSize(),
)


def audit(
    corpus: Corpus,
    split: Split | None = None,
    *,
    near_duplicates: bool = True,
    tokenizers: Mapping[str, Any] | None = None,
    max_length: int = 256,
    stride: int | None = None,
    word_tokenizer: WordTokenizer = "auto",
    overlaps: OverlapPolicy = "longest",
    is_grouped: bool = False,
    data_option: str = "",
) -> AuditReport:
    """Check a corpus and its split for problems that distort the scores of a model.

    Baselines are learned from train and evaluated on validation and test. The time is linear in the size of the corpus.

    Args:
        corpus: the corpus as it would be trained on.
        split: its splits, by default the published ones or else the default random split. A split without sentences or
            entities is a finding.
        near_duplicates: also search for near-identical sentences.
        tokenizers: fast tokenizers by the name of their encoder, to measure truncation and unknown tokens.
        max_length: length of windows in subwords.
        stride: subwords that the windows of a longer sentence share; 0 truncates it instead.
        word_tokenizer: how texts would be split into words.
        overlaps: which of overlapping entities would be kept.
        is_grouped: the split keeps similar sentences together, so this is not suggested.
        data_option: value of `--data` for the commands in the suggestions.

    Raises:
        SplitError: `split` is not given and the corpus is too small to be split.
    """
    split = split_corpus(corpus) if split is None else split
    if word_tokenizer == "auto":
        word_tokenizer, _ = choose_word_tokenizer(corpus.sentences)
    data = AuditInput(
        corpus,
        split,
        near_duplicates,
        tokenizers or {},
        max_length,
        stride,
        word_tokenizer,
        overlaps,
        is_grouped,
        data_option,
    )
    findings = [finding for check in CHECKS for finding in check.run(data)]
    return AuditReport(
        corpus=corpus.name,
        data_fingerprint=corpus.fingerprint,
        word_tokenizer=word_tokenizer,
        splits=data.sizes,
        baselines=data.baselines,
        test_sentences_in_train=data.shared_sentences("test", "train"),
        seen_entities=seen_entities(corpus, split).texts,
        findings=tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        notes=(*corpus.notes, *_crf_notes(data)),
        baseline_counts=data.best_baseline_counts(),
    )


def _crf_notes(data: AuditInput) -> list[str]:
    """Return a note if the CRF baseline was not trained on all sentences of train."""
    if data.crf and data.crf.step > 1:
        return [f"the CRF baseline learned from 1 of {data.crf.step} sentences of train, to take seconds"]
    if data.is_too_large_for_crf:
        return ["no CRF baseline: it would take minutes on this corpus"]
    return []
