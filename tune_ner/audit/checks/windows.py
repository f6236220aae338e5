"""Check for sentences that are windows of a fixed number of characters."""

from collections import Counter
from collections.abc import Iterator

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import Example, Finding, first_examples, location, percent
from tune_ner.data.corpus import Sentence

_LEAST_LENGTH = 20
_LEAST_SENTENCES = 20
_SHARE = 0.5  # share of the sentences that have the same length; sentences of a language never come near it
_CANDIDATE = 0.05  # the same share with brackets, which lengthen some of the sentences
_WITHOUT_BRACKETS = str.maketrans("", "", "()[]{}")
_END_OF_SENTENCE = frozenset(".!?…:;")


class CutWords(Check):
    """Windows of a fixed number of characters, which begin and end inside words."""

    name = "cut_words"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        length, windows = _windows(data.sentences)
        if len(windows) < max(_LEAST_SENTENCES, _SHARE * len(data.sentences)):
            return
        inside = [s for s in windows if s.text.rstrip(" )]}")[-1:].isalnum() and s.text[-1:] not in _END_OF_SENTENCE]
        at_end = sum(1 for s in windows for span in s.spans if span.end == len(s.text))
        yield Finding(
            kind=self.name,
            severity="warning",
            title=f"{percent(len(windows) / len(data.sentences))} of sentences are windows of {length} characters",
            count=len(windows),
            total=len(data.sentences),
            effect=(
                f"{len(inside):,} of them end in a letter or digit: words are cut, and so may be the "
                f"{at_end:,} entities at their end. A model learns pieces of words that do not occur in whole text."
            ),
            suggestion="Read the whole text that the windows were cut from, and divide it into sentences.",
            examples=first_examples(Example(location(s), f"…{s.text[-40:]}|") for s in inside),
            values={"characters": length, "ending_in_a_word": len(inside)},
        )


def _windows(sentences: list[Sentence]) -> tuple[int, list[Sentence]]:
    """Return the most frequent length in characters, and the sentences of this length.

    Markup is not counted. A white space at either end may have been removed.
    """
    with_brackets = Counter(len(s.text) for s in sentences)
    if max(with_brackets.values(), default=0) < _CANDIDATE * len(sentences):  # removing them takes time
        return 0, []
    lengths = [len(s.text.translate(_WITHOUT_BRACKETS)) for s in sentences]
    counts = Counter(lengths)
    longest = max(counts, key=lambda n: (counts[n], n), default=0)
    if longest < _LEAST_LENGTH:
        return longest, []
    return longest, [s for s, n in zip(sentences, lengths, strict=True) if longest - 2 <= n <= longest]
