"""Words → subwords and label ids, all sentences of a part at once, with an account of what was cut.

A tokenizer of Hugging Face's `tokenizers` that is handed words makes the subwords of each word by itself; what
stands beside it changes nothing, and special subwords come around the whole. So every distinct word is tokenized once,
however often it occurs, and windows are laid out as `tokenizers` truncates: the first `max_length` subwords, or
with a stride, windows each of which repeats the end of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tune_ner.data.corpus import Sentence
from tune_ner.tagging.schemes import TaggingScheme
from tune_ner.tagging.spans import Problem, TaggedWords, ragged, tag_words
from tune_ner.tagging.tokenization import Ints, Words, WordTokenizer, split_texts

SubwordLabels = Literal["first", "all"]
ALIGNMENTS: tuple[SubwordLabels, ...] = get_args(SubwordLabels)

IGNORED = -100
"""Label id of a subword that does not count in the loss, as torch's cross entropy and transformers have it."""

_NO_WORD = -1
_AT_ONCE = 50_000


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
class Subwords:
    """The sentences of a part as a tokenizer has them, the same for all tagging schemes.

    Windows lie end to end; without a stride they are the sentences. `ids` and `words` have for each subword, special
    ones included, its id and the number of its word in the part, -1 for a special one; shape (subwords,). Window `i`
    reaches from `windows[i]` up to `windows[i + 1]`; shape (windows + 1,). `read_at` has for each word the subword
    at which its prediction is read, -1 for one that was cut or that the tokenizer makes nothing of; shape (words,).
    """

    ids: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    windows: Ints
    read_at: Ints
    split: Words

    @property
    def lengths(self) -> Ints:
        """Subwords of each window, shape (windows,)."""
        return np.diff(self.windows)

    @property
    def window_of(self) -> Ints:
        """The window of each subword, shape (subwords,)."""
        return np.repeat(np.arange(len(self.windows) - 1), self.lengths)

    @classmethod
    def joined(cls, parts: Sequence[Subwords]) -> Subwords:
        """The windows of some sentences, and behind them those of others."""
        subwords = np.cumsum([0, *(len(split_name.ids) for split_name in parts)])
        words = np.cumsum([0, *(len(split_name.split) for split_name in parts)])

        def moved(values: Ints, by: Any) -> Ints:
            return np.where(values == _NO_WORD, values, values + by).astype(values.dtype)

        of_words = [moved(split_name.words, by) for split_name, by in zip(parts, words, strict=False)]
        read_at = [moved(split_name.read_at, by) for split_name, by in zip(parts, subwords, strict=False)]
        windows = [split_name.windows[:-1] + by for split_name, by in zip(parts, subwords, strict=False)]
        return cls(
            np.concatenate([split_name.ids for split_name in parts]),
            np.concatenate(of_words),
            np.concatenate([*windows, subwords[-1:]]),
            np.concatenate(read_at),
            Words.joined([split_name.split for split_name in parts]),
        )


@dataclass(frozen=True)
class EncodedSplit:
    """A part ready for training: its subwords with the label id of each, shape (subwords,).

    `tagged` has the label ids of its words, those that were cut included.
    """

    subwords: Subwords
    label_ids: npt.NDArray[np.int16]
    tagged: TaggedWords
    account: EncodingAccount


def encode_part(
    sentences: Sequence[Sentence],
    tokenizer: Any,
    labels: Sequence[str],
    scheme: TaggingScheme,
    *,
    word_tokenizer: WordTokenizer = "whitespace",
    subword_labels: SubwordLabels = "first",
    max_length: int = 256,
    stride: int = 0,
) -> EncodedSplit:
    """Sentences as subword ids with label ids: `tokenize_part`, then `label_part`."""
    subwords = tokenize_sentences(
        sentences, tokenizer, word_tokenizer=word_tokenizer, max_length=max_length, stride=stride
    )
    return label_sentences(sentences, subwords, labels, scheme, subword_labels)


def tokenize_sentences(
    sentences: Sequence[Sentence],
    tokenizer: Any,
    *,
    word_tokenizer: WordTokenizer = "whitespace",
    max_length: int = 256,
    stride: int = 0,
) -> Subwords:
    """The subwords of a part.

    Args:
        sentences: the part's sentences, in order.
        tokenizer: a fast tokenizer of transformers.
        word_rule: how texts are cut into words.
        max_length: subwords, special ones included, after which a sentence is cut.
        stride: with 0, what is cut is lost; otherwise it goes on in further windows, each of which repeats
            this many subwords of the one before. A word is read in the window where it has most context on its
            poorer side.
    """
    texts = [sentence.text for sentence in sentences]
    # in pieces, so that what lies beside the result on the way does not grow with the corpus
    return Subwords.joined(
        [
            _tokenized(texts[first : first + _AT_ONCE], tokenizer, word_tokenizer, max_length, stride)
            for first in range(0, max(1, len(texts)), _AT_ONCE)
        ]
    )


def label_sentences(
    sentences: Sequence[Sentence],
    subwords: Subwords,
    labels: Sequence[str],
    scheme: TaggingScheme,
    subword_labels: SubwordLabels = "first",
) -> EncodedSplit:
    """The labels of a part's subwords.

    A word has its label in the window where it is read, so that with overlapping windows each word counts once.

    Args:
        sentences: the part's sentences, in order.
        subwords: those of the same sentences.
        labels: the label list; a label's index is its id.
        scheme: the scheme that the tags are written in.
        alignment: whether a word's `first` subword carries its label and the others are ignored, or `all` do.
    """
    tagged = tag_words(sentences, subwords.split, scheme, labels)
    label_ids = np.full(len(subwords.ids), IGNORED, dtype=np.int16)
    kept = subwords.read_at != _NO_WORD
    label_ids[subwords.read_at[kept]] = tagged.label_ids[kept]
    if subword_labels == "all":
        of_word = np.flatnonzero(subwords.words != _NO_WORD)
        word, window = subwords.words[of_word], subwords.window_of
        carries = window[of_word] == window[subwords.read_at[word]]
        label_ids[of_word[carries]] = tagged.label_ids[word[carries]]
    cut_before = np.append(0, np.cumsum(~kept))
    account = EncodingAccount(
        sentences=len(sentences),
        words=len(kept),
        words_cut=int(cut_before[-1]),
        subwords=len(subwords.ids),
        entities=len(tagged.firsts),
        entities_cut=int((cut_before[tagged.afters] > cut_before[tagged.firsts]).sum()),
        problems=tagged.problems,
    )
    return EncodedSplit(subwords, label_ids, tagged, account)


def _tokenized(texts: Sequence[str], tokenizer: Any, rule: WordTokenizer, max_length: int, stride: int) -> Subwords:
    split, forms, form = split_texts(texts, rule)
    pieces, piece_starts, before, behind = _pieces(forms, tokenizer)
    # the subwords of all words end to end, without special ones
    sizes = np.diff(piece_starts)[form]
    ids, words = pieces[ragged(piece_starts[form], sizes)], np.repeat(np.arange(len(form), dtype=np.int32), sizes)
    sentence_starts = np.append(0, np.cumsum(sizes))[split.firsts]
    # the windows over them
    room = max(0, max_length - len(before) - len(behind))
    owners, starts, lengths = _cut(np.diff(sentence_starts), room, stride)
    windows = np.append(0, np.cumsum(lengths + len(before) + len(behind)))
    taken = ragged(sentence_starts[owners] + starts, lengths)
    at = ragged(windows[:-1] + len(before), lengths)
    found = np.full(windows[-1], _NO_WORD, dtype=np.int32), np.full(windows[-1], _NO_WORD, dtype=np.int32)
    found[0][at], found[1][at] = ids[taken], words[taken]
    for place, piece in enumerate(before):
        found[0][windows[:-1] + place] = piece
    for place, piece in enumerate(behind):
        found[0][windows[1:] - len(behind) + place] = piece
    return Subwords(*found, windows, _read_at(found[1], windows, len(split)), split)


def _pieces(forms: list[str], tokenizer: Any) -> tuple[Ints, Ints, list[int], list[int]]:
    """The subword ids of words end to end, where each word's begin, and the special ids before and behind a text."""
    options = {"is_split_into_words": True, "return_attention_mask": False}
    rows = tokenizer([[form] for form in forms], add_special_tokens=False, **options)["input_ids"] if forms else []
    sizes = np.fromiter(map(len, rows), np.int64, len(rows))
    flat = np.fromiter((piece for row in rows for piece in row), np.int32, int(sizes.sum()))
    said = next((form for form, row in zip(forms, rows, strict=True) if row), None)
    encoding = tokenizer([[said] if said else []], **options)
    (ids,), is_special = encoding["input_ids"], [word is None for word in encoding.word_ids(0)]
    before = is_special.index(False) if said else len(ids)
    behind = is_special[::-1].index(False) if said else 0
    return flat, np.append(0, np.cumsum(sizes)), ids[:before], ids[len(ids) - behind :]


def _cut(sizes: Ints, room: int, stride: int) -> tuple[Ints, Ints, Ints]:
    """The windows over sentences of `sizes` subwords: whose each is, where in the sentence it begins, its length."""
    counts = np.ones_like(sizes)
    if stride:
        counts += np.maximum(0, -((room - sizes) // (room - stride)))
    owners = np.repeat(np.arange(len(sizes)), counts)
    starts = ragged(np.zeros_like(counts), counts) * (room - stride)
    return owners, starts, np.minimum(room, sizes[owners] - starts)


def _read_at(words: npt.NDArray[np.int32], windows: Ints, count: int) -> Ints:
    """The subword at which each word is read: its first one, in the window where that lies farthest from an edge."""
    new = np.append(True, words[1:] != words[:-1])[: len(words)]
    new[windows[:-1][np.diff(windows) > 0]] = True
    firsts = np.flatnonzero(new & (words != _NO_WORD))
    window = np.repeat(np.arange(len(windows) - 1), np.diff(windows))[firsts]
    context = np.minimum(firsts - windows[window], windows[window + 1] - 1 - firsts)
    firsts = firsts[np.lexsort((-window, context))]
    read_at: Ints = np.full(count, _NO_WORD, dtype=np.int64)
    read_at[words[firsts]] = firsts  # of a word's several the last, which has most context, the earliest of equals
    return read_at
