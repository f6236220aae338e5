"""Alignment of gold spans, words and subwords: windows, label ids, and a count of what labels cannot represent.

A fast tokenizer that is given words splits each of them independently of its neighbours and adds special tokens
around the whole. So every distinct word is tokenized only once, and windows are laid out as `tokenizers` truncates:
the first `max_length` subwords or, with a stride, windows that each repeat the end of the previous one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.tag_parsing import OUTSIDE, Chunk, find_chunks
from tune_ner.tagging.overlaps import OverlapPolicy, keep_disjoint
from tune_ner.tagging.schemes import BEGIN, END, INSIDE, SINGLE, TaggingScheme
from tune_ner.tagging.tokenization import Ints, Word, Words, WordTokenizer, split_into_pieces, split_texts

SubwordLabels = Literal["first", "all"]
SUBWORD_LABELS: tuple[SubwordLabels, ...] = get_args(SubwordLabels)

Problem = Literal["empty", "outside_text", "no_word", "off_boundary", "overlap", "merged"]
"""Reasons why tags do not represent a span: it has no characters; it exceeds its text; it covers no word; it starts or
ends within a word; a later span overwrites one of its words; the scheme merges it with its neighbour."""

IGNORED = -100
"""Label id of subwords that the loss ignores, as in torch and transformers."""

_NONE = -1
_SAMPLE_WORD = "a"
_START_MARKS = ("▁", "Ġ")
_BATCH = 50_000


@dataclass(frozen=True)
class EncodingStats:
    """Numbers of sentences, words, subwords and entities of a split, and of those lost in encoding.

    `words_cut` and `entities_cut` have no subword, because of `max_length` or because the tokenizer drops their
    characters; an entity is cut if any of its words is. `problems` counts gold spans.
    """

    sentences: int
    words: int
    words_cut: int
    subwords: int
    entities: int
    entities_cut: int
    problems: dict[Problem, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Subwords:
    """Tokenized sentences, the same for all tagging schemes.

    Windows lie end to end; without a stride, each is a sentence. `ids` and `word_ids` have the id of each subword,
    special tokens included, and the number of its word in `words`, -1 for special tokens; shape (subwords,). Window
    `i` is from `windows[i]` up to `windows[i + 1]`; shape (windows + 1,). `read_at` has for each word the subword at
    which its label is predicted, -1 for words that were cut; shape (words,).
    """

    ids: npt.NDArray[np.int32]
    word_ids: npt.NDArray[np.int32]
    windows: Ints
    read_at: Ints
    words: Words

    @property
    def lengths(self) -> Ints:
        """Subwords of each window, shape (windows,)."""
        return np.diff(self.windows)

    @classmethod
    def concatenate(cls, batches: Sequence[Subwords]) -> Subwords:
        """Return the windows of all batches, in order."""
        subwords = np.cumsum([0, *(len(batch.ids) for batch in batches)])
        words = np.cumsum([0, *(len(batch.words) for batch in batches)])

        def shifted(values: Sequence[Ints], offsets: Ints) -> Ints:
            pairs = zip(values, offsets, strict=False)
            return np.concatenate([np.where(v == _NONE, v, v + offset).astype(v.dtype) for v, offset in pairs])

        return cls(
            np.concatenate([batch.ids for batch in batches]),
            shifted([batch.word_ids for batch in batches], words).astype(np.int32),
            np.append(shifted([batch.windows[:-1] for batch in batches], subwords), subwords[-1]),
            shifted([batch.read_at for batch in batches], subwords),
            Words.concatenate([batch.words for batch in batches]),
        )


@dataclass(frozen=True)
class EncodedSplit:
    """Subwords ready for training: `label_ids` of shape (subwords,), and those of all words, shape (words,)."""

    subwords: Subwords
    label_ids: npt.NDArray[np.int16]
    word_label_ids: npt.NDArray[np.int16]
    stats: EncodingStats


# ---- words to subwords


def tokenize_sentences(
    sentences: Sequence[Sentence],
    tokenizer: Any,
    *,
    word_tokenizer: WordTokenizer = "whitespace",
    max_length: int = 256,
    stride: int = 0,
) -> Subwords:
    """Return the subwords of sentences.

    Args:
        sentences: the sentences of a split, in order.
        tokenizer: a fast tokenizer of transformers.
        word_tokenizer: how texts are split into words. With `subword`, whole texts are tokenized, and each piece is a
            word with the characters that it stands for.
        max_length: maximal number of subwords in a window, special tokens included.
        stride: 0 truncates longer sentences; otherwise they continue in further windows, each of which repeats this
            many subwords of the previous one. A word is read in the window where its smaller context is largest.
    """
    texts = [sentence.text for sentence in sentences]
    # in batches, so that temporary arrays do not grow with the corpus
    return Subwords.concatenate(
        [
            _tokenize(texts[first : first + _BATCH], tokenizer, word_tokenizer, max_length, stride)
            for first in range(0, max(1, len(texts)), _BATCH)
        ]
    )


def _tokenize(
    texts: Sequence[str], tokenizer: Any, word_tokenizer: WordTokenizer, max_length: int, stride: int
) -> Subwords:
    # the subwords of all words end to end, without special tokens
    if word_tokenizer == "subword":
        words, sizes, ids = split_into_pieces(texts, tokenizer)
        prefix, suffix = _distinct_subwords([_SAMPLE_WORD], tokenizer)[2:]
    else:
        words, distinct, index = split_texts(texts, word_tokenizer)
        pieces, piece_starts, prefix, suffix = _distinct_subwords(
            distinct, tokenizer, marks_start=word_tokenizer != "character"
        )
        sizes = np.diff(piece_starts)[index]
        # a word without a subword, such as a lone soft hyphen, has no label; it must not divide the entity around it
        visible = sizes > 0
        words, index, sizes = words.select(visible), index[visible], sizes[visible]
        ids = pieces[ragged(piece_starts[index], sizes)]
    word_ids = np.repeat(np.arange(len(words), dtype=np.int32), sizes)
    sentence_starts = np.append(0, np.cumsum(sizes))[words.firsts]
    # the windows over them
    room = max(0, max_length - len(prefix) - len(suffix))
    owners, starts, lengths = _windows(np.diff(sentence_starts), room, stride)
    windows = np.append(0, np.cumsum(lengths + len(prefix) + len(suffix)))
    source = ragged(sentence_starts[owners] + starts, lengths)
    target = ragged(windows[:-1] + len(prefix), lengths)
    all_ids, all_words = np.full((2, windows[-1]), _NONE, dtype=np.int32)
    all_ids[target], all_words[target] = ids[source], word_ids[source]
    for place, special in enumerate(prefix):
        all_ids[windows[:-1] + place] = special
    for place, special in enumerate(suffix):
        all_ids[windows[1:] - len(suffix) + place] = special
    return Subwords(all_ids, all_words, windows, _read_at(all_words, windows, len(words)), words)


def _distinct_subwords(
    words: list[str], tokenizer: Any, *, marks_start: bool = True
) -> tuple[Ints, Ints, list[int], list[int]]:
    """Return the subword ids of words end to end, where those of each word start, and the special ids around a text.

    Args:
        words: the words.
        tokenizer: a fast tokenizer.
        marks_start: whether a piece that only marks the start of a word (`▁`, `Ġ`) is kept before other pieces. Where
            words follow each other without space, encoders have not seen it there.
    """
    options = {"is_split_into_words": True, "return_attention_mask": False}
    rows = tokenizer([[word] for word in words], add_special_tokens=False, **options)["input_ids"] if words else []
    if not marks_start:
        marks = {tokenizer.convert_tokens_to_ids(mark) for mark in _START_MARKS} - {tokenizer.unk_token_id}
        rows = [row[1:] if len(row) > 1 and row[0] in marks else row for row in rows]
    sizes = np.fromiter(map(len, rows), np.int64, len(rows))
    flat = np.fromiter((piece for row in rows for piece in row), np.int32, int(sizes.sum()))
    example = next((word for word, row in zip(words, rows, strict=True) if row), None)
    encoding = tokenizer([[example] if example else []], **options)
    (ids,), is_special = encoding["input_ids"], [word is None for word in encoding.word_ids(0)]
    prefix = is_special.index(False) if example else len(ids)
    suffix = is_special[::-1].index(False) if example else 0
    return flat, np.append(0, np.cumsum(sizes)), ids[:prefix], ids[len(ids) - suffix :]


def _windows(sizes: Ints, room: int, stride: int) -> tuple[Ints, Ints, Ints]:
    """Return for each window its sentence, its start in it and its length, for sentences of `sizes` subwords."""
    counts = np.ones_like(sizes)
    if stride:
        counts += np.maximum(0, -((room - sizes) // (room - stride)))
    owners = np.repeat(np.arange(len(sizes)), counts)
    starts = ragged(np.zeros_like(counts), counts) * (room - stride)
    return owners, starts, np.minimum(room, sizes[owners] - starts)


def _read_at(word_ids: npt.NDArray[np.int32], windows: Ints, count: int) -> Ints:
    """Return each word's first subword, in the window where it is farthest from an edge; shape (words,)."""
    is_first = np.append(True, word_ids[1:] != word_ids[:-1])[: len(word_ids)]
    is_first[windows[:-1][np.diff(windows) > 0]] = True
    firsts = np.flatnonzero(is_first & (word_ids != _NONE))
    window = np.repeat(np.arange(len(windows) - 1), np.diff(windows))[firsts]
    context = np.minimum(firsts - windows[window], windows[window + 1] - 1 - firsts)
    firsts = firsts[np.lexsort((-window, context))]
    read_at: Ints = np.full(count, _NONE, dtype=np.int64)
    # of several subwords of a word, the last assignment stays: most context, then the earliest window
    read_at[word_ids[firsts]] = firsts
    return read_at


def ragged(starts: Ints, sizes: Ints) -> Ints:
    """Return the ranges of `sizes` numbers from each of `starts`, end to end; shape (sum of sizes,)."""
    before = np.cumsum(sizes) - sizes
    numbers: Ints = np.repeat(starts - before, sizes) + np.arange(int(sizes.sum()))
    return numbers


# ---- spans to labels


def label_sentences(
    sentences: Sequence[Sentence],
    subwords: Subwords,
    labels: Sequence[str],
    scheme: TaggingScheme,
    subword_labels: SubwordLabels = "first",
    overlaps: OverlapPolicy = "longest",
) -> EncodedSplit:
    """Return the label ids of subwords.

    A word has its label in the window where it is read; so words in overlapping windows count once.

    Args:
        sentences: the sentences of a split, in order.
        subwords: the subwords of these sentences.
        labels: the label list; a label's index is its id.
        scheme: the tagging scheme.
        subword_labels: whether only the `first` subword of a word has its label, or `all` have; others are ignored.
        overlaps: which of overlapping spans have labels.
    """
    tagged = label_words(sentences, subwords.words, scheme, labels, overlaps)
    label_ids = np.full(len(subwords.ids), IGNORED, dtype=np.int16)
    kept = subwords.read_at != _NONE
    label_ids[subwords.read_at[kept]] = tagged.label_ids[kept]
    if subword_labels == "all":
        of_word = np.flatnonzero(subwords.word_ids != _NONE)
        word, window = subwords.word_ids[of_word], np.repeat(np.arange(len(subwords.lengths)), subwords.lengths)
        is_read = window[of_word] == window[subwords.read_at[word]]
        label_ids[of_word[is_read]] = tagged.label_ids[word[is_read]]
    cut_before = np.append(0, np.cumsum(~kept))
    stats = EncodingStats(
        sentences=len(sentences),
        words=len(kept),
        words_cut=int(cut_before[-1]),
        subwords=len(subwords.ids),
        entities=len(tagged.firsts),
        entities_cut=int((cut_before[tagged.afters] > cut_before[tagged.firsts]).sum()),
        problems=tagged.problems,
    )
    return EncodedSplit(subwords, label_ids, tagged.label_ids, stats)


@dataclass(frozen=True)
class LabelledWords:
    """Label ids of the words of many sentences, shape (words,), and the words of each gold span.

    `firsts` and `afters` are the first word that a span covers and the word after the last, shape (spans,); both are
    0 for a span that covers none.
    """

    label_ids: npt.NDArray[np.int16]
    firsts: Ints
    afters: Ints
    problems: dict[Problem, int]


def label_words(
    sentences: Sequence[Sentence],
    words: Words,
    scheme: TaggingScheme,
    labels: Sequence[str],
    overlaps: OverlapPolicy = "longest",
) -> LabelledWords:
    """Return the labels of all words of many sentences.

    A span covers every word with which it shares a character; spans without words are skipped, and of overlapping
    spans some are kept whole. `problems` counts the spans that are lost or changed.

    Args:
        sentences: the sentences.
        words: the words of these sentences.
        scheme: the tagging scheme.
        labels: the label list; a label's index is its id.
        overlaps: which of overlapping spans are kept.
    """
    spans = _Spans(sentences, words)
    ids = {label: index for index, label in enumerate(labels)}
    label_ids = np.full(len(words), ids[OUTSIDE], dtype=np.int16)
    problems: Counter[Problem] = Counter(spans.problems)
    # the tags of spans that overlap, touch or are out of order depend on each other; such sentences are rare
    entangled = spans.entangled_sentences()
    separate = spans.has_words & ~np.isin(spans.owners, entangled)
    firsts, afters, types = spans.firsts[separate], spans.afters[separate], spans.types[separate]
    letters = np.array(
        [[ids[f"{letter}-{label}"] for letter in scheme.letters] for label in spans.type_names], dtype=np.int16
    ).reshape(-1, len(scheme.letters))
    sizes = afters - firsts
    label_ids[ragged(firsts, sizes)] = np.repeat(letters[types, INSIDE], sizes)
    label_ids[firsts] = letters[types, BEGIN]
    label_ids[afters - 1] = letters[types, END]
    single = sizes == 1
    label_ids[firsts[single]] = letters[types[single], SINGLE]
    for index in entangled.tolist():
        first, after = words.firsts[index : index + 2].tolist()
        chunks = spans.chunks(index, first)
        kept = keep_disjoint(chunks, overlaps)
        tags = scheme.tags(kept, after - first)
        label_ids[first:after] = [ids[tag] for tag in tags]
        found = set(find_chunks(tags))
        problems.update(overlap=len(chunks) - len(kept), merged=sum(chunk not in found for chunk in kept))
    return LabelledWords(label_ids, spans.firsts, spans.afters, {kind: n for kind, n in problems.items() if n})


class _Spans:
    """The gold spans of many sentences, end to end, and the words that each covers; arrays have shape (spans,)."""

    def __init__(self, sentences: Sequence[Sentence], words: Words) -> None:
        offsets = [(span.start, span.end) for sentence in sentences for span in sentence.spans]
        starts, ends = np.array(offsets, dtype=np.int64).reshape(-1, 2).T
        labels = [span.label for sentence in sentences for span in sentence.spans]
        self.type_names = sorted(set(labels))
        numbers = {name: number for number, name in enumerate(self.type_names)}
        self.types = np.fromiter((numbers[label] for label in labels), np.int64, len(labels))
        counts = np.fromiter((len(sentence.spans) for sentence in sentences), np.int64, len(sentences))
        self.owners = np.repeat(np.arange(len(sentences)), counts)
        # all texts on one line, so that one search finds the words of all spans
        lengths = np.fromiter((len(sentence.text) for sentence in sentences), np.int64, len(sentences))
        line = np.cumsum(lengths + 1) - lengths - 1
        of_word = np.repeat(line, np.diff(words.firsts))
        length = lengths[self.owners]
        first = np.searchsorted(of_word + words.ends, line[self.owners] + np.clip(starts, 0, length), "right")
        after = np.searchsorted(of_word + words.starts, line[self.owners] + np.clip(ends, 0, length), "left")
        is_empty = starts >= ends
        self.has_words = has_words = (first < after) & ~is_empty
        self.firsts, self.afters = np.where(has_words, first, 0), np.where(has_words, after, 0)
        starts_off = words.starts[first[has_words]] != starts[has_words]
        ends_off = words.ends[after[has_words] - 1] != ends[has_words]
        self.problems: dict[Problem, int] = {
            "outside_text": int(((starts < 0) | (ends > length)).sum()),
            "empty": int(is_empty.sum()),
            "no_word": int((~is_empty & ~has_words).sum()),
            "off_boundary": int((starts_off | ends_off).sum()),
        }

    def entangled_sentences(self) -> Ints:
        """Return the sentences with spans that are out of order, overlap or touch; ascending."""
        owners, firsts, afters = self.owners[self.has_words], self.firsts[self.has_words], self.afters[self.has_words]
        return np.unique(owners[1:][(np.diff(owners) == 0) & (firsts[1:] <= afters[:-1])])

    def chunks(self, sentence: int, offset: int) -> list[Chunk]:
        """Return the word ranges of a sentence's spans, relative to its first word `offset`."""
        these = slice(*np.searchsorted(self.owners, [sentence, sentence + 1]))
        rows = zip(
            *(values[these].tolist() for values in (self.has_words, self.firsts, self.afters, self.types)), strict=True
        )
        return [(first - offset, after - offset, self.type_names[label]) for held, first, after, label in rows if held]


def tags_to_spans(tags: Sequence[str], words: Sequence[Word]) -> tuple[Span, ...]:
    """Return the spans that word tags mark, from the start of the first word to the end of the last."""
    return tuple(Span(words[first][0], words[after - 1][1], label) for first, after, label in find_chunks(tags))
