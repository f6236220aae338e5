"""Synthetic Swedish patient information, generated with exact annotation from the grammar in `grammar.yaml`.

The task is harder than a dictionary lookup:

- compounds and inflection keep producing forms that were not seen before;
- words with an everyday sense (`lever`, `slag`, `tablett`) occur in both senses;
- the type of `blåsa` and of the hormones depends on the context;
- drugs, and the generic words `medicinen` and `läkemedlet`, are entities where someone takes them or is treated
  with them, but not where they are goods that are sold, stored or described.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import Any

import yaml

from tune_ner.data.corpus import MEDICAL_TYPES, Corpus, Sentence, Span
from tune_ner.data.markup import MEDICAL_BRACKETS
from tune_ner.errors import DataError

_BRACKET = re.compile(r"([()\[\]{}])")
_FORMS = ("", "en", "ett", "def", "gen", "pl", "defpl")


@dataclass(frozen=True)
class Grammar:
    """The groups of sentence templates with their shares, and the alternatives of every slot by its name."""

    sentences: tuple[tuple[float, tuple[str, ...]], ...]
    slots: Mapping[str, tuple[str, ...]]


@cache
def load_grammar() -> Grammar:
    """Return the grammar in `grammar.yaml`, whose comments explain the notation."""
    content = yaml.safe_load(files(__package__).joinpath("grammar.yaml").read_text(encoding="utf-8"))
    slots = {
        name: tuple(_listed(value)) for section in ("phrases", "words") for name, value in content[section].items()
    }
    for name, entries in content["nouns"].items():
        nouns = [noun for entry in entries for noun in _nouns(entry)]
        for form in _FORMS:
            if words := tuple(noun[form] for noun in nouns if form in noun):
                slots[f"{name}.{form}" if form else name] = words
    return Grammar(tuple((group["share"], tuple(group["templates"])) for group in content["sentences"]), slots)


def synthetic_corpus(size: int = 1200, seed: int = 67) -> Corpus:
    """Generate Swedish sentences about disorders, drugs and the body.

    Equal sizes and seeds give equal corpora on every machine; a smaller corpus is the beginning of a larger one
    with the same seed.

    Raises:
        DataError: `size` is below 1.
    """
    if size < 1:
        raise DataError(f"synthetic corpus: found size {size}, expected a size of at least 1")
    random = Random(seed)
    grammar = load_grammar()
    bounds = tuple(accumulate(share for share, _ in grammar.sentences))
    sentences = []
    for index in range(size):
        point = random.random() * bounds[-1]
        group = next(
            templates for bound, (_, templates) in zip(bounds, grammar.sentences, strict=True) if point < bound
        )
        text, spans = _draw(group, grammar.slots, random)
        sentences.append(Sentence(f"synthetic_{index}", text, spans, f"synthetic:{index + 1}"))
    return Corpus(f"synthetic:{size}", tuple(sentences), MEDICAL_TYPES)


def _draw(
    templates: tuple[str, ...], slots: Mapping[str, tuple[str, ...]], random: Random
) -> tuple[str, tuple[Span, ...]]:
    """Return a sentence in which no entity occurs twice ("lungan och lungan")."""

    def choose(alternatives: tuple[str, ...]) -> str:
        # random() is the only method whose numbers are guaranteed to be the same in every version of Python
        return alternatives[int(random.random() * len(alternatives))]

    while True:
        marked = choose(templates)
        while "<" in marked:
            before, _, rest = marked.partition("<")
            slot, _, after = rest.partition(">")
            marked = before + choose(slots[slot]) + after
        text, spans = _read_marks(marked)
        if len({span.text_in(text) for span in spans}) == len(spans):
            return text[0].upper() + text[1:], spans


def _read_marks(marked: str) -> tuple[str, tuple[Span, ...]]:
    """Return the text without its brackets, and the spans that they enclosed."""
    spans = []
    text, *rest = _BRACKET.split(marked)
    for opening, inside, _, behind in zip(*(rest[i::4] for i in range(4)), strict=True):
        spans.append(Span(len(text), len(text) + len(inside), MEDICAL_BRACKETS[opening]))
        text += inside + behind
    return text, tuple(spans)


def _listed(value: str) -> Iterator[str]:
    return (item.strip() for item in value.split(","))


def _nouns(entry: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the forms of each noun or compound, by the name of the form."""
    for listing in _listed(entry.get("nouns") or entry["heads"]):
        article, base, *endings = listing.split()
        written = [base if end == "=" else base + end[1:] if end[0] == "-" else end for end in endings]
        for first in entry.get("first", "").split() or [""]:
            noun = {"": first + base, article: first + base}
            noun |= {name: first + form for name, form in zip(("def", "pl", "defpl"), written, strict=False)}
            if definite := noun.get("def"):
                noun["gen"] = definite if definite[-1] in "sxz" else f"{definite}s"
            yield noun
