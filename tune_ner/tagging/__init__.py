"""Words, tagging schemes, and the way from spans to labelled subwords and back."""

from tune_ner.tagging.schemes import SCHEMES, TaggingScheme
from tune_ner.tagging.spans import TaggedSentence, tag_sentence, tags_to_spans
from tune_ner.tagging.subwords import (
    EncodedPart,
    EncodingAccount,
    Subwords,
    encode_part,
    label_part,
    tokenize_part,
)
from tune_ner.tagging.words import split_words

__all__ = [
    "SCHEMES",
    "EncodedPart",
    "EncodingAccount",
    "Subwords",
    "TaggedSentence",
    "TaggingScheme",
    "encode_part",
    "label_part",
    "split_words",
    "tag_sentence",
    "tags_to_spans",
    "tokenize_part",
]
