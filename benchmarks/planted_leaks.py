# Run, from the repository root (about four minutes on one core):
#   python benchmarks/planted_leaks.py --seeds 20
"""Recall of the audit on planted problems, and its findings on clean corpora.

Each problem is planted into synthetic text, once per seed. It is found if the audit has a finding of the expected kind
with at least the expected severity and a higher count than in the same text without the problem. Clean corpora must
have no errors and no findings about markup; some of them contain ordinary text that looks like markup.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import mean

from tune_ner.audit.audit import audit
from tune_ner.audit.findings import SEVERITIES, AuditReport, Finding, Severity
from tune_ner.data.corpus import Corpus, Sentence, Span, ordered_types
from tune_ner.data.splits import Split, SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus

SIZES = (600, 750)
PUNCTUATION = ".,;:!?"

Rewrite = Callable[[Sentence, Random], Sentence]
Plant = Callable[[Corpus, Split, Random], Corpus]


@dataclass(frozen=True)
class Problem:
    """A problem, how it is planted, and the finding that is expected."""

    name: str
    plant: Plant
    kinds: tuple[str, ...]
    severity: Severity


def everywhere(rewrite: Rewrite) -> Plant:
    """Plant a problem sentence by sentence, in all splits."""

    def plant(corpus: Corpus, _split: Split, random: Random) -> Corpus:
        sentences = tuple(rewrite(sentence, random) for sentence in corpus.sentences)
        types = ordered_types({span.label for s in sentences for span in s.spans} | {*corpus.entity_types})
        return replace(corpus, sentences=sentences, entity_types=types)

    return plant


def marked(
    markers: dict[str, tuple[str, str]], inside: bool = False, moved_space: bool = False, rate: float = 1.0
) -> Rewrite:
    """Put markers around the entities of some types, `inside` or outside of their spans."""

    def rewrite(sentence: Sentence, random: Random) -> Sentence:
        text, spans, done = "", [], 0
        for span in sentence.spans:
            opening, closing = markers.get(span.label, ("", ""))
            if random.random() >= rate:
                opening = closing = ""
            text += sentence.text[done : span.start] + ("" if inside else opening)
            start = len(text)
            text += f"{opening}{span.text_in(sentence.text)}{closing}" if inside else span.text_in(sentence.text)
            spans.append(Span(start, len(text), span.label))
            text += "" if inside else closing
            done = span.end
            if moved_space and sentence.text[done : done + 1] in PUNCTUATION:
                text += " "
        return replace(sentence, text=text + sentence.text[done:], spans=tuple(spans))

    return rewrite


def all_types(opening: str, closing: str) -> dict[str, tuple[str, str]]:
    """Return the same markers for every type."""
    return dict.fromkeys(("DISORDER", "DRUG", "BODY"), (opening, closing))


def merged(sentence: Sentence, _random: Random) -> Sentence:
    """Merge the first and the last entity of each type into one span, with everything in between."""
    spans: dict[str, Span] = {}
    for span in sentence.spans:
        first = spans.get(span.label, span)
        spans[span.label] = Span(first.start, span.end, span.label)
    return replace(sentence, spans=tuple(sorted(spans.values())))


def respanned(change: Callable[[Span, str], tuple[Span, ...]], rate: float = 0.05) -> Rewrite:
    """Change a share of the spans; changes that leave the text are skipped."""

    def rewrite(sentence: Sentence, random: Random) -> Sentence:
        spans: list[Span] = []
        for span in sentence.spans:
            changed = change(span, sentence.text) if random.random() < rate else (span,)
            fits = all(0 <= new.start < new.end <= len(sentence.text) for new in changed)
            spans += changed if fits else (span,)
        return replace(sentence, spans=tuple(spans))

    return rewrite


def conflicting(sentence: Sentence, random: Random) -> Sentence:
    """Give one entity in twenty another type."""
    others = {"DISORDER": "DRUG", "DRUG": "BODY", "BODY": "DISORDER"}
    spans = (replace(s, label=others[s.label]) if random.random() < 0.05 else s for s in sentence.spans)
    return replace(sentence, spans=tuple(spans))


def copied(change: Callable[[Sentence], Sentence], rate: float) -> Plant:
    """Replace a share of the test sentences with slightly changed train sentences."""

    def plant(corpus: Corpus, split: Split, random: Random) -> Corpus:
        sentences = list(corpus.sentences)
        long = [index for index in split.train if len(sentences[index].text) >= 60]
        for index in random.sample(split.test, round(rate * len(split.test))):
            sentences[index] = change(sentences[random.choice(long)])
        return replace(corpus, sentences=tuple(sentences))

    return plant


def respelled(sentence: Sentence) -> Sentence:
    """Make the first letter lower-case and the last space a no-break space."""
    first, *rest = sentence.text.rpartition(" ")
    return replace(sentence, text=f"{first[:1].lower()}{first[1:]}\u00a0{rest[1]}")


def nearly(sentence: Sentence) -> Sentence:
    """Add a short word before the final punctuation."""
    return replace(sentence, text=f"{sentence.text[:-1]} nu{sentence.text[-1]}")


def tokenized(sentence: Sentence, _random: Random) -> Sentence:
    """Separate punctuation from words by a space, as in tokenized corpora."""
    text, spans = sentence.text, sentence.spans
    for position in sorted((i for i, c in enumerate(text) if c in PUNCTUATION), reverse=True):
        text = f"{text[:position]} {text[position:]}"
        spans = tuple(replace(s, start=s.start + (s.start >= position), end=s.end + (s.end > position)) for s in spans)
    return replace(sentence, text=text, spans=spans)


def with_brackets(sentence: Sentence, random: Random) -> Sentence:
    """Put brackets around one entity in ten, and around an ordinary word of every second sentence."""
    return around_a_word(marked(all_types("(", ")"), rate=0.1)(sentence, random), random, "(", ")")


def with_quotes(sentence: Sentence, random: Random) -> Sentence:
    """Put quotation marks around one entity in ten, and around an ordinary word of every second sentence."""
    return around_a_word(marked(all_types('"', '"'), rate=0.1)(sentence, random), random, '"', '"')


def around_a_word(sentence: Sentence, random: Random, opening: str, closing: str) -> Sentence:
    """Put markers around a random word of every second sentence, unless it is part of an entity."""
    words = sentence.text.split(" ")
    if random.random() < 0.5 or len(words) < 3:
        return sentence
    chosen = random.randrange(len(words) - 1)
    start = sum(len(word) + 1 for word in words[:chosen])
    end = start + len(words[chosen])
    if any(span.start < end + 1 and start < span.end + 1 for span in sentence.spans):
        return sentence
    text = f"{sentence.text[:start]}{opening}{sentence.text[start:end]}{closing}{sentence.text[end:]}"
    moved = len(opening) + len(closing)
    spans = (replace(s, start=s.start + moved, end=s.end + moved) if s.start >= end else s for s in sentence.spans)
    return replace(sentence, text=text, spans=tuple(spans))


def footnoted(sentence: Sentence, random: Random) -> Sentence:
    """Add a footnote in the brackets of drugs to every fifth sentence, as a drug."""
    marked_up = marked(TIGHT)(sentence, random)
    if random.random() >= 0.2:
        return marked_up
    number, start = f"[{random.randint(1, 40)}]", len(marked_up.text)
    span = Span(start + 1, start + len(number) - 1, "DRUG")
    return replace(marked_up, text=marked_up.text + number, spans=(*marked_up.spans, span))


def retyped(sentence: Sentence, random: Random) -> Sentence:
    """Write one type in thirty in other letters."""
    spans = (replace(s, label=s.label.title()) if random.random() < 1 / 30 else s for s in sentence.spans)
    return replace(sentence, spans=tuple(spans))


def lengthened(sentence: Sentence, random: Random) -> Sentence:
    """Put 300 words before one sentence in ten."""
    before = "ord " * 300 if random.random() < 0.1 else ""
    spans = (replace(s, start=s.start + len(before), end=s.end + len(before)) for s in sentence.spans)
    return replace(sentence, text=before + sentence.text, spans=tuple(spans))


def windowed(corpus: Corpus, _split: Split, _random: Random) -> Corpus:
    """Cut every sentence after 60 characters."""
    sentences = [replace(s, text=s.text[:60], spans=tuple(x for x in s.spans if x.end <= 60)) for s in corpus.sentences]
    return replace(corpus, sentences=tuple(sentences))


def annotated_twice(corpus: Corpus, split: Split, random: Random) -> Corpus:
    """Replace one train sentence in twenty with another one, of which an entity is not annotated."""
    sentences = list(corpus.sentences)
    annotated = [index for index in split.train if sentences[index].spans]
    for index in random.sample(annotated, len(split.train) // 20):
        other = sentences[random.choice(annotated)]
        sentences[index] = replace(other, spans=other.spans[1:])
    return replace(corpus, sentences=tuple(sentences))


def in_documents(corpus: Corpus, _split: Split, _random: Random) -> Corpus:
    """Make documents of six consecutive sentences."""
    sentences = (replace(sentence, group=f"d{index // 6}") for index, sentence in enumerate(corpus.sentences))
    return replace(corpus, sentences=tuple(sentences))


BRACKETS = {"DISORDER": ("( ", " )"), "DRUG": ("[ ", " ]"), "BODY": ("{ ", " }")}
TIGHT = {label: (opening.strip(), closing.strip()) for label, (opening, closing) in BRACKETS.items()}
BASELINE, MARKERS = ("marker_baseline",), ("marker_baseline", "boundary_markers")
COPY = ("duplicates_train_test",)
SMALL_SHARE: tuple[float, Severity] = (0.03, "warning")
LARGE_SHARE: tuple[float, Severity] = (0.15, "error")


def published(sentence: Sentence, random: Random) -> Sentence:
    """Put brackets inside the spans and merge the entities of each type in half of the sentences."""
    with_markers = marked(BRACKETS, inside=True, moved_space=True)(sentence, random)
    return merged(with_markers, random) if random.random() < 0.5 else with_markers


PROBLEMS = (
    Problem("brackets within spans", everywhere(marked(BRACKETS, True, True)), BASELINE, "error"),
    Problem("brackets around spans", everywhere(marked(TIGHT)), BASELINE, "error"),
    Problem("brackets around two in three", everywhere(marked(TIGHT, rate=0.67)), MARKERS, "warning"),
    Problem("<b>…</b>", everywhere(marked(all_types("<b>", "</b>"))), BASELINE, "error"),
    Problem("**…**", everywhere(marked(all_types("**", "**"))), BASELINE, "error"),
    Problem("_…_", everywhere(marked(all_types("_", "_"))), BASELINE, "error"),
    Problem("opening marker only", everywhere(marked(all_types("[", ""))), MARKERS, "warning"),
    Problem("closing marker only", everywhere(marked(all_types("", "]"))), MARKERS, "warning"),
    Problem("marker for one type only", everywhere(marked({"DRUG": ("[", "]")})), BASELINE, "error"),
    Problem("space before punctuation left", everywhere(marked({}, moved_space=True)), MARKERS, "warning"),
    Problem("doubled spaces left", everywhere(marked(all_types(" ", " "))), MARKERS, "warning"),
    Problem("merged spans, brackets in", everywhere(published), ("merged_spans",), "warning"),
    Problem("merged spans, plain text", everywhere(merged), ("merged_spans",), "info"),
    *(
        Problem(f"{name} of train in test, {rate:.0%}", copied(change, rate), COPY, severity)
        for name, change in (("copies", lambda s: s), ("respelled copies", respelled), ("near copies", nearly))
        for rate, severity in (SMALL_SHARE, LARGE_SHARE)
    ),
    Problem("label conflicts, 5%", everywhere(conflicting), ("label_conflicts",), "info"),
    Problem("footnotes as drugs", everywhere(footnoted), ("footnotes",), "warning"),
    Problem("types in other letters, 3%", everywhere(retyped), ("similar_types",), "warning"),
    Problem("300 words before 10% of sentences", everywhere(lengthened), ("truncation",), "warning"),
    Problem("windows of 60 characters", windowed, ("cut_words",), "warning"),
    Problem("other annotation of 5% of sentences", annotated_twice, ("annotation_conflicts",), "warning"),
    Problem("documents across splits", in_documents, ("groups_across_splits",), "warning"),
    Problem("spans with punctuation or space, 5%",
        everywhere(respanned(lambda s, _: (replace(s, end=s.end + 1),))), ("span_edges",), "warning"),
    Problem("overlapping spans, 5%",
        everywhere(respanned(lambda s, _: (s, replace(s, start=s.start + 2)))), ("overlapping_spans",), "warning"),
    Problem("spans off word boundaries, 5%",
        everywhere(respanned(lambda s, _: (replace(s, end=s.end - 1),))), ("word_boundaries_character",), "warning"),
)  # fmt: skip

CLEAN: dict[str, Rewrite] = {
    "unchanged": lambda sentence, _random: sentence,
    "punctuation separated from words": tokenized,
    "ordinary brackets": with_brackets,
    "quotation marks": with_quotes,
}


def audited(corpus: Corpus, plant: Plant, seed: int) -> AuditReport:
    """Audit a corpus with a problem planted after splitting."""
    split = split_corpus(corpus, SplitSpec(seed=seed))
    return audit(plant(corpus, split, Random(seed)), split, word_tokenizer="punctuation")


def finding_of(report: AuditReport, kinds: Sequence[str]) -> Finding | None:
    """Return the most severe finding of these kinds."""
    return next((finding for finding in report.findings if finding.kind in kinds), None)


def counted(finding: Finding | None) -> int:
    """Return the count of a finding, 0 without one."""
    return finding.count if finding else 0


def main() -> None:
    """Plant every problem with every seed and print the findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = range(parser.parse_args().seeds)
    corpora = {seed: synthetic_corpus(SIZES[seed % len(SIZES)], seed) for seed in seeds}
    clean = print_clean(corpora)
    print(f"\n{'problem':<40}{'found':>8}{'count':>8}{'without':>8}  severities of the finding")
    for problem in PROBLEMS:
        pairs = [
            (
                finding_of(audited(corpora[seed], problem.plant, seed), problem.kinds),
                finding_of(clean[seed], problem.kinds),
            )
            for seed in seeds
        ]
        enough = SEVERITIES[: SEVERITIES.index(problem.severity) + 1]
        found = sum(f is not None and f.severity in enough and f.count > counted(before) for f, before in pairs)
        worst = Counter(finding.severity if finding else "–" for finding, _ in pairs)
        counts = [mean(map(counted, column)) for column in zip(*pairs, strict=True)]
        print(
            f"{problem.name:<40}{f'{found}/{len(seeds)}':>8}{counts[0]:>8.1f}{counts[1]:>8.1f}  {dict(worst)}",
            flush=True,
        )


def print_clean(corpora: dict[int, Corpus]) -> dict[int, AuditReport]:
    """Print the findings on clean corpora; return the reports on the unchanged text."""
    print(f"{'clean corpora':<40}{'errors':>8}{'markup':>8}  warnings")
    written: dict[int, AuditReport] = {}
    for name, rewrite in CLEAN.items():
        reports = {seed: audited(corpus, everywhere(rewrite), seed) for seed, corpus in corpora.items()}
        written = written or reports
        errors = sum(len(report.at_least("error")) for report in reports.values())
        markup = sum(finding_of(report, MARKERS) is not None for report in reports.values())
        warnings = Counter(f.kind for report in reports.values() for f in report.findings if f.severity == "warning")
        print(f"{name:<40}{errors:>8}{markup:>8}  {dict(warnings)}", flush=True)
    return written


if __name__ == "__main__":
    main()
