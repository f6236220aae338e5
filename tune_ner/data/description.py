"""Tables that describe a corpus: its splits, its entity types, the scripts of its texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

import pandas as pd
import regex

from tune_ner.data.corpus import Corpus, Sentence

_SCRIPTS = (
    *("Latin", "Cyrillic", "Greek", "Han", "Hiragana", "Katakana", "Hangul", "Arabic", "Hebrew", "Devanagari"),
    *("Bengali", "Tamil", "Telugu", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Georgian", "Armenian", "Ethiopic"),
)
_LEAST_SHARE = 0.01
_MOST_FORMS = 3
_FORM_LENGTH = 30


def describe_splits(corpus: Corpus) -> pd.DataFrame:
    """Return one row per published split, or one for all sentences: numbers, entities and lengths in characters."""
    parts = {str(name): [corpus.sentences[i] for i in rows] for name, rows in corpus.splits.items()}
    return pd.DataFrame(
        [
            {
                "split": name,
                "sentences": len(sentences),
                "with entities": sum(bool(sentence.spans) for sentence in sentences),
                "entities": sum(len(sentence.spans) for sentence in sentences),
                "median length": round(median(len(sentence.text) for sentence in sentences)),
                "longest": max(len(sentence.text) for sentence in sentences),
            }
            for name, sentences in (parts or {"all": list(corpus.sentences)}).items()
        ]
    )


def describe_types(corpus: Corpus) -> pd.DataFrame:
    """Return one row per entity type: entities in all and in each split, distinct forms, the most frequent ones."""
    forms: dict[str, Counter[str]] = {label: Counter() for label in corpus.entity_types}
    for sentence in corpus.sentences:
        for span in sentence.spans:
            forms[span.label][span.text_in(sentence.text)] += 1
    by_split = {str(name): corpus.entity_counts(rows) for name, rows in corpus.splits.items()}
    return pd.DataFrame(
        [
            {
                "type": label,
                "entities": counts.total(),
                **{name: found[label] for name, found in by_split.items()},
                "forms": len(counts),
                "most frequent": ", ".join(
                    f"{form[:_FORM_LENGTH]} ({count:,})" for form, count in counts.most_common(_MOST_FORMS)
                ),
            }
            for label, counts in forms.items()
        ]
    )


def scripts(texts: Iterable[str]) -> dict[str, float]:
    """Return the share of each script among the letters of the texts, largest first; rare ones are left out."""
    counts: Counter[str] = Counter()
    for character, count in Counter(character for text in texts for character in text).items():
        if character.isalpha():
            found = (name for name in _SCRIPTS if regex.fullmatch(rf"\p{{{name}}}", character))
            counts[next(found, "other")] += count
    letters = max(1, counts.total())
    return {name: count / letters for name, count in counts.most_common() if count / letters >= _LEAST_SHARE}


def matching(
    corpus: Corpus, split: str | None = None, types: Sequence[str] = (), text: str | None = None
) -> list[Sentence]:
    """Return the sentences of a split that have an entity of one of the types and contain the text, as far as given."""
    sentences = [corpus.sentences[i] for i in corpus.splits[split]] if split else corpus.sentences  # type: ignore[index]
    return [
        sentence
        for sentence in sentences
        if (not types or any(span.label in types for span in sentence.spans))
        and (text is None or text.casefold() in sentence.text.casefold())
    ]
