"""What rules without a model score: a gazetteer of the train part's entities, and the markup rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from tune_ner.audit.findings import Finding, percent
from tune_ner.audit.marker_baseline import sample
from tune_ner.data.corpus import Corpus, Sentence, Span, SplitName
from tune_ner.data.splits import Split
from tune_ner.evaluation.seen_entities import EntityMatcher, count_occurrences
from tune_ner.evaluation.span_metrics import SpanMetrics, score_spans

TRIVIAL_F1 = 0.9
"""F1 on the test part from which a rule without a model makes every model's score worthless."""

SCORED_PARTS: tuple[SplitName, ...] = ("validation", "test")
Predict = Callable[[str], Iterable[Span]]


@dataclass(frozen=True)
class Gazetteer:
    """Every form that is an entity in train, by longest match on words, with its most frequent type.

    `fold_case` says whether capitals count, `only_usual` whether forms are left out that train mostly leaves
    unlabelled. Both are chosen on train: learnt from one half, scored on the other.
    """

    types: dict[tuple[str, ...], str]
    index: EntityMatcher
    only_usual: bool

    def predict(self, text: str) -> tuple[Span, ...]:
        """The spans of a text."""
        found = self.index.find(text)
        return tuple(Span(start, end, self.types[form]) for start, end, form in found if form in self.types)


def learn_gazetteer(train: Sequence[Sentence], types: Sequence[str]) -> Gazetteer:
    """The gazetteer of a train part, in the variant that does best within it."""
    chosen = sample(train)
    learnt, held_out = chosen[::2], chosen[1::2]
    variants = list(product((True, False), (True, False)))

    def held_out_f1(variant: tuple[bool, bool]) -> float:
        return score_on(held_out, _gazetteer(learnt, *variant).predict, types).f1

    return _gazetteer(train, *max(variants, key=held_out_f1))


def score_on(sentences: Sequence[Sentence], predict: Predict, types: Sequence[str]) -> SpanMetrics:
    """The scores of a rule on sentences, exact match of type and characters."""
    gold = [sentence.spans for sentence in sentences]
    return score_spans(gold, [tuple(predict(sentence.text)) for sentence in sentences], types)


def score_parts(corpus: Corpus, split: Split, predict: Predict) -> dict[SplitName, SpanMetrics]:
    """The scores of a rule on the validation and the test part."""
    return {
        split_name: score_on([corpus.sentences[index] for index in split[split_name]], predict, corpus.entity_types)
        for split_name in SCORED_PARTS
    }


def gazetteer_finding(scores: dict[SplitName, SpanMetrics], gazetteer: Gazetteer) -> Finding | None:
    """An error when the gazetteer is as good as a model could be; otherwise the bar that a model must pass."""
    test = scores["test"]
    if not test.support:
        return None
    right = round(test.recall * test.support)
    trivial = test.f1 >= TRIVIAL_F1
    capitals = "whatever their capitals" if gazetteer.index.fold_case else "with their capitals"
    return Finding(
        kind="gazetteer",
        severity="error" if trivial else "info",
        title=f"a list of the train part's entities reaches F1 {test.f1:.2f} on the test part",
        count=right,
        of=test.support,
        effect=(
            f"Looking up the {len(gazetteer.types):,} entity forms of train ({capitals}) finds {right:,} of "
            f"{test.support:,} test entities ({percent(test.recall)}) with precision {test.precision:.2f}, without any "
            f"model. A model's F1 means something by as much as it exceeds {test.f1:.2f}."
        ),
        remedy=(
            "Take a test part with other entities: `--split grouped` keeps like sentences together, and more varied "
            "text helps more."
            if trivial
            else "Report this F1 beside every model's."
        ),
        figures={
            "forms": float(len(gazetteer.types)),
            **{f"{split_name}_f1": scores[split_name].f1 for split_name in SCORED_PARTS},
            "test_precision": test.precision,
            "test_recall": test.recall,
        },
    )


def _gazetteer(train: Sequence[Sentence], fold_case: bool, only_usual: bool) -> Gazetteer:
    index = EntityMatcher(train, fold_case)
    types = {form: max(sorted(labels), key=lambda label: labels[label]) for form, labels in index.labels.items()}
    if only_usual:
        seen = count_occurrences(index, train)
        types = {form: label for form, label in types.items() if seen[form].labelled >= seen[form].unlabelled}
    return Gazetteer(types, index, only_usual)
