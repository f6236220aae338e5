"""Requests over HTTP: for texts and for tasks of Label Studio."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.model_folders import TEXTS, a_model_folder
from tune_ner.inference.predictor import Predictor
from tune_ner.inference.server import Batches, new_app

CONFIG = '<View><Labels name="ner" toName="note"><Label value="DRUG"/></Labels><Text name="note" value="$body"/></View>'


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(a_model_folder(tmp_path_factory.mktemp("models") / "best"))


@pytest.fixture
def client(predictor: Predictor) -> TestClient:
    return TestClient(new_app(predictor, "demo", max_texts=50, max_characters=5000))


def test_texts_get_the_entities_of_the_predictor(client: TestClient, predictor: Predictor) -> None:
    texts = [*TEXTS[:30], "", "😀 Ta ibuprofen"]
    answer = client.post("/predict", json={"texts": texts})
    assert answer.status_code == 200
    expected = [[asdict(span) for span in spans] for spans in predictor.predict(texts)]
    assert answer.json() == {"entities": expected}
    assert sum(map(len, expected)) > 10
    assert client.post("/predict", json={"texts": []}).json() == {"entities": []}


def test_tasks_of_label_studio_get_regions_with_its_names(client: TestClient, predictor: Predictor) -> None:
    texts = TEXTS[:20]
    tasks = [{"id": number, "data": {"body": text}} for number, text in enumerate(texts)]
    answer = client.post("/predict", json={"tasks": tasks, "label_config": CONFIG, "project": "1.2"}).json()
    expected = predictor.predict(texts)
    for found, spans in zip(answer["results"], expected, strict=True):
        assert found["model_version"] == "demo"
        assert [(each["from_name"], each["to_name"], each["type"]) for each in found["result"]] == [
            ("ner", "note", "labels") for _ in spans
        ]
        assert [each["value"] for each in found["result"]] == [
            {"start": span.start, "end": span.end, "text": span.text, "labels": [span.label]} for span in spans
        ]
        assert found["score"] == min((span.score for span in spans), default=1.0)
    assert client.post("/setup", json={"project": "1"}).json() == {"model_version": "demo"}
    health = client.get("/health").json()
    assert (health["status"], set(health["entity_types"])) == ("UP", {"DISORDER", "DRUG", "BODY"})


def test_tasks_without_a_configuration_are_read_from_text(client: TestClient, predictor: Predictor) -> None:
    tasks = [{"data": {"text": text}} for text in TEXTS[:5]]
    results = client.post("/predict", json={"tasks": tasks}).json()["results"]
    assert [len(result["result"]) for result in results] == [*map(len, predictor.predict(TEXTS[:5]))]


@pytest.mark.parametrize("task", [{"id": 7}, {"id": 7, "data": {"text": "Ta ibuprofen"}}, {"id": 7, "data": []}])
def test_a_task_without_the_text_that_the_configuration_names_is_refused(client: TestClient, task: object) -> None:
    answer = client.post("/predict", json={"tasks": [task], "label_config": CONFIG})
    assert answer.status_code == 422
    assert "task 7: no text in data.body" in answer.text


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"texts": ["x"] * 51}, 413, "found 51 texts with 51 characters; expected at most 50 texts"),
        ({"texts": ["x" * 5001]}, 413, "found 1 texts with 5,001 characters"),
        ({"texts": ["\ud800"]}, 422, "surrogate"),
        ({"texts": "Ta ibuprofen"}, 422, "list"),
        ({"texts": [1]}, 422, "string"),
        ({"text": "Ta ibuprofen"}, 422, "texts"),
        ([], 422, ""),
    ],
)
def test_requests_that_are_too_large_or_invalid_are_refused(
    client: TestClient, body: object, status: int, message: str
) -> None:
    answer = client.post("/predict", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert message in answer.text


def test_a_body_is_refused_before_it_is_read(client: TestClient) -> None:
    assert client.post("/predict", content=b"x" * 90_000).status_code == 413
    assert client.post("/predict", content=iter([b"{}"])).status_code == 413  # without a length
    assert client.post("/predict", content=b"{").status_code == 422


class CountingPredictor(Predictor):
    """Counts its calls; a text `bad` is an error; the first call waits until it is released."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.is_released = threading.Event()

    def predict(self, texts: list[str]) -> Any:  # type: ignore[override]
        self.calls.append(texts)
        self.is_released.wait(timeout=30)
        if "bad" in texts:
            raise RuntimeError("bad")
        return [[text] for text in texts]


def test_texts_of_concurrent_requests_are_computed_together_and_errors_stay_with_theirs() -> None:
    predictor = CountingPredictor()
    batches = Batches(predictor)
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(batches.predict, ["first"])
        while not predictor.calls:
            pass
        others = [pool.submit(batches.predict, [f"{number}", "x"]) for number in range(8)]
        bad = pool.submit(batches.predict, ["bad"])
        while batches._waiting.qsize() < 9:
            pass
        predictor.is_released.set()
        answers: list[Any] = [found.result() for found in (first, *others)]
        assert answers == [[["first"]], *([[f"{number}"], ["x"]] for number in range(8))]
        with pytest.raises(RuntimeError, match="bad"):
            bad.result()
    assert len(predictor.calls[1]) == 17


def test_the_description_of_the_requests_names_the_fields(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/health", "/predict", "/setup"}
    assert "texts" in schema["components"]["schemas"]["TextRequest"]["properties"]
