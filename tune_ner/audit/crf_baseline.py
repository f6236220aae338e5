"""CRF baseline: a linear-chain conditional random field over words, the usual tagger before pretrained encoders.

The model is that of Lafferty, McCallum and Pereira (2001), trained by CRFsuite (Okazaki 2007) in seconds. Features are
the word, its affixes and shape, and the words around it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.tag_parsing import find_chunks
from tune_ner.tagging.alignment import label_words
from tune_ner.tagging.overlaps import OverlapPolicy
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import Word, Words, WordTokenizer, split_texts, split_words

MOST_TAG_SCORES = 1_000_000
"""Words of train times labels, to which the time of training is proportional: about seven seconds. Of a larger corpus,
every nth sentence is taken."""
MOST_WORDS = 500_000
"""Words of validation and test; of a larger corpus, no CRF is evaluated."""
_SCHEME = SCHEMES["BIO"]
_PARAMETERS = {"c1": 0.01, "c2": 0.01, "max_iterations": 100, "feature.possible_transitions": True}
"""Weights of the L1 and L2 penalties, and limit of L-BFGS iterations. The weights are the best of six pairs on four
random divisions of the 1177 corpus without its test split."""
_LONGEST_AFFIX = 4
_SURROGATE = re.compile("[\ud800-\udfff]")
_NEIGHBOURS = (-2, -1, 1, 2)


@dataclass(frozen=True)
class CrfBaseline:
    """A trained CRF.

    Attributes:
        tagger: CRFsuite's tagger.
        word_tokenizer: how texts are split into words.
        step: it learned from every `step`-th sentence.
    """

    tagger: Any
    word_tokenizer: WordTokenizer
    step: int

    def predict(self, text: str) -> tuple[Span, ...]:
        """Return the predicted spans of a text."""
        words = split_words(text, self.word_tokenizer)
        if not words:
            return ()
        tags = self.tagger.tag(_features(text, words))
        return tuple(Span(words[first][0], words[after - 1][1], label) for first, after, label in find_chunks(tags))


def learn_crf(
    train: Sequence[Sentence],
    entity_types: Sequence[str],
    word_tokenizer: WordTokenizer,
    overlaps: OverlapPolicy = "longest",
) -> CrfBaseline | None:
    """Train a CRF on the sentences of train; None if they have no entity.

    Args:
        train: the sentences.
        entity_types: their types.
        word_tokenizer: how texts are split into words.
        overlaps: which of overlapping entities are labelled.
    """
    import pycrfsuite

    if not any(sentence.spans for sentence in train):
        return None
    words, _, _ = split_texts([sentence.text for sentence in train], word_tokenizer)
    step = max(1, -(-len(words) * len(_SCHEME.labels(entity_types)) // MOST_TAG_SCORES))
    if step > 1:
        train = train[::step]
        words, _, _ = split_texts([sentence.text for sentence in train], word_tokenizer)
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", params=_PARAMETERS, verbose=False)
    for sentence, tags in zip(train, _tags(train, words, entity_types, overlaps), strict=True):
        if tags:
            trainer.append(_features(sentence.text, split_words(sentence.text, word_tokenizer)), tags)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "crf"
        trainer.train(str(file))
        tagger = pycrfsuite.Tagger()
        tagger.open(str(file))
    return CrfBaseline(tagger, word_tokenizer, step)


def _tags(
    sentences: Sequence[Sentence], words: Words, entity_types: Sequence[str], overlaps: OverlapPolicy
) -> list[list[str]]:
    labels = _SCHEME.labels(entity_types)
    ids = label_words(sentences, words, _SCHEME, labels, overlaps).label_ids.tolist()
    return [[labels[label] for label in ids[a:b]] for a, b in zip(words.firsts[:-1], words.firsts[1:], strict=True)]


def _features(text: str, words: Sequence[Word]) -> list[list[str]]:
    """Return the features of each word of a text: its own, and its neighbours' form and shape."""
    text = _SURROGATE.sub("\ufffd", text)  # half a character cannot be encoded
    forms = [text[start:end] for start, end in words]
    rows = [list(_of_word(form)) for form in forms]
    for place, row in enumerate(rows):
        for distance in _NEIGHBOURS:
            other = place + distance
            if 0 <= other < len(forms):
                row += _of_neighbour(forms[other], distance)
            elif abs(distance) == 1:
                row.append("start" if distance < 0 else "end")
    return rows


@lru_cache(maxsize=50_000)
def _of_word(form: str) -> tuple[str, ...]:
    lower = form.lower()
    ends = range(1, min(_LONGEST_AFFIX, len(lower)) + 1)
    affixes = [f"{side}={part}" for n in ends for side, part in (("prefix", lower[:n]), ("suffix", lower[-n:]))]
    return "bias", f"word={lower}", f"shape={_shape(form)}", *affixes


@lru_cache(maxsize=200_000)
def _of_neighbour(form: str, distance: int) -> tuple[str, ...]:
    return f"{distance}:word={form.lower()}", f"{distance}:shape={_shape(form)}"


@lru_cache(maxsize=50_000)
def _shape(form: str) -> str:
    """Return a word with `A` and `a` for its letters and `0` for digits, each at most twice in a row."""
    shape = "".join("A" if c.isupper() else "a" if c.isalpha() else "0" if c.isdigit() else c for c in form)
    return re.sub(r"(.)\1{2,}", r"\1\1", shape)
