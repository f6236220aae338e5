"""The corpus: sentences with typed character spans, frozen from the moment they are loaded."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tune_ner.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")

DISORDER, DRUG, BODY = "DISORDER", "DRUG", "BODY"
MEDICAL_TYPES = (DISORDER, DRUG, BODY)
"""The entity types of Swedish medical NER in the order of their class index on the hub (0, 1, 2)."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """An entity: the half-open range `[start, end)` of characters of its sentence's text, and its type."""

    start: int
    end: int
    label: str

    def text_in(self, text: str) -> str:
        """The characters of `text` that the span covers."""
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One text with its gold spans; `source` says where it came from (`file:line`), for messages."""

    id: str
    text: str
    spans: tuple[Span, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Corpus:
    """Sentences, the entity types in label order, and where given the parts they were published in.

    `types` fixes the order of the labels and so the rows of a classification head. `parts` maps a
    published part (`train`, `validation`, `test`) to sentence indices; it is empty for an unsplit
    corpus. `notes` are things a reader of the results should know about how the data was read.
    """

    name: str
    sentences: tuple[Sentence, ...]
    types: tuple[str, ...]
    parts: Mapping[SplitName, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = set(self.types)
        for sentence in self.sentences:
            for span in sentence.spans:
                if span.label not in known:
                    raise DataError(
                        f"{sentence.source or sentence.id}: span {span} has the type {span.label!r}, "
                        f"expected one of {', '.join(self.types)}"
                    )

    def __len__(self) -> int:
        return len(self.sentences)

    def entity_counts(self, indices: Iterable[int] | None = None) -> dict[str, int]:
        """Number of gold spans per type, in label order, over all sentences or those given."""
        chosen = self.sentences if indices is None else [self.sentences[i] for i in indices]
        counts = Counter(span.label for sentence in chosen for span in sentence.spans)
        return {label: counts[label] for label in self.types}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over types, texts, spans and published parts: equal for equal data wherever it was read."""
        # ascii(), unlike repr(), writes a character alike whatever Unicode version Python knows
        digest = hashlib.sha256(ascii((self.types, sorted(self.parts.items()))).encode())
        for sentence in self.sentences:
            spans = tuple((span.start, span.end, span.label) for span in sentence.spans)
            digest.update(ascii((sentence.text, spans)).encode())
        return digest.hexdigest()


def ordered_types(labels: Iterable[str]) -> tuple[str, ...]:
    """Types in label order: the medical three as on the hub, any others sorted after them."""
    present = set(labels)
    medical = tuple(label for label in MEDICAL_TYPES if label in present)
    return medical + tuple(sorted(present - set(medical)))


def valid_spans(sentence: Sentence) -> list[Span]:
    """The spans that cover at least one character of their text."""
    return [span for span in sentence.spans if 0 <= span.start < span.end <= len(sentence.text)]
