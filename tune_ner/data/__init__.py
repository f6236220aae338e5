"""From a source to a corpus, and from a corpus to its train, validation and test parts."""

from tune_ner.data.corpus import MEDICAL_TYPES, PARTS, Corpus, Part, Sentence, Span
from tune_ner.data.markup import MarkupMode, strip_markup
from tune_ner.data.sources import load_corpus
from tune_ner.data.split import Split, SplitMethod, SplitSpec, split_corpus

__all__ = [
    "MEDICAL_TYPES",
    "PARTS",
    "Corpus",
    "MarkupMode",
    "Part",
    "Sentence",
    "Span",
    "Split",
    "SplitMethod",
    "SplitSpec",
    "load_corpus",
    "split_corpus",
    "strip_markup",
]
