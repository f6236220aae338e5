"""Checks for splits with too few entities."""

from collections.abc import Iterator

from tune_ner.audit.baselines import EVALUATED_SPLITS
from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import Finding
from tune_ner.evaluation.confidence_intervals import half_width
from tune_ner.utils.text import plural

_COARSE = 0.05
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
