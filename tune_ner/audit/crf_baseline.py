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
from typing import Any, Self

import numpy as np
import numpy.typing as npt

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
C1 = C2 = 0.01
"""Weights of the L1 and L2 penalties: the best of six pairs on four random divisions of the 1177 corpus without its
test split."""
_MOST_ITERATIONS = 100
_LONGEST_AFFIX = 4
_SURROGATE = re.compile("[\ud800-\udfff]")
_NEIGHBOURS = (-2, -1, 1, 2)


@dataclass(frozen=True)
class CrfBaseline:
    """A trained CRF.

    Attributes:
        tagger: CRFsuite's tagger.
        model: the content of its model file, which the tagger reads for as long as it lives.
        word_tokenizer: how texts are split into words.
        step: it learned from every `step`-th sentence.
    """

    tagger: Any
    model: bytes
    word_tokenizer: WordTokenizer
    step: int = 1

    def predict(self, text: str) -> tuple[Span, ...]:
        """Return the predicted spans of a text."""
        words = split_words(text, self.word_tokenizer)
        tags = self.tags(text, words)
        return tuple(Span(words[first][0], words[after - 1][1], label) for first, after, label in find_chunks(tags))

    def tags(self, text: str, words: Sequence[Word]) -> list[str]:
        """Return the most probable tags of the words of a text."""
        return list(self.tagger.tag(_features(text, words))) if words else []

    def tags_and_probabilities(
        self, text: str, words: Sequence[Word], labels: Sequence[str]
    ) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Return the most probable tags of the words of a text, and the probability of each label of each word.

        The probabilities have the shape (words, labels).
        """
        tags, found = self.tags(text, words), np.zeros((len(words), len(labels)))
        known = set(self.tagger.labels())
        for column, label in enumerate(labels):
            if label in known:  # the tagger still has the text
                found[:, column] = [self.tagger.marginal(label, place) for place in range(len(words))]
        return tags, found

    @classmethod
    def load(cls, model: bytes, word_tokenizer: WordTokenizer, step: int = 1) -> Self:
        """Return the CRF of a model file of CRFsuite.

        Raises:
            ValueError: it is not such a file.
        """
        import pycrfsuite

        tagger = pycrfsuite.Tagger()
        tagger.open_inmemory(model)
        return cls(tagger, model, word_tokenizer, step)


def learn_crf(
    train: Sequence[Sentence],
    entity_types: Sequence[str],
    word_tokenizer: WordTokenizer,
    overlaps: OverlapPolicy = "longest",
) -> CrfBaseline | None:
    """Train a CRF on the sentences of train, of many sentences on a part; None if they have no entity.

    Args:
        train: the sentences.
        entity_types: their types.
        word_tokenizer: how texts are split into words.
        overlaps: which of overlapping entities are labelled.
    """
    if not any(sentence.spans for sentence in train):
        return None
    scheme = SCHEMES["BIO"]
    labels = scheme.labels(entity_types)
    words, _, _ = split_texts([sentence.text for sentence in train], word_tokenizer)
    step = max(1, -(-len(words) * len(labels) // MOST_TAG_SCORES))
    if step > 1:
        train = train[::step]
        words, _, _ = split_texts([sentence.text for sentence in train], word_tokenizer)
    ids = label_words(train, words, scheme, labels, overlaps).label_ids
    return CrfBaseline.load(train_crf([sentence.text for sentence in train], words, ids, labels), word_tokenizer, step)


def train_crf(
    texts: Sequence[str],
    words: Words,
    label_ids: npt.NDArray[Any],
    labels: Sequence[str],
    c1: float = C1,
    c2: float = C2,
) -> bytes:
    """Train a CRF, and return the model as a file of CRFsuite.

    Args:
        texts: the sentences.
        words: their words.
        label_ids: the label of each word, shape (words,).
        labels: the label list.
        c1, c2: weights of the L1 and L2 penalties.
    """
    import pycrfsuite

    settings = {"c1": c1, "c2": c2, "max_iterations": _MOST_ITERATIONS, "feature.possible_transitions": True}
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", params=settings, verbose=False)
    for index, text in enumerate(texts):
        first, after = words.firsts[index : index + 2]
        if after > first:
            trainer.append(_features(text, words.of(index)), [labels[label] for label in label_ids[first:after]])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "crf"
        trainer.train(str(file))
        return file.read_bytes()


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
