"""Splitting texts into the words that carry tags, with their character offsets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import regex

from tune_ner.data.corpus import Sentence

FixedWordTokenizer = Literal["whitespace", "punctuation", "character", "subword"]
WORD_TOKENIZERS: tuple[FixedWordTokenizer, ...] = ("whitespace", "punctuation", "character")
"""Those that split a text without an encoder, from the coarsest to the finest."""
WordTokenizer = Literal["whitespace", "punctuation", "character", "subword", "auto"]
"""`subword`: the pieces of the encoder's tokenizer, see `tokenize_sentences`. `auto` stands for the choice of
`choose_word_tokenizer` and is replaced by it before texts are split."""

Word = tuple[int, int]
"""Half-open character offsets of a word in its text."""

Ints = npt.NDArray[np.signedinteger[Any]]

# `re` does not count combining marks as word characters and would split `a` + U+0308; but like the notebook, it
# counts U+001C to U+001F as white space, which `regex` does not.
# Invisible characters (soft hyphen, zero-width and bidi characters, controls) belong to the word around them.
_INVISIBLE = r"\p{M}\p{Cf}\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufffd"
# Scripts whose words have no spaces between them, or whose entities end inside of words before a particle (Hangul).
# Script extensions (scx) also hold what several scripts share, such as the Japanese length mark.
_UNSPACED = "".join(
    rf"\p{{scx={script}}}"
    for script in ("Han", "Hiragana", "Katakana", "Hangul", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
)
_LETTER = rf"[[{_UNSPACED}]&&\w--[{_INVISIBLE}\d]]"
_PATTERNS: Mapping[WordTokenizer, regex.Pattern[str]] = {
    "whitespace": regex.compile(r"[^\s\x1c-\x1f]+"),
    "punctuation": regex.compile(rf"[\w{_INVISIBLE}]+|[^\w\s\x1c-\x1f{_INVISIBLE}]"),
    "character": regex.compile(
        rf"{_LETTER}[{_INVISIBLE}]*|[\w{_INVISIBLE}--{_LETTER}--\d]+|[\d{_INVISIBLE}]+|[^\w\s\x1c-\x1f{_INVISIBLE}]",
        regex.V1,
    ),
}
_PATTERNS = {**_PATTERNS, "subword": _PATTERNS["character"]}
_ALIGNED = 0.995
"""Share of spans on word boundaries from which a coarser word tokenizer is preferred."""
_UNSPACED_LETTER = regex.compile(_LETTER, regex.V1)
_CODE_POINTS = 0x110000
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE, _SINGLE, _IN_RUN = range(3)


@dataclass(frozen=True)
class Words:
    """The words of several texts, end to end.

    `starts` and `ends` are character offsets in the word's own text, shape (words,). The words of text `i` are those
    from `firsts[i]` up to `firsts[i + 1]`; shape (texts + 1,).
    """

    starts: Ints
    ends: Ints
    firsts: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def of(self, text: int) -> list[Word]:
        """Return the words of one text."""
        these = slice(self.firsts[text], self.firsts[text + 1])
        return list(zip(self.starts[these].tolist(), self.ends[these].tolist(), strict=True))

    def select(self, kept: npt.NDArray[np.bool_]) -> Words:
        """Return the words at which `kept` is true, shape (words,)."""
        return Words(self.starts[kept], self.ends[kept], np.append(0, np.cumsum(kept))[self.firsts])

    @classmethod
    def concatenate(cls, batches: Sequence[Words]) -> Words:
        """Return the words of the texts of all batches, in order."""
        offsets = np.cumsum([0, *map(len, batches)])
        firsts = [batch.firsts[:-1] + offset for batch, offset in zip(batches, offsets, strict=False)]
        return cls(
            np.concatenate([batch.starts for batch in batches]),
            np.concatenate([batch.ends for batch in batches]),
            np.concatenate([*firsts, offsets[-1:]]),
        )


def has_unspaced_script(text: str) -> bool:
    """Return whether a text has letters of a script without spaces between words, or of Hangul."""
    # the first of these scripts is Thai
    return not text.isascii() and max(text) >= "\u0e00" and _UNSPACED_LETTER.search(text) is not None


def split_words(text: str, word_tokenizer: WordTokenizer) -> list[Word]:
    """Return the words of a text, in order.

    `whitespace` splits at white space, as the notebook does; `punctuation` takes maximal runs of letters, digits,
    marks and underscores, and every other visible character as a word of its own; `character` does so too, but
    takes every character of a script without spaces between words (and of Hangul) as a word, and digits apart from
    letters (`10km`). `subword` needs an
    encoder; without one, its words are those of `character`.
    """
    return [match.span() for match in _PATTERNS[word_tokenizer].finditer(text)]


def choose_word_tokenizer(sentences: Sequence[Sentence]) -> tuple[FixedWordTokenizer, str]:
    """Return the word tokenizer that suits a corpus, and a note on the choice.

    The first of `whitespace`, `punctuation` and `character` with 99.5 % of the spans on its word boundaries, or else
    the one with the most.
    """
    shares = {name: _aligned(sentences, name) for name in WORD_TOKENIZERS}
    fitting = [name for name in WORD_TOKENIZERS if shares[name] >= _ALIGNED]
    chosen = fitting[0] if fitting else max(WORD_TOKENIZERS, key=lambda name: shares[name])
    listed = ", ".join(f"{100 * share:.1f} % with {name}" for name, share in shares.items())
    return chosen, f"word tokenizer {chosen}: spans on word boundaries are {listed}"


def _aligned(sentences: Sequence[Sentence], word_tokenizer: WordTokenizer) -> float:
    """Return the share of spans that begin and end with a word."""
    found = total = 0
    for sentence in sentences:
        if sentence.spans:
            words = split_words(sentence.text, word_tokenizer)
            starts, ends = {start for start, _ in words}, {end for _, end in words}
            found += sum(span.start in starts and span.end in ends for span in sentence.spans)
            total += len(sentence.spans)
    return found / total if total else 1.0


def split_texts(texts: Sequence[str], word_tokenizer: WordTokenizer) -> tuple[Words, list[str], Ints]:
    """Split many texts with array operations, four times as fast as `split_words` on each of them.

    Returns:
        The words; the distinct words in order of first occurrence; and for each word its index among these,
        shape (words,).
    """
    line = "\n".join(texts)
    if not line.isascii():
        line = _SURROGATE.sub("\ufffd", line)  # half a character cannot be encoded
    codes = np.frombuffer(line.encode("utf-32-le"), np.uint32)
    if word_tokenizer in ("character", "subword"):
        bounds = [match.span() for match in _PATTERNS[word_tokenizer].finditer(line)]
        starts, ends = np.array(bounds, dtype=np.int64).reshape(-1, 2).T
    else:
        kinds = _kinds(codes, word_tokenizer)
        runs = kinds == _IN_RUN
        singles = kinds == _SINGLE
        starts = np.flatnonzero(singles | (runs & ~np.append(False, runs[:-1])))
        ends = np.flatnonzero(singles | (runs & ~np.append(runs[1:], False))) + 1
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    text_starts = np.cumsum(lengths + 1) - lengths - 1
    firsts = np.append(np.searchsorted(starts, text_starts), len(starts))
    own_start = np.repeat(text_starts, np.diff(firsts))
    words = Words((starts - own_start).astype(np.int32), (ends - own_start).astype(np.int32), firsts)
    return words, *_distinct(codes, starts, ends)


def split_into_pieces(texts: Sequence[str], tokenizer: Any) -> tuple[Words, Ints, Ints]:
    """Return the pieces of whole texts as words, the number of subwords of each, and the ids of all subwords.

    Pieces of the same characters (bytes of one character), of white space and of no character belong to the word before
    them; so does a piece that begins inside of it.
    """
    options = {"add_special_tokens": False, "return_offsets_mapping": True, "return_attention_mask": False}
    encoding = tokenizer(list(texts), verbose=False, **options) if texts else {"input_ids": [], "offset_mapping": []}
    words: list[Word] = []
    sizes: list[int] = []
    firsts = [0]
    ids: list[int] = []
    for text, pieces, offsets in zip(texts, encoding["input_ids"], encoding["offset_mapping"], strict=True):
        for number, (start, end) in enumerate(offsets):
            piece = text[start:end]
            start += len(piece) - len(piece.lstrip())
            end -= len(piece) - len(piece.rstrip())
            if start >= end or (len(words) > firsts[-1] and start < words[-1][1]):
                if len(words) > firsts[-1]:
                    sizes[-1] += 1
                    ids.append(pieces[number])
                continue  # before the first word of a text, white space is dropped
            words.append((start, end))
            sizes.append(1)
            ids.append(pieces[number])
        firsts.append(len(words))
    starts, ends = np.array(words, dtype=np.int32).reshape(-1, 2).T
    return Words(starts, ends, np.array(firsts)), np.array(sizes, dtype=np.int64), np.array(ids, dtype=np.int32)


def _kinds(codes: npt.NDArray[np.uint32], word_tokenizer: WordTokenizer) -> npt.NDArray[np.uint8]:
    """Return for each character whether it separates words, is a word of its own or belongs to a run."""
    present = np.zeros(_CODE_POINTS, dtype=bool)
    present[codes] = True
    table = np.zeros(_CODE_POINTS, dtype=np.uint8)
    pattern = _PATTERNS[word_tokenizer]
    for code in np.flatnonzero(present).tolist():
        if pattern.fullmatch(chr(code)):
            table[code] = _IN_RUN if pattern.fullmatch(2 * chr(code)) else _SINGLE
    return table[codes]


def _distinct(codes: npt.NDArray[np.uint32], starts: Ints, ends: Ints) -> tuple[list[str], Ints]:
    """Return the distinct words among those from `starts` to `ends`, and for each word its index among them."""
    import pyarrow as pa

    if not len(starts):
        return [], np.zeros(0, np.int32)
    sizes = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)  # bytes of a character in UTF-8
    byte_starts = np.append(0, np.cumsum(sizes))
    # word, gap, word …: the strings of an Arrow array are contiguous
    bounds = byte_starts[np.stack([starts, ends], axis=1).ravel()]
    text = codes.tobytes().decode("utf-32-le").encode()
    pieces = pa.LargeStringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(text))
    coded = pieces.take(pa.array(np.arange(0, len(pieces), 2))).dictionary_encode()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy()
