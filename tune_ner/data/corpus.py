"""The corpus: immutable sentences with typed character spans."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tune_ner.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")
SPLIT_ALIASES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "devel": "validation",
    "develop": "validation",
    "development": "validation",
    "eval": "validation",
    "testa": "validation",
    "testb": "test",
    "test": "test",
    "testing": "test",
}

_NAME_WORDS = tuple(map(re.compile, ("[A-Za-z]+", "[A-Z]+(?![a-z])|[A-Z]?[a-z]+", "[A-Z]+|[a-z]+")))
_NAME_ENDINGS = re.compile("(?<=[a-z])(set|data|split|file)$")

DISORDER, DRUG, BODY = "DISORDER", "DRUG", "BODY"
MEDICAL_TYPES = (DISORDER, DRUG, BODY)
"""Entity types of Swedish medical NER in the order of their class indices on the hub (0, 1, 2)."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """An entity: the half-open character range `[start, end)` in its sentence's text, and its type."""

    start: int
    end: int
    label: str

    def text_in(self, text: str) -> str:
        """Return the characters of `text` that the span covers."""
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class PredictedSpan(Span):
    """An entity that a model found: half-open character offsets `start` and `end`, and the type `label`.

    Attributes:
        score: mean, over the words of the span, of the probability of the label that the word was decoded to.
        text: the text of the entity.
    """

    score: float
    text: str

    @property
    def span(self) -> Span:
        """Return the span without its score, to compare it with gold."""
        return Span(self.start, self.end, self.label)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text with its gold spans.

    Attributes:
        source: its origin for messages (`file:line`).
        group: its document, or the value of `group_by` (a patient, for instance); empty if unknown.
    """

    id: str
    text: str
    spans: tuple[Span, ...] = ()
    source: str = ""
    group: str = ""


@dataclass(frozen=True, repr=False)
class Corpus:
    """Sentences, their entity types in label order, and the published splits, if any.

    The order of `entity_types` is the order of the labels, and so of the rows of a classification head.
    `splits` maps a published split (`train`, `validation`, `test`) to sentence indices; it is empty for an
    unsplit corpus. `notes` describe how the data was read and are shown with the results. `group_by` names what must
    not be divided between splits (`document`, or a key of the data); empty if sentences are split independently.
    `is_stripped`: bracket markup was removed from the texts.

    Raises:
        DataError: a span has a type that is not in `entity_types`.
    """

    name: str
    sentences: tuple[Sentence, ...]
    entity_types: tuple[str, ...]
    splits: Mapping[SplitName, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    group_by: str = ""
    is_stripped: bool = False

    def __post_init__(self) -> None:
        known = set(self.entity_types)
        for sentence in self.sentences:
            for span in sentence.spans:
                if span.label not in known:
                    raise DataError(
                        f"{sentence.source or sentence.id}: span {span} has the type {span.label!r}, "
                        f"expected one of {', '.join(self.entity_types)}"
                    )

    def __len__(self) -> int:
        return len(self.sentences)

    def __repr__(self) -> str:
        counts = ", ".join(f"{label}: {count}" for label, count in self.entity_counts().items())
        splits = ", ".join(f"{name}: {len(indices)}" for name, indices in self.splits.items()) or "none"
        return f"Corpus({self.name!r}, {len(self)} sentences, entities {{{counts}}}, splits {{{splits}}})"

    def entity_counts(self, indices: Iterable[int] | None = None) -> dict[str, int]:
        """Return the number of gold spans per type, in label order, in all sentences or in those at `indices`."""
        chosen = self.sentences if indices is None else [self.sentences[i] for i in indices]
        counts = Counter(span.label for sentence in chosen for span in sentence.spans)
        return {label: counts[label] for label in self.entity_types}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of types, texts, spans, published splits and groups that must not be divided; not of the origin."""
        # unlike repr(), ascii() does not depend on the Unicode version of this Python
        numbers: dict[str, int] = {}  # of groups: their names may depend on folders
        digest = hashlib.sha256(ascii((self.entity_types, sorted(self.splits.items()))).encode())
        for sentence in self.sentences:
            spans = tuple((span.start, span.end, span.label) for span in sentence.spans)
            digest.update(ascii((sentence.text, spans)).encode())
            if self.group_by:
                digest.update(ascii(numbers.setdefault(sentence.group, len(numbers))).encode())
        return digest.hexdigest()


def ordered_types(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct types in label order: the three medical types as on the hub, then the others sorted."""
    present = set(labels)
    medical = tuple(label for label in MEDICAL_TYPES if label in present)
    return medical + tuple(sorted(present - set(medical)))


def valid_spans(sentence: Sentence) -> list[Span]:
    """Return the spans that cover at least one character of their text."""
    return [span for span in sentence.spans if 0 <= span.start < span.end <= len(sentence.text)]


def split_from_name(name: str) -> SplitName | None:
    """Return the split that a word of a name denotes, if just one does.

    Words end at other characters than letters, at capitals and after capitals (`sv_dev.conll`, `eng.testa`,
    `CDR_TrainingSet`, `NCBItestset`).
    """
    words = {word.lower() for pattern in _NAME_WORDS for word in pattern.findall(name)}
    found = {SPLIT_ALIASES[word] for word in {_NAME_ENDINGS.sub("", word) for word in words} if word in SPLIT_ALIASES}
    return found.pop() if len(found) == 1 else None
