"""Ordinary brackets that were read as annotation, and unpaired brackets."""

import pytest

from tests.audit.corpora import make_corpus, run
from tune_ner.audit.checks.brackets import LiteralBrackets, UnpairedBrackets


@pytest.mark.parametrize("annotated", ["Memantin <DISORDER ( Ebixa )> ger.", "Memantin ( <DISORDER Ebixa> ) ger."])
def test_name_in_brackets_after_a_name_is_found(annotated: str) -> None:
    (finding,) = run(LiteralBrackets(), make_corpus(annotated))
    assert (finding.severity, finding.count) == ("info", 1)


@pytest.mark.parametrize(
    "annotated", ["Man får <DISORDER ( feber )> nu.", "Ta <DRUG Ebixa>.", "<DISORDER (Feber)> nu."]
)
def test_other_entities_are_not_literal_brackets(annotated: str) -> None:
    assert run(LiteralBrackets(), make_corpus(annotated)) == []


def test_unpaired_and_empty_brackets_are_found() -> None:
    (finding,) = run(UnpairedBrackets(), make_corpus("Ont ( nu.", "Ont (nu).", "Ont [] nu."))
    assert (finding.severity, finding.count, finding.total) == ("warning", 2, 3)
    assert run(UnpairedBrackets(), make_corpus("Ont (nu).")) == []
