"""Checks for splits with too few entities."""

from collections.abc import Iterator

from tune_ner.audit.baselines import EVALUATED_SPLITS
from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import Finding, span_examples
from tune_ner.evaluation.confidence_intervals import half_width
from tune_ner.utils.text import plural

_COARSE = 0.05
_FEW = 10
_ASSUMED_F1 = 0.8


class MissingTypes(Check):
    """Entity types that do not occur in every split."""

    name = "missing_types"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        counts = [(name, label, n) for name, size in data.sizes.items() for label, n in size.per_type.items()]
        missing = [f"{label} in {split_name}" for split_name, label, number in counts if not number]
        if missing:
            yield Finding(
                kind=self.name,
                severity="warning",
                title=f"entity types without entities: {', '.join(missing)}",
                count=len(missing),
                total=len(counts),
                effect=(
                    "A type without entities in train is never predicted. Without entities in validation or test it is "
                    "not evaluated there, and every prediction of it counts as wrong."
                ),
                suggestion="Use more text, larger splits or another split seed, or remove the type.",
            )


class RareTypes(Check):
    """Entity types with few entities."""

    name = "rare_types"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        totals = {
            label: sum(size.per_type[label] for size in data.sizes.values()) for label in data.corpus.entity_types
        }
        rare = {label: number for label, number in totals.items() if 0 < number < _FEW}
        if rare:
            named = ", ".join(f"{label} ({number})" for label, number in rare.items())
            yield Finding(
                kind=self.name,
                severity="info",
                title=f"entity types with fewer than {_FEW} entities: {named}",
                count=sum(rare.values()),
                total=sum(totals.values()),
                effect="A model cannot learn them, and their scores are mostly chance.",
                suggestion="Annotate more entities of these types, or merge or remove the types.",
            )


class SimilarTypes(Check):
    """Entity types whose names differ in case, spacing or punctuation only."""

    name = "similar_types"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        names: dict[str, list[str]] = {}
        for label in data.corpus.entity_types:
            names.setdefault("".join(filter(str.isalnum, label.casefold())), []).append(label)
        totals = {
            label: sum(size.per_type[label] for size in data.sizes.values()) for label in data.corpus.entity_types
        }
        for labels in names.values():
            if len(labels) > 1:
                rarer = sorted(labels, key=lambda label: totals[label])[:-1]
                yield Finding(
                    kind=self.name,
                    severity="warning",
                    title=f"entity types that differ in spelling only: {', '.join(labels)}",
                    count=sum(totals[label] for label in rarer),
                    total=sum(totals.values()),
                    effect="A model has to tell them apart, and confusing them counts as an error.",
                    suggestion="Rename them to one type in the data, if they mean the same.",
                    examples=span_examples((s, span) for s, span in data.entities if span.label in rarer),
                )


class SampleSize(Check):
    """Width of the confidence interval of F1, from the number of entities in validation and test."""

    name = "sample_size"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        for split_name in EVALUATED_SPLITS:
            size = data.sizes[split_name]
            if not size.entities:
                yield Finding(
                    kind=self.name,
                    severity="error",
                    title=f"the {split_name} split has no entities",
                    count=0,
                    total=size.sentences,
                    effect=f"F1 on its {plural(size.sentences, 'sentence')} is 0 for any model.",
                    suggestion=f"Use more text, a larger {split_name} split or another split seed.",
                )
                continue
            width, entities = half_width(size.entities, _ASSUMED_F1), plural(size.entities, "entity", "entities")
            ability, suggestion = "can resolve differences of", "Report the confidence interval with every score."
            if width > _COARSE:
                ability = "is too small to resolve differences below"
                suggestion = (
                    "Train each configuration with several seeds and compare paired runs, or annotate more text."
                )
            yield Finding(
                kind=self.name,
                severity="warning" if width > _COARSE else "info",
                title=f"the {split_name} set ({entities}) {ability} ±{width:.3f} F1",
                count=size.entities,
                total=size.entities,
                effect=(
                    f"An F1 of {_ASSUMED_F1} on {entities} has a 95 % confidence interval of ±{width:.3f}. One run "
                    "cannot distinguish two models whose scores are closer together."
                ),
                suggestion=suggestion,
                values={"half_width": width},
            )
