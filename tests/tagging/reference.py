"""Simple versions of what the package computes with array operations or tables, to compare with."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.tag_parsing import Chunk, find_chunks
from tune_ner.tagging.alignment import Problem
from tune_ner.tagging.schemes import TaggingScheme
from tune_ner.tagging.tokenization import Word


@dataclass(frozen=True)
class TaggedSentence:
    """Words and tags of a sentence, the words of each gold span, and pairs of a span's index and a problem."""

    words: list[Word]
    tags: list[str]
    ranges: list[Chunk]
    problems: list[tuple[int, Problem]]


def tag_sentence(sentence: Sentence, words: list[Word], scheme: TaggingScheme) -> TaggedSentence:
    """Return the tags of one sentence; of overlapping spans the longest is kept; those without words are skipped."""
    ranges = [covered_words(span, words) for span in sentence.spans]
    problems = [
        (index, problem)
        for index, (span, covered) in enumerate(zip(sentence.spans, ranges, strict=True))
        for problem in span_problems(span, covered, words, len(sentence.text))
    ]
    filled = [(index, covered) for index, covered in enumerate(ranges) if covered[0] < covered[1]]
    kept: list[tuple[int, Chunk]] = []
    for index, covered in sorted(filled, key=lambda each: (each[1][0] - each[1][1], each[1][0])):
        if any(other[0] < covered[1] and covered[0] < other[1] for _, other in kept):
            problems.append((index, "overlap"))
        else:
            kept.append((index, covered))
    tags = scheme.tags(sorted(covered for _, covered in kept), len(words))
    found = set(find_chunks(tags))
    problems += [(index, "merged") for index, covered in kept if covered not in found]
    return TaggedSentence(words, tags, ranges, sorted(problems))


def covered_words(span: Span, words: list[Word]) -> Chunk:
    """Return the words that share a character with a span."""
    touched = [i for i, (start, end) in enumerate(words) if start < span.end and span.start < end]
    if not touched or span.start >= span.end:
        return 0, 0, span.label
    return touched[0], touched[-1] + 1, span.label


def span_problems(span: Span, covered: Chunk, words: list[Word], length: int) -> list[Problem]:
    """Return the problems of a span apart from other spans."""
    first, after, _ = covered
    problems: list[Problem] = []
    if span.start < 0 or span.end > length:
        problems.append("outside_text")
    if span.start >= span.end:
        problems.append("empty")
    elif first == after:
        problems.append("no_word")
    elif (words[first][0], words[after - 1][1]) != (span.start, span.end):
        problems.append("off_boundary")
    return problems


def expresses(scheme: TaggingScheme, chunks: Iterable[Chunk]) -> bool:
    """Return whether chunks can be read back from their tags: no scheme holds overlaps, and IO merges neighbours."""
    ordered = list(chunks)
    if any(first >= after for first, after, _ in ordered):
        return False
    for (_, after, label), (first, _, following) in pairwise(ordered):
        if first < after or (scheme.name == "IO" and first == after and label == following):
            return False
    return True


@lru_cache
def valid_pairs(scheme: TaggingScheme) -> frozenset[tuple[str, str]]:
    """Return all neighbours in the tags of any set of entities of the types x and y; "" is the edge of a sentence."""
    # no rule looks further than one word, so four words show every pair
    return frozenset(pair for chunks in segmentations(0, 4) for pair in pairwise(["", *scheme.tags(chunks, 4), ""]))


def segmentations(first: int, words: int) -> Iterator[list[Chunk]]:
    """Yield every set of entities of the types x and y over the words from `first` on."""
    if first >= words:
        yield []
        return
    yield from segmentations(first + 1, words)
    for after, label in product(range(first + 1, words + 1), "xy"):
        for rest in segmentations(after, words):
            yield [(first, after, label), *rest]
