"""Findings of an audit, and the report that collects them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Literal, get_args

import pandas as pd

from tune_ner.audit.rendering import report_html, report_text
from tune_ner.data.corpus import Sentence, Span, SplitName
from tune_ner.evaluation.span_metrics import SpanMetrics
from tune_ner.utils.text import plural

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Most severe first: `error` makes the scores meaningless, `warning` biases them, `info` helps to interpret them."""

MAX_EXAMPLES = 5
_CONTEXT = 30
_TITLES_IN_SUMMARY = 2
_NOUNS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}


@dataclass(frozen=True)
class Example:
    """A piece of the corpus that illustrates a finding, and its location (file and line).

    `highlight`: start and end of the span in `text`, which includes the marks around it.
    """

    location: str
    text: str
    highlight: tuple[int, int] | None = None


@dataclass(frozen=True)
class Finding:
    """A problem or fact that concerns `count` of `total` items.

    `kind` is an identifier such as `duplicates_train_test`, `effect` the influence on the scores, `suggestion` what to
    do, with the option or command where there is one. `values` holds the numbers behind the text.
    """

    kind: str
    severity: Severity
    title: str
    count: int
    total: int
    effect: str
    suggestion: str
    examples: tuple[Example, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitSize:
    """Number of sentences and entities in a split, and of the entities of each type in label order."""

    sentences: int
    entities: int
    per_type: dict[str, int]


@dataclass(frozen=True, repr=False)
class AuditReport:
    """Result of an audit; prints as text in a terminal and as HTML in a notebook.

    `baselines` holds the metrics of baselines without an encoder, by name and split; `test_sentences_in_train` the rows
    of test sentences that also occur in train, by level of similarity (`exact`, `normalized`, `near`), each including
    the levels before; `seen_entities` the normalized texts of the entities in train; `findings` the most severe first.
    `baseline_counts` holds the index, true positives, false positives and false negatives of each test sentence in
    which the best baseline has any.
    """

    corpus: str
    data_fingerprint: str
    word_tokenizer: str
    splits: dict[SplitName, SplitSize]
    baselines: dict[str, dict[SplitName, SpanMetrics]]
    test_sentences_in_train: dict[str, tuple[int, ...]]
    seen_entities: frozenset[str]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    baseline_counts: tuple[tuple[int, int, int, int], ...] = ()

    def __repr__(self) -> str:
        return report_text(self)

    def _repr_html_(self) -> str:
        return report_html(self)

    @property
    def severity(self) -> Severity | None:
        """The highest severity; None without findings."""
        return min((finding.severity for finding in self.findings), key=SEVERITIES.index, default=None)

    @property
    def summary(self) -> str:
        """One line with the most severe findings, and how many more there are."""
        severity = self.severity
        if severity in (None, "info"):
            return f"audit: no errors or warnings; {plural(len(self.findings), 'note')}"
        worst = [finding.title for finding in self.findings if finding.severity == severity][:_TITLES_IN_SUMMARY]
        others = [finding.severity for finding in self.findings[len(worst) :]]
        for level in SEVERITIES:
            if number := others.count(level):
                worst.append(plural(number, f"{'more ' if level == severity else ''}{_NOUNS[level]}"))
        return f"audit: {severity}: {'; '.join(worst)}"

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of this severity or a higher one."""
        return tuple(f for f in self.findings if SEVERITIES.index(f.severity) <= SEVERITIES.index(severity))

    def splits_table(self) -> pd.DataFrame:
        """Return a row for the sentences, the entities and the entities of each type, with a column per split."""
        columns = {name: [size.sentences, size.entities, *size.per_type.values()] for name, size in self.splits.items()}
        types = dict.fromkeys(label for size in self.splits.values() for label in size.per_type)
        rows = ["sentences", "entities", *(f"  {label}" for label in types)] if columns else []
        return pd.DataFrame({"number of": rows} | {str(name): values for name, values in columns.items()})

    def baselines_table(self) -> pd.DataFrame:
        """Return precision, recall and F1 (exact spans) of each baseline and split."""
        columns = ["baseline", "split", "precision", "recall", "span_f1"]
        rows = [
            (name, split_name, metrics.precision, metrics.recall, metrics.f1)
            for name, by_split in self.baselines.items()
            for split_name, metrics in by_split.items()
        ]
        return pd.DataFrame(rows, columns=columns)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        return {
            **asdict(self),
            "summary": self.summary,
            "severity": self.severity,
            "seen_entities": sorted(self.seen_entities),
        }


def ratio(numerator: float, denominator: float) -> float:
    """Return the quotient, 0.0 if the denominator is 0."""
    return numerator / denominator if denominator else 0.0


def percent(share: float) -> str:
    """Format a share, such as `12 %` or `0.4 %`; `0 %` and `100 %` are exact."""
    value = 100 * share
    if 0 < value < 10 or 99 < value < 100:
        return f"{min(max(value, 0.1), 99.9):.1f} %"
    return f"{value:.0f} %"


def severity_by_share(count: int, total: int, threshold: float = 0.01) -> Severity:
    """Return `warning` from the threshold on, else `info`."""
    return "warning" if ratio(count, total) >= threshold else "info"


def location(sentence: Sentence) -> str:
    """Return the file and line of a sentence, or its id."""
    return sentence.source or sentence.id


def span_example(sentence: Sentence, span: Span, note: str = "") -> Example:
    """Show a span between » and « with some context."""
    text, start, end = sentence.text, max(span.start, 0), max(span.end, 0)
    before, after = text[max(0, start - _CONTEXT) : start], text[end : end + _CONTEXT]
    shown = f"{'…' if start > _CONTEXT else ''}{before}"
    highlight = len(shown), len(shown) + len(text[start:end]) + 2
    shown += f"»{text[start:end]}«{after}"
    if end + _CONTEXT < len(text):
        shown += "…"
    return Example(location(sentence), f"{shown} {span.label}{f' ({note})' if note else ''}", highlight)


def first_examples(examples: Iterable[Example]) -> tuple[Example, ...]:
    """Return as many examples as a finding shows."""
    return tuple(islice(examples, MAX_EXAMPLES))


def span_examples(spans: Iterable[tuple[Sentence, Span]]) -> tuple[Example, ...]:
    """Show the first spans."""
    return first_examples(span_example(sentence, span) for sentence, span in spans)
