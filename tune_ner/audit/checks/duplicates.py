"""Checks for sentences that occur in several splits, or several times in one split."""

from collections.abc import Iterator, Mapping, Sequence

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import Example, Finding, Severity, first_examples, location, percent, ratio
from tune_ner.data.corpus import SPLIT_NAMES, SplitName
from tune_ner.evaluation.span_metrics import exact_f1

_MANY = 0.1  # share of the test entities in train from which its scores are meaningless
_NOTABLE = 0.01
_MEASURABLE = 0.005  # difference of the gazetteer's F1 with and without the repeated sentences
_TEXT_LENGTH = 100
_LEVELS = {"exact": "identical", "normalized": "equal except for case and spacing", "near": "near-identical"}
_EFFECTS: dict[tuple[SplitName, SplitName], str] = {
    ("train", "test"): "A model can memorize them, so the test scores are too high.",
    ("train", "validation"): "Model selection then favours models that memorize them.",
    ("validation", "test"): "The test split is then not independent of model selection.",
}
"""Effect on the scores if the second split repeats sentences of the first, the worst first."""


class DuplicatesAcrossSplits(Check):
    """Identical and near-identical sentences in different splits."""

    name = "duplicates_across_splits"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        for (first, second), effect in _EFFECTS.items():
            shared = data.shared_sentences(second, first)
            affected = shared[list(shared)[-1]]
            if not affected:
                continue
            share = ratio(len(affected), len(data.split[second]))
            entities = sum(len(data.corpus.sentences[index].spans) for index in affected)
            total = data.sizes[second].entities
            of_entities = ratio(entities, total)
            measured, values = _score_without(data, second, set(affected)) if first == "train" else ("", {})
            counts = {level: len(indices) for level, indices in shared.items()}
            yield Finding(
                kind=f"duplicates_{first}_{second}",
                severity=_severity(of_entities, values, is_test=(first, second) == ("train", "test")),
                title=f"{percent(share)} of {second} sentences also occur in {first}: {_describe(counts)}",
                count=len(affected),
                total=len(data.split[second]),
                effect=(
                    f"They contain {entities:,} of {total:,} {second} entities ({percent(of_entities)}). "
                    f"{effect}{measured}"
                ),
                suggestion=_remedy(data),
                examples=first_examples(_pairs(data, shared, first)),
                values={**counts, "share": share, "entities": entities, **values},
            )


class DuplicatesWithinSplits(Check):
    """Sentences that repeat another sentence of the same split."""

    name = "duplicates_within_splits"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        repeats = {name: _count_repeats(data, data.split[name]) for name in SPLIT_NAMES}
        count, total = sum(list(counts.values())[-1] for counts in repeats.values()), len(data.sentences)
        if not count:
            return
        details = "; ".join(f"{name}: {_describe(counts) or 'none'}" for name, counts in repeats.items())
        yield Finding(
            kind=self.name,
            severity="info",
            title=f"{percent(count / total)} of sentences repeat another sentence of the same split",
            count=count,
            total=total,
            effect=(
                "Repeated sentences count several times in training and evaluation, and make a split look larger than "
                f"it is ({details})."
            ),
            suggestion="Remove repeated sentences before splitting, unless their frequency is meaningful.",
            values={f"{name}_{level}": n for name, counts in repeats.items() for level, n in counts.items()},
        )


class GroupsAcrossSplits(Check):
    """Documents, or other groups of the corpus, with sentences in several splits."""

    name = "groups_across_splits"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        train = {sentence.group for sentence in data.sentences_of("train")} - {""}
        test = data.sentences_of("test")
        shared = [sentence for sentence in test if sentence.group in train]
        if not shared:
            return
        entities, total = sum(len(s.spans) for s in shared), data.sizes["test"].entities
        name = data.corpus.group_by or "document"
        groups = {sentence.group for sentence in test} - {""}
        yield Finding(
            kind=self.name,
            severity="warning" if ratio(entities, total) >= _NOTABLE else "info",
            title=f"{percent(ratio(entities, total))} of test entities are in a {name} that train has sentences of",
            count=len(shared),
            total=len(test),
            effect=(
                f"{len(groups & train):,} of {len(groups):,} groups of the test split "
                "are also in train. Their names and topics recur, so the test scores are higher than "
                f"for a new {name}."
            ),
            suggestion=f"Keep each {name} in one split: {data.command(f'--group-by {name} --split grouped')}.",
            examples=first_examples(Example(location(s), f"{s.group}: {_shorten(s.text)}") for s in shared),
            values={"share": ratio(entities, total)},
        )


def _severity(share: float, values: Mapping[str, float], *, is_test: bool) -> Severity:
    """Return the severity by the share of entities in repeated sentences, and by their effect on the gazetteer."""
    if is_test and share > _MANY:
        return "error"
    is_measurable = not values or values["gazetteer_f1"] - values["gazetteer_f1_without"] >= _MEASURABLE
    return "warning" if share >= _NOTABLE and is_measurable else "info"


def _remedy(data: AuditInput) -> str:
    if data.is_grouped:
        return "Remove the repeated sentences from one of the splits."
    published = " This replaces the published split." if data.corpus.splits else ""
    return f"Keep similar sentences in the same split: `--split grouped`.{published}"


def _score_without(data: AuditInput, split_name: SplitName, affected: set[int]) -> tuple[str, dict[str, float]]:
    """Return what a list of the train entities scores on a split with and without some sentences."""
    rows = zip(data.split[split_name], data.baseline_spans["gazetteer"][split_name], strict=True)
    kept = [(data.corpus.sentences[index].spans, spans) for index, spans in rows if index not in affected]
    if not any(gold for gold, _ in kept):
        return "", {}
    whole = data.baselines["gazetteer"][split_name].f1
    without = exact_f1([gold for gold, _ in kept], [spans for _, spans in kept])
    text = f" The gazetteer of the train entities has F1 {whole:.3f} on all sentences and {without:.3f} without them."
    return text, {"gazetteer_f1": whole, "gazetteer_f1_without": without}


def _count_repeats(data: AuditInput, indices: Sequence[int]) -> dict[str, int]:
    """Count the sentences that repeat another one, by level; empty texts are left out."""
    filled = [index for index in indices if data.corpus.sentences[index].text.strip()]
    levels = data.duplicate_groups.items()
    return {level: len(filled) - len({int(groups[index]) for index in filled}) for level, groups in levels}


def _describe(counts: Mapping[str, int]) -> str:
    """Describe the counts of each level without those of the levels before it: `6 identical, 2 near-identical`."""
    more = zip(counts, counts.values(), [0, *counts.values()], strict=False)
    return ", ".join(f"{count - before:,} {_LEVELS[level]}" for level, count, before in more if count > before)


def _pairs(data: AuditInput, shared: Mapping[str, Sequence[int]], other: SplitName) -> Iterator[Example]:
    """Show sentences with a similar one of the other split, the most similar first."""
    shown: set[int] = set()
    for level, indices in shared.items():
        groups = data.duplicate_groups[level]
        originals = {int(groups[index]): index for index in reversed(data.split[other])}
        for index in indices:
            if index not in shown:
                shown.add(index)
                sentence, original = (data.corpus.sentences[i] for i in (index, originals[int(groups[index])]))
                text = _shorten(sentence.text) + (f" ~ {_shorten(original.text)}" if level == "near" else "")
                yield Example(f"{location(sentence)} = {location(original)}", text)


def _shorten(text: str) -> str:
    return text if len(text) <= _TEXT_LENGTH else f"{text[:_TEXT_LENGTH]}…"
