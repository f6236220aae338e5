"""Words → subwords and label ids, in one batched tokeniser call, with an account of what was cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from tune_ner.data.corpus import Sentence
from tune_ner.tagging.schemes import TaggingScheme
from tune_ner.tagging.spans import Problem, TaggedSentence, tag_sentence
from tune_ner.tagging.words import WordRule, split_words

Alignment = Literal["first", "all"]
ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)

IGNORED = -100
"""Label id of a subword that does not count in the loss, as torch's cross entropy and transformers have it."""


@dataclass(frozen=True)
class EncodingAccount:
    """What became of a part's words and entities: cut by `max_length`, off word boundaries, overwritten …"""

    sentences: int
    words: int
    words_cut: int
    subwords: int
    entities: int
    entities_cut: int
    problems: dict[Problem, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The account as plain numbers, for a record."""
        return asdict(self)


class Place(NamedTuple):
    """Where a word's prediction is read: a row of the part's windows, and the index of a subword in it."""

    row: int
    position: int


@dataclass(frozen=True)
class EncodedPart:
    """A part ready for training.

    `input_ids` and `label_ids` have a row for each window and run over its subwords, special ones included;
    without a stride, windows are sentences. `tagged` has each sentence's words and their tags, and `places`
    for each of these words where its prediction is read, or None for a word that was cut or that the
    tokenizer made nothing of.
    """

    input_ids: list[list[int]]
    label_ids: list[list[int]]
    tagged: list[TaggedSentence]
    places: list[list[Place | None]]
    account: EncodingAccount


def encode_part(
    sentences: Sequence[Sentence],
    tokenizer: Any,
    labels: Sequence[str],
    scheme: TaggingScheme,
    *,
    word_rule: WordRule = "whitespace",
    alignment: Alignment = "first",
    max_length: int = 256,
    stride: int = 0,
) -> EncodedPart:
    """Sentences as subword ids with label ids.

    Args:
        sentences: the part's sentences, in order.
        tokenizer: a fast tokenizer of transformers.
        labels: the label list; a label's index is its id.
        scheme: the scheme that the tags are written in.
        word_rule: how texts are cut into words.
        alignment: whether a word's `first` subword carries its label and the others are ignored, or `all` do.
        max_length: subwords, special ones included, after which a sentence is cut.
        stride: with 0, what is cut is lost; otherwise it goes on in further windows, each of which repeats
            this many subwords of the one before. A word has its label, and its prediction, in the window where
            it has most context on its poorer side, so that each word counts once.
    """
    ids = {label: index for index, label in enumerate(labels)}
    tagged = [tag_sentence(sentence, split_words(sentence.text, word_rule), scheme) for sentence in sentences]
    texts = [
        [sentence.text[start:end] for start, end in item.words]
        for sentence, item in zip(sentences, tagged, strict=True)
    ]
    windows = {"return_overflowing_tokens": True, "stride": stride} if stride else {}
    encoding = tokenizer(texts, is_split_into_words=True, truncation=True, max_length=max_length, **windows)
    input_ids: list[list[int]] = encoding["input_ids"]
    word_ids = [encoding.word_ids(row) for row in range(len(input_ids))]
    owners: Sequence[int] = encoding["overflow_to_sample_mapping"] if stride else range(len(input_ids))
    places: list[list[Place | None]] = [[None] * len(item.words) for item in tagged]
    for row, owner in enumerate(owners):
        for word, position in _first_positions(word_ids[row]).items():
            place = Place(row, position)
            kept = places[owner][word]
            if kept is None or _context(place, input_ids) > _context(kept, input_ids):
                places[owner][word] = place
    label_ids = [
        [
            IGNORED if word is None or not _carries(places[owner][word], row, at, alignment) else ids[tags[word]]
            for at, word in enumerate(word_ids[row])
        ]
        for row, owner in enumerate(owners)
        for tags in (tagged[owner].tags,)
    ]
    return EncodedPart(input_ids, label_ids, tagged, places, _account(tagged, places, input_ids))


def _carries(place: Place | None, row: int, position: int, alignment: Alignment) -> bool:
    """Whether the subword at `position` of window `row` carries the label of its word, which is read at `place`."""
    if place is None or place.row != row:
        return False
    return alignment == "all" or place.position == position


def _context(place: Place, input_ids: Sequence[Sequence[int]]) -> int:
    return min(place.position, len(input_ids[place.row]) - 1 - place.position)


def _first_positions(word_ids: Sequence[int | None]) -> dict[int, int]:
    first: dict[int, int] = {}
    for position, word in enumerate(word_ids):
        if word is not None:
            first.setdefault(word, position)
    return first


def _account(
    tagged: Sequence[TaggedSentence], places: Sequence[Sequence[Place | None]], input_ids: Sequence[Sequence[int]]
) -> EncodingAccount:
    cut = [{word for word, place in enumerate(row) if place is None} for row in places]
    entities_cut = sum(
        not missing.isdisjoint(range(first, after))
        for item, missing in zip(tagged, cut, strict=True)
        for first, after, _ in item.ranges
    )
    return EncodingAccount(
        sentences=len(tagged),
        words=sum(len(item.words) for item in tagged),
        words_cut=sum(len(missing) for missing in cut),
        subwords=sum(len(row) for row in input_ids),
        entities=sum(len(item.ranges) for item in tagged),
        entities_cut=entities_cut,
        problems=dict(Counter(problem for item in tagged for _, problem in item.problems)),
    )
