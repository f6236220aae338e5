# Run, from the repository root (about four minutes on one core):
#   python benchmarks/planted_leaks.py --seeds 20
"""What the audit finds of faults that were planted on purpose, and what it says of corpora without any.

Every fault is planted into synthetic text, once a seed. A fault is found when the audit has a finding of the
expected kind that is at least as severe as expected and that counts more than in the same text without the
fault. Clean corpora must raise no error, and no finding about
markup; some of them hold what looks like markup and is ordinary text.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import mean

from tune_ner.audit.audit import audit_corpus
from tune_ner.audit.findings import SEVERITIES, AuditReport, Finding, Severity
from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.data.splits import Split, SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus

SIZES = (600, 750)
PUNCTUATION = ".,;:!?"

Rewrite = Callable[[Sentence, Random], Sentence]
Plant = Callable[[Corpus, Split, Random], Corpus]


@dataclass(frozen=True)
class Fault:
    """A fault, how it is planted, and the finding that must come of it."""

    name: str
    plant: Plant
    kinds: tuple[str, ...]
    severity: Severity


def everywhere(rewrite: Rewrite) -> Plant:
    """A fault that is planted sentence by sentence, in all parts."""

    def plant(corpus: Corpus, _split: Split, random: Random) -> Corpus:
        return replace(corpus, sentences=tuple(rewrite(sentence, random) for sentence in corpus.sentences))

    return plant


def marked(
    markers: dict[str, tuple[str, str]], inside: bool = False, moved_space: bool = False, rate: float = 1.0
) -> Rewrite:
    """Markers around the entities of the types given, `inside` the spans or outside of them."""

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
    """The same markers for every type."""
    return dict.fromkeys(("DISORDER", "DRUG", "BODY"), (opening, closing))


def merged(sentence: Sentence, _random: Random) -> Sentence:
    """The first and the last entity of one type in one span, with all that is between them."""
    spans: dict[str, Span] = {}
    for span in sentence.spans:
        first = spans.get(span.label, span)
        spans[span.label] = Span(first.start, span.end, span.label)
    return replace(sentence, spans=tuple(sorted(spans.values())))


def respanned(change: Callable[[Span, str], tuple[Span, ...]], rate: float = 0.05) -> Rewrite:
    """Spans that are changed at a rate; what falls out of the text is left as it was."""

    def rewrite(sentence: Sentence, random: Random) -> Sentence:
        spans: list[Span] = []
        for span in sentence.spans:
            changed = change(span, sentence.text) if random.random() < rate else (span,)
            fits = all(0 <= new.start < new.end <= len(sentence.text) for new in changed)
            spans += changed if fits else (span,)
        return replace(sentence, spans=tuple(spans))

    return rewrite


def conflicting(sentence: Sentence, random: Random) -> Sentence:
    """One entity in twenty gets another type."""
    others = {"DISORDER": "DRUG", "DRUG": "BODY", "BODY": "DISORDER"}
    spans = (replace(s, label=others[s.label]) if random.random() < 0.05 else s for s in sentence.spans)
    return replace(sentence, spans=tuple(spans))


def copied(change: Callable[[Sentence], Sentence], rate: float) -> Plant:
    """Test sentences that are replaced by train sentences, changed a little, at a rate."""

    def plant(corpus: Corpus, split: Split, random: Random) -> Corpus:
        sentences = list(corpus.sentences)
        long = [index for index in split.train if len(sentences[index].text) >= 60]
        for index in random.sample(split.test, round(rate * len(split.test))):
            sentences[index] = change(sentences[random.choice(long)])
        return replace(corpus, sentences=tuple(sentences))

    return plant


def respelt(sentence: Sentence) -> Sentence:
    """The same sentence with its first letter small and a no-break space for its last space."""
    first, *rest = sentence.text.rpartition(" ")
    return replace(sentence, text=f"{first[:1].lower()}{first[1:]}\u00a0{rest[1]}")


def nearly(sentence: Sentence) -> Sentence:
    """One more short word before the closing punctuation."""
    return replace(sentence, text=f"{sentence.text[:-1]} nu{sentence.text[-1]}")


def tokenised(sentence: Sentence, _random: Random) -> Sentence:
    """Punctuation parted from every word by a space, as in corpora that come as tokens."""
    text, spans = sentence.text, sentence.spans
    for position in sorted((i for i, c in enumerate(text) if c in PUNCTUATION), reverse=True):
        text = f"{text[:position]} {text[position:]}"
        spans = tuple(replace(s, start=s.start + (s.start >= position), end=s.end + (s.end > position)) for s in spans)
    return replace(sentence, text=text, spans=spans)


def with_brackets(sentence: Sentence, random: Random) -> Sentence:
    """Brackets around one entity in ten, and around a word of every second sentence that is none."""
    return around_a_word(marked(all_types("(", ")"), rate=0.1)(sentence, random), random, "(", ")")


def with_quotes(sentence: Sentence, random: Random) -> Sentence:
    """Quotation marks around one entity in ten, and around a word of every second sentence that is none."""
    return around_a_word(marked(all_types('"', '"'), rate=0.1)(sentence, random), random, '"', '"')


def around_a_word(sentence: Sentence, random: Random, opening: str, closing: str) -> Sentence:
    """Marks around a random word of every second sentence, unless it is part of an entity."""
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


BRACKETS = {"DISORDER": ("( ", " )"), "DRUG": ("[ ", " ]"), "BODY": ("{ ", " }")}
TIGHT = {label: (opening.strip(), closing.strip()) for label, (opening, closing) in BRACKETS.items()}
RULE, EDGE = ("markup_rule",), ("markup_rule", "markup_boundary")
COPY = ("duplicates_train_test",)


def published(sentence: Sentence, random: Random) -> Sentence:
    """Brackets within the spans, body parts merged: the first one of a sentence runs to the last."""
    with_markers = marked(BRACKETS, inside=True, moved_space=True)(sentence, random)
    return merged(with_markers, random) if random.random() < 0.5 else with_markers


FAULTS = (
    Fault("brackets within spans", everywhere(marked(BRACKETS, True, True)), RULE, "error"),
    Fault("brackets around spans", everywhere(marked(TIGHT)), RULE, "error"),
    Fault("brackets around two in three", everywhere(marked(TIGHT, rate=0.67)), EDGE, "warning"),
    Fault("<b>…</b>", everywhere(marked(all_types("<b>", "</b>"))), RULE, "error"),
    Fault("**…**", everywhere(marked(all_types("**", "**"))), RULE, "error"),
    Fault("_…_", everywhere(marked(all_types("_", "_"))), RULE, "error"),
    Fault("opening marker only", everywhere(marked(all_types("[", ""))), EDGE, "warning"),
    Fault("closing marker only", everywhere(marked(all_types("", "]"))), EDGE, "warning"),
    Fault("marker for one type only", everywhere(marked({"DRUG": ("[", "]")})), RULE, "error"),
    Fault("space before punctuation left", everywhere(marked({}, moved_space=True)), EDGE, "warning"),
    Fault("doubled spaces left", everywhere(marked(all_types(" ", " "))), EDGE, "warning"),
    Fault("merged spans, brackets in", everywhere(published), ("merged_spans",), "warning"),
    Fault("merged spans, plain text", everywhere(merged), ("merged_spans",), "warning"),
    *(
        Fault(f"{name} of train in test, {rate:.0%}", copied(change, rate), COPY, "warning" if rate < 0.1 else "error")
        for name, change in (("copies", lambda s: s), ("respelt copies", respelt), ("near copies", nearly))
        for rate in (0.03, 0.15)
    ),
    Fault("label conflicts, 5%", everywhere(conflicting), ("label_conflicts",), "warning"),
    Fault("spans with punctuation or space, 5%",
        everywhere(respanned(lambda s, _: (replace(s, end=s.end + 1),))), ("loose_edges",), "warning"),
    Fault("overlapping spans, 5%",
        everywhere(respanned(lambda s, _: (s, replace(s, start=s.start + 2)))), ("overlaps",), "warning"),
    Fault("spans off word boundaries, 5%",
        everywhere(respanned(lambda s, _: (replace(s, end=s.end - 1),))), ("off_punctuation_words",), "warning"),
)  # fmt: skip

CLEAN: dict[str, Rewrite] = {
    "as written": lambda sentence, _random: sentence,
    "punctuation parted from words": tokenised,
    "brackets of the text's own": with_brackets,
    "quotation marks": with_quotes,
}


def audited(corpus: Corpus, plant: Plant, seed: int) -> AuditReport:
    """The audit of a corpus with one fault planted after it was divided."""
    split = split_corpus(corpus, SplitSpec(seed=seed))
    return audit_corpus(plant(corpus, split, Random(seed)), split, word_tokenizer="punctuation")


def finding_of(report: AuditReport, kinds: Sequence[str]) -> Finding | None:
    """The worst finding of these kinds."""
    return next((finding for finding in report.findings if finding.kind in kinds), None)


def counted(finding: Finding | None) -> int:
    """How many things a finding concerns, 0 without one."""
    return finding.count if finding else 0


def main() -> None:
    """Plant every fault with every seed and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = range(parser.parse_args().seeds)
    corpora = {seed: synthetic_corpus(SIZES[seed % len(SIZES)], seed) for seed in seeds}
    clean = print_clean(corpora)
    print(f"\n{'fault':<40}{'found':>8}{'count':>8}{'without':>8}  severities of the finding")
    for fault in FAULTS:
        pairs = [
            (finding_of(audited(corpora[seed], fault.plant, seed), fault.kinds), finding_of(clean[seed], fault.kinds))
            for seed in seeds
        ]
        enough = SEVERITIES[: SEVERITIES.index(fault.severity) + 1]
        found = sum(f is not None and f.severity in enough and f.count > counted(before) for f, before in pairs)
        worst = Counter(finding.severity if finding else "–" for finding, _ in pairs)
        counts = [mean(map(counted, column)) for column in zip(*pairs, strict=True)]
        print(
            f"{fault.name:<40}{f'{found}/{len(seeds)}':>8}{counts[0]:>8.1f}{counts[1]:>8.1f}  {dict(worst)}", flush=True
        )


def print_clean(corpora: dict[int, Corpus]) -> dict[int, AuditReport]:
    """Print what is said of clean corpora; return the reports of the text as it was written."""
    print(f"{'clean corpora':<40}{'errors':>8}{'markup':>8}  warnings")
    written: dict[int, AuditReport] = {}
    for name, rewrite in CLEAN.items():
        reports = {seed: audited(corpus, everywhere(rewrite), seed) for seed, corpus in corpora.items()}
        written = written or reports
        errors = sum(len(report.at_least("error")) for report in reports.values())
        markup = sum(finding_of(report, EDGE) is not None for report in reports.values())
        warnings = Counter(f.kind for report in reports.values() for f in report.findings if f.severity == "warning")
        print(f"{name:<40}{errors:>8}{markup:>8}  {dict(warnings)}", flush=True)
    return written


if __name__ == "__main__":
    main()
