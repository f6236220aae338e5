"""What a part is too small to tell."""

from tune_ner.audit.checks.sample_size import size_findings
from tune_ner.audit.findings import PartSize
from tune_ner.evaluation.confidence_intervals import half_width


def test_a_small_part_is_a_warning_and_a_large_one_good_to_know() -> None:
    validation, test = size_findings({"validation": PartSize(75, 83, {}), "test": PartSize(4000, 5000, {})})
    assert (validation.severity, test.severity) == ("warning", "info")
    assert validation.figures["half_width"] == half_width(83, 0.8)
    assert f"±{half_width(83, 0.8):.3f}" in validation.title
    assert test.figures["half_width"] < 0.05 < validation.figures["half_width"]


def test_a_part_without_entities_measures_nothing() -> None:
    validation, test = size_findings({"validation": PartSize(0, 0, {}), "test": PartSize(3, 0, {})})
    assert validation.severity == test.severity == "error"
    assert test.title == "the test part has no entity"
