"""CRF baseline: a linear-chain conditional random field over words, the usual tagger before pretrained encoders.

The model is that of Lafferty, McCallum and Pereira (2001), trained by CRFsuite (Okazaki 2007) in seconds. Features are
the word, its affixes and shape, and the words around it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.tag_parsing import find_chunks
from tune_ner.tagging.alignment import label_words
from tune_ner.tagging.decoding import Transitions, ViterbiDecoder
from tune_ner.tagging.overlaps import OverlapPolicy
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import Word, Words, WordTokenizer, split_texts, split_words

Scores = npt.NDArray[np.float64]

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
        labels: the labels that it learned.
        features: the number of each feature, by its name.
        weights: how much each feature adds to the score of each label, shape (features, labels).
        transitions: scores of the transitions.
        word_tokenizer: how texts are split into words.
        step: it learned from every `step`-th sentence.
    """

    labels: tuple[str, ...]
    features: Mapping[str, int]
    weights: Scores
    transitions: Transitions
    word_tokenizer: WordTokenizer
    step: int = 1

    @cached_property
    def decoder(self) -> ViterbiDecoder:
        """Decodes `scores`; as in CRFsuite, any label may follow any other."""
        return ViterbiDecoder(None, self.labels, self.transitions)

    def predict(self, text: str) -> tuple[Span, ...]:
        """Return the predicted spans of a text."""
        words = split_words(text, self.word_tokenizer)
        tags = [self.labels[label] for label in self.decoder(self.scores(text, words))]
        return tuple(Span(words[first][0], words[after - 1][1], label) for first, after, label in find_chunks(tags))

    def scores(self, text: str, words: Sequence[Word]) -> Scores:
        """Return the score of each label of each word of a text, shape (words, labels)."""
        found = [
            (place, self.features[name])
            for place, names in enumerate(word_features(text, words))
            for name in names
            if name in self.features
        ]
        scores = np.zeros((len(words), len(self.labels)))
        if found:
            places, rows = np.array(found).T
            np.add.at(scores, places, self.weights[rows])
        return scores


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
    return replace(train_crf([sentence.text for sentence in train], words, ids, labels, word_tokenizer), step=step)


def train_crf(
    texts: Sequence[str],
    words: Words,
    label_ids: npt.NDArray[Any],
    labels: Sequence[str],
    word_tokenizer: WordTokenizer,
    c1: float = C1,
    c2: float = C2,
) -> CrfBaseline:
    """Train a CRF.

    Args:
        texts: the sentences.
        words: their words.
        label_ids: the label of each word, shape (words,).
        labels: the label list.
        word_tokenizer: how the texts were split into words.
        c1, c2: weights of the L1 and L2 penalties.
    """
    import pycrfsuite

    settings = {"c1": c1, "c2": c2, "max_iterations": _MOST_ITERATIONS, "feature.possible_transitions": True}
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", params=settings, verbose=False)
    numbers: dict[str, int] = {}
    for index, text in enumerate(texts):
        first, after = words.firsts[index : index + 2]
        if after > first:
            # CRFsuite gets numbers as names, because it prints names as they are
            rows = [
                [str(numbers.setdefault(name, len(numbers))) for name in names]
                for names in word_features(text, words.of(index))
            ]
            trainer.append(rows, [str(label) for label in label_ids[first:after]])
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "crf")
        trainer.train(file)
        tagger = pycrfsuite.Tagger()
        tagger.open(file)
        info = tagger.info()
        tagger.close()
    return _learned(info, tuple(numbers), labels, word_tokenizer)


def _learned(info: Any, names: Sequence[str], labels: Sequence[str], word_tokenizer: WordTokenizer) -> CrfBaseline:
    """Return the CRF whose weights CRFsuite lists by the numbers of features and labels."""
    columns = {label: column for column, label in enumerate(sorted(info.labels, key=int))}
    rows = {number: row for row, number in enumerate(dict.fromkeys(number for number, _ in info.state_features))}
    weights, transitions = np.zeros((len(rows), len(columns))), np.zeros((len(columns), len(columns)))
    for (number, label), weight in info.state_features.items():
        weights[rows[number], columns[label]] = weight
    for (before, after), weight in info.transitions.items():
        transitions[columns[before], columns[after]] = weight
    zeros = (0.0,) * len(columns)
    return CrfBaseline(
        labels=tuple(labels[int(label)] for label in columns),
        features={names[int(number)]: row for number, row in rows.items()},
        weights=weights,
        transitions=Transitions(transitions=tuple(map(tuple, transitions.tolist())), starts=zeros, ends=zeros),
        word_tokenizer=word_tokenizer,
    )


def word_features(text: str, words: Sequence[Word]) -> list[list[str]]:
    """Return the names of the features of each word of a text: its own, and its neighbours' form and shape."""
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
