"""What an audit says: findings with their evidence, and the report that gathers them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from tune_ner.data.corpus import Sentence, Span, SplitName
from tune_ner.evaluation.span_metrics import SpanMetrics

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Worst first: the scores cannot be believed, they are off by what the finding says, good to know."""

MAX_EXAMPLES = 5
_CONTEXT = 30
_TITLES_IN_VERDICT = 2


@dataclass(frozen=True)
class Example:
    """A piece of the corpus that shows a finding; `place` is its file and line."""

    place: str
    text: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    `count` of `of` things are concerned; `effect` says what that does to the scores, `remedy` what to do,
    by command or option where there is one. `figures` are the numbers behind the sentences.
    """

    kind: str
    severity: Severity
    title: str
    count: int
    of: int
    effect: str
    remedy: str
    examples: tuple[Example, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """`count / of`, 0.0 of nothing."""
        return ratio(self.count, self.of)

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain values for JSON."""
        return {**asdict(self), "examples": [asdict(example) for example in self.examples]}


@dataclass(frozen=True)
class PartSize:
    """Sentences and entities of a part, and the entities of each type in label order."""

    sentences: int
    entities: int
    per_type: dict[str, int]


@dataclass(frozen=True)
class AuditReport:
    """All that an audit found.

    `baselines` holds the scores of rules without a model, by name and part. `contaminated` holds, for each
    level of likeness (`exact`, `normalised`, `near`), the indices into the corpus of the test sentences that
    also stand in train. `entity_forms` are the surface forms that are entities in train. `findings` come worst first.
    """

    corpus: str
    data_fingerprint: str
    word_tokenizer: str
    parts: dict[SplitName, PartSize]
    baselines: dict[str, dict[SplitName, SpanMetrics]]
    contaminated: dict[str, tuple[int, ...]]
    entity_forms: frozenset[str]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding; None without any."""
        return min((finding.severity for finding in self.findings), key=SEVERITIES.index, default=None)

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of that severity or a worse one."""
        return tuple(f for f in self.findings if SEVERITIES.index(f.severity) <= SEVERITIES.index(severity))

    @property
    def verdict(self) -> str:
        """One line for a terminal: the worst severity, the first findings of it, and how many more there are."""
        worst = self.worst
        if worst is None or worst == "info":
            return f"audit: nothing found that the scores would suffer from; {_counted(len(self.findings), 'note')}"
        told = [finding for finding in self.findings if finding.severity == worst][:_TITLES_IN_VERDICT]
        rest = [finding.severity for finding in self.findings[len(told) :]]
        pieces = [finding.title for finding in told]
        pieces += [_counted(rest.count(s), _NAMES[s], more=s == worst) for s in SEVERITIES if rest.count(s)]
        return f"audit: {worst}: {'; '.join(pieces)}"

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON."""
        return {
            "corpus": self.corpus,
            "data_fingerprint": self.data_fingerprint,
            "word_tokenizer": self.word_tokenizer,
            "verdict": self.verdict,
            "worst": self.worst,
            "parts": {split_name: asdict(size) for split_name, size in self.parts.items()},
            "baselines": {
                name: {split_name: asdict(scores) for split_name, scores in by_part.items()}
                for name, by_part in self.baselines.items()
            },
            "contaminated": {level: list(indices) for level, indices in self.contaminated.items()},
            "entity_forms": sorted(self.entity_forms),
            "findings": [finding.as_dict() for finding in self.findings],
            "notes": list(self.notes),
        }


def worst_first(findings: list[Finding]) -> tuple[Finding, ...]:
    """The findings by severity, otherwise in the order given."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def ratio(split_name: float, whole: float) -> float:
    """`part / whole`, 0.0 of nothing."""
    return split_name / whole if whole else 0.0


def percent(share: float) -> str:
    """A share in words: `12 %`, `0.4 %`, never a 0 % or 100 % that is none."""
    value = 100 * share
    if 0 < value < 10 or 99 < value < 100:
        return f"{min(max(value, 0.1), 99.9):.1f} %"
    return f"{value:.0f} %"


def span_example(sentence: Sentence, span: Span, note: str = "") -> Example:
    """The span between » and « with some characters of its text on either side."""
    text, start, end = sentence.text, max(span.start, 0), max(span.end, 0)
    before, after = text[max(0, start - _CONTEXT) : start], text[end : end + _CONTEXT]
    shown = f"{'…' if start > _CONTEXT else ''}{before}»{text[start:end]}«{after}"
    if end + _CONTEXT < len(text):
        shown += "…"
    return Example(place(sentence), f"{shown} {span.label}{f' ({note})' if note else ''}")


def place(sentence: Sentence) -> str:
    """File and line where they are known, else the sentence's name."""
    return sentence.source or sentence.id


def first_examples(examples: list[Example]) -> tuple[Example, ...]:
    """As many examples as a finding shows."""
    return tuple(examples[:MAX_EXAMPLES])


def remedy_command(data_option: str, options: str) -> str:
    """The command that reads the same data with other options."""
    data = f"--data {data_option} " if data_option else ""
    return f"`{data}{options}`"


def _counted(number: int, what: str, *, more: bool = False) -> str:
    return f"{number} {'more ' if more else ''}{what}{'' if number == 1 else 's'}"


_NAMES: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
