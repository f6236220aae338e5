"""The component of spaCy pipelines."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest
import spacy

from tests.model_folders import TEXTS, a_model_folder
from tune_ner.data.corpus import PredictedSpan
from tune_ner.errors import ModelError
from tune_ner.inference.predictor import Predictor
from tune_ner.inference.spacy_component import Alignment, EntityRecognizer, create


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_model_folder(tmp_path_factory.mktemp("models") / "best")


def test_spacy_finds_the_component_by_its_name() -> None:
    (found,) = entry_points(group="spacy_factories", name="tune_ner")
    assert found.load() is create


def test_entities_of_documents_are_those_of_the_predictor(folder: Path) -> None:
    nlp = spacy.blank("sv")
    nlp.add_pipe("tune_ner", config={"model": str(folder)})
    predicted = zip(TEXTS[:60], Predictor.load(folder).predict(TEXTS[:60]), strict=True)
    aligned = [
        (text, spans)
        for text, spans in predicted
        if all(nlp.make_doc(text).char_span(span.start, span.end) for span in spans)
    ]
    texts, expected = [text for text, _ in aligned] + [""], [spans for _, spans in aligned] + [[]]
    assert sum(map(len, expected)) > 10
    for docs in ([nlp(text) for text in texts], list(nlp.pipe(iter(texts), batch_size=7))):
        assert [doc.text for doc in docs] == texts
        found = [[(entity.text, entity.label_) for entity in doc.ents] for doc in docs]
        assert found == [[(span.text, span.label) for span in spans] for spans in expected]


class FixedPredictor(Predictor):
    """Finds the same two entities in every text, both within one token of spaCy."""

    def __init__(self) -> None: ...

    def predict(self, texts: object) -> list[PredictedSpan]:  # type: ignore[override]
        return [PredictedSpan(4, 8, "BODY", 0.9, "knä-"), PredictedSpan(8, 12, "DISORDER", 0.9, "värk")]


@pytest.mark.parametrize(
    ("alignment", "expected"), [("expand", [("knävärken", "BODY")]), ("contract", []), ("strict", [])]
)
def test_an_entity_within_a_token_is_aligned_as_asked_for(
    alignment: Alignment, expected: list[tuple[str, str]]
) -> None:
    doc = EntityRecognizer(FixedPredictor(), alignment)(spacy.blank("sv")("Min knävärken ."))
    assert [(entity.text, entity.label_) for entity in doc.ents] == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "expected a model"),
        ({"model": "nowhere"}, "no such folder"),
        ({"model": "x", "alignment": "some"}, "alignment: found 'some', expected one of expand, contract, strict"),
        ({"model": "x", "precision": "fp8"}, "precision: found 'fp8', expected one of auto, fp32, fp16, bf16"),
    ],
)
def test_a_wrong_configuration_is_reported(config: dict[str, str], expected: str) -> None:
    with pytest.raises(ModelError, match=expected):
        spacy.blank("sv").add_pipe("tune_ner", config=config)
