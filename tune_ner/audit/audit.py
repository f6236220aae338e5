"""The audit: every concern in turn, gathered in one report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_ner.audit.baselines import gazetteer_finding, learn_gazetteer, score_parts
from tune_ner.audit.checks.annotation_conventions import annotation_findings
from tune_ner.audit.checks.duplicates import contaminated_test, duplicate_findings, find_levels
from tune_ner.audit.checks.entity_overlap import surface_finding
from tune_ner.audit.checks.label_conflicts import consistency_findings
from tune_ner.audit.checks.markup_leakage import markup_findings, with_types_of_forms
from tune_ner.audit.checks.merged_spans import broken_findings
from tune_ner.audit.checks.sample_size import size_findings
from tune_ner.audit.checks.truncation import encoding_findings
from tune_ner.audit.findings import AuditReport, Finding, PartSize, worst_first
from tune_ner.audit.marker_baseline import learn_rule
from tune_ner.data.corpus import SPLIT_NAMES, Corpus, SplitName
from tune_ner.data.splits import Split
from tune_ner.evaluation.seen_entities import seen_entities
from tune_ner.evaluation.span_metrics import SpanMetrics
from tune_ner.tagging.tokenization import WordTokenizer


def audit_corpus(
    corpus: Corpus,
    split: Split,
    *,
    near_duplicates: bool = True,
    tokenizers: Mapping[str, Any] | None = None,
    max_length: int = 256,
    word_tokenizer: WordTokenizer = "whitespace",
    data_option: str = "",
) -> AuditReport:
    """What is wrong with a corpus and its split before anyone trains on it.

    Args:
        corpus: the corpus as it would be trained on.
        split: its parts; a part may lack sentences or entities, which is then a finding.
        near_duplicates: whether to look for nearly equal sentences too.
        tokenizers: fast tokenizers by the name of their encoder, whose losses are to be measured.
        max_length: subwords after which a sentence would be cut.
        word_rule: how texts would be cut into words.
        data_option: what `--data` was, for the commands among the remedies.

    Everything is learnt from train and measured on test (and validation). The time is linear in the size of
    the corpus.
    """
    train, test = ([corpus.sentences[index] for index in indices] for indices in (split.train, split.test))
    parts = {split_name: _size(corpus, split, split_name) for split_name in SPLIT_NAMES}
    gazetteer = learn_gazetteer(train, corpus.entity_types)
    baselines: dict[str, dict[SplitName, SpanMetrics]] = {
        "gazetteer": score_parts(corpus, split, gazetteer.predict),
    }
    rule = learn_rule(train, corpus.entity_types)
    findings: list[Finding | None] = []
    if rule.opening or rule.closing:
        baselines["markup rule"] = score_parts(corpus, split, with_types_of_forms(rule, gazetteer))
        findings += markup_findings(rule, baselines["markup rule"], test, data_option)
    levels = find_levels(corpus, near_duplicates)
    sentences = [corpus.sentences[index] for split_name in SPLIT_NAMES for index in split[split_name]]
    findings += [
        gazetteer_finding(baselines["gazetteer"], gazetteer),
        *broken_findings(rule, gazetteer.index, sentences, data_option),
        *duplicate_findings(corpus, split, levels, parts),
        surface_finding(corpus, split),
        *consistency_findings(sentences),
        *annotation_findings(sentences, word_tokenizer, parts),
        *encoding_findings(corpus, split, tokenizers or {}, max_length, word_tokenizer),
        *size_findings(parts),
    ]
    return AuditReport(
        corpus=corpus.name,
        data_fingerprint=corpus.fingerprint,
        word_tokenizer=word_tokenizer,
        parts=parts,
        baselines=baselines,
        contaminated=contaminated_test(corpus, split, levels),
        entity_forms=seen_entities(corpus, split).texts,
        findings=worst_first([finding for finding in findings if finding is not None]),
        notes=corpus.notes,
    )


def _size(corpus: Corpus, split: Split, split_name: SplitName) -> PartSize:
    per_type = corpus.entity_counts(split[split_name])
    return PartSize(len(split[split_name]), sum(per_type.values()), per_type)
