"""How finely the validation and the test part can tell scores apart at all."""

from __future__ import annotations

from tune_ner.audit.findings import Finding, PartSize
from tune_ner.data.corpus import SplitName
from tune_ner.evaluation.confidence_intervals import half_width

COARSE = 0.05
_ASSUMED_F1 = 0.8
_USE: dict[SplitName, str] = {"validation": "the figure to choose by", "test": "the figure to report"}


def size_findings(parts: dict[SplitName, PartSize]) -> list[Finding]:
    """For the validation and the test part, the half-width of a 95 % interval around an F1 of 0.8."""
    return [_size_finding(split_name, parts[split_name]) for split_name in _USE]


def _size_finding(split_name: SplitName, size: PartSize) -> Finding:
    if not size.entities:
        return Finding(
            kind="size",
            severity="error",
            title=f"the {split_name} part has no entity",
            count=0,
            of=size.sentences,
            effect=f"Every F1 on the {size.sentences:,} sentences of the {split_name} split is 0 for any model.",
            remedy=f"Use more text, a larger {split_name} size or another split seed.",
        )
    width = half_width(size.entities, _ASSUMED_F1)
    coarse = width > COARSE
    return Finding(
        kind="size",
        severity="warning" if coarse else "info",
        title=f"differences below ±{width:.3f} cannot be read from the {split_name} part ({size.entities:,} entities)",
        count=size.entities,
        of=size.entities,
        effect=(
            f"An F1 of {_ASSUMED_F1} on {size.entities:,} entities, {_USE[split_name]}, has a 95 % interval of "
            f"±{width:.3f}: two models whose figures lie closer together cannot be told apart by one run."
        ),
        remedy=(
            "Train each configuration with several seeds and compare the runs in pairs, or annotate more text."
            if coarse
            else "Give the interval with every score."
        ),
        figures={"half_width": width},
    )
