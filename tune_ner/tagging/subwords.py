"""Words → subwords and label ids, in one batched tokeniser call, with an account of what was cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

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


@dataclass(frozen=True)
class EncodedPart:
    """A part ready for training; every list runs over its sentences.

    `input_ids` and `label_ids` run over a sentence's subwords (special ones included), `tagged` has its
    words and their tags. `word_positions` has for each word the index of its first subword, where its
    prediction is read, or -1 for a word that was cut or that the tokenizer made nothing of.
    """

    input_ids: list[list[int]]
    label_ids: list[list[int]]
    word_positions: list[list[int]]
    tagged: list[TaggedSentence]
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
    """
    ids = {label: index for index, label in enumerate(labels)}
    tagged = [tag_sentence(sentence, split_words(sentence.text, word_rule), scheme) for sentence in sentences]
    texts = [
        [sentence.text[start:end] for start, end in item.words]
        for sentence, item in zip(sentences, tagged, strict=True)
    ]
    encoding = tokenizer(texts, is_split_into_words=True, truncation=True, max_length=max_length)
    input_ids: list[list[int]] = encoding["input_ids"]
    label_ids: list[list[int]] = []
    positions: list[list[int]] = []
    for index, item in enumerate(tagged):
        word_ids = encoding.word_ids(index)
        first = _first_positions(word_ids)
        carries = set(first.values())
        label_ids.append(
            [
                ids[item.tags[word]] if word is not None and (alignment == "all" or at in carries) else IGNORED
                for at, word in enumerate(word_ids)
            ]
        )
        positions.append([first.get(word, -1) for word in range(len(item.words))])
    account = _account(tagged, positions, input_ids)
    return EncodedPart(input_ids, label_ids, positions, tagged, account)


def _first_positions(word_ids: Sequence[int | None]) -> dict[int, int]:
    first: dict[int, int] = {}
    for position, word in enumerate(word_ids):
        if word is not None:
            first.setdefault(word, position)
    return first


def _account(
    tagged: Sequence[TaggedSentence], positions: Sequence[Sequence[int]], input_ids: Sequence[Sequence[int]]
) -> EncodingAccount:
    cut = [{word for word, at in enumerate(row) if at < 0} for row in positions]
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
