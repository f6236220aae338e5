"""An HTTP server for one model, which is also a machine learning backend of Label Studio."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict
from html.parser import HTMLParser
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from tune_ner import __version__
from tune_ner.data.corpus import PredictedSpan
from tune_ner.errors import TextError
from tune_ner.inference.predictor import Predictor

_WAIT_SECONDS = 0.005
_LARGEST_BATCH = 256


class TextRequest(BaseModel):
    """Texts in which to find entities."""

    model_config = ConfigDict(extra="forbid")

    texts: Annotated[list[str], Field(description="The texts.")]


class Entity(BaseModel):
    """An entity; `start` and `end` count characters of the text, the end is exclusive."""

    start: int
    end: int
    label: str
    score: float
    text: str


class TextResponse(BaseModel):
    """The entities of each text, in the order of the texts."""

    entities: list[list[Entity]]


class LabelStudioRequest(BaseModel):
    """Tasks of Label Studio; further keys are allowed."""

    tasks: list[dict[str, Any]]
    label_config: str | None = None


class Batches:
    """Predicts the texts of concurrent requests together, in a thread of its own.

    Args:
        predictor: the model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._waiting: queue.SimpleQueue[tuple[list[str], Future[list[list[PredictedSpan]]]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="predict", daemon=True).start()

    def predict(self, texts: Sequence[str]) -> list[list[PredictedSpan]]:
        """Return the entities of each text.

        Raises:
            TextError: a text contains a lone surrogate or is too long.
        """
        answer: Future[list[list[PredictedSpan]]] = Future()
        self._waiting.put((list(texts), answer))
        return answer.result()

    def _run(self) -> None:
        while True:
            requests = [self._waiting.get()]
            while sum(len(texts) for texts, _ in requests) < _LARGEST_BATCH:
                try:
                    requests.append(self._waiting.get(timeout=_WAIT_SECONDS))
                except queue.Empty:
                    break
            self._answer(requests)

    def _answer(self, requests: Sequence[tuple[list[str], Future[list[list[PredictedSpan]]]]]) -> None:
        try:
            found = iter(self._predictor.predict([text for texts, _ in requests for text in texts]))
            for texts, answer in requests:
                answer.set_result([next(found) for _ in texts])
        except Exception as error:  # noqa: BLE001 - any error ends one request, not the thread
            if len(requests) == 1:
                requests[0][1].set_exception(error)
            else:
                for request in requests:
                    self._answer([request])


def new_app(predictor: Predictor, name: str, *, max_texts: int, max_characters: int) -> FastAPI:
    """Return the application for a model.

    Args:
        predictor: the model.
        name: name of the model, which Label Studio stores with its predictions.
        max_texts: largest number of texts of a request.
        max_characters: largest number of characters of a request's texts together.
    """
    app = FastAPI(title=f"tune-ner: {name}", version=__version__, description=", ".join(predictor.entity_types))
    batches = Batches(predictor)

    def predict(texts: Sequence[str]) -> list[list[PredictedSpan]]:
        characters = sum(map(len, texts))
        if len(texts) > max_texts or characters > max_characters:
            raise HTTPException(
                413,
                f"found {len(texts):,} texts with {characters:,} characters; expected at most {max_texts:,} texts and "
                f"{max_characters:,} characters: send several requests",
            )
        try:
            return batches.predict(texts)
        except TextError as error:
            raise HTTPException(422, str(error)) from error

    # each character takes at most six bytes in JSON with escapes; the rest is for keys and punctuation
    most_bytes = 6 * max_characters + 1000 * max_texts

    @app.middleware("http")
    async def refuse_large_bodies(request: Request, call_next: Any) -> Any:
        length = request.headers.get("content-length", "")
        if request.method == "POST" and not (length.isdecimal() and int(length) <= most_bytes):
            found = f"found {length} bytes" if length else "found no Content-Length"
            return JSONResponse({"detail": f"{found}; expected at most {most_bytes:,} bytes"}, 413)
        return await call_next(request)

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Return that the model is loaded."""
        return {"status": "UP", "model": name, "entity_types": list(predictor.entity_types)}

    @app.post("/predict")
    def predict_texts(request: TextRequest | LabelStudioRequest) -> TextResponse | dict[str, Any]:
        """Find the entities of texts, or of Label Studio's tasks."""
        if isinstance(request, TextRequest):
            found = predict(request.texts)
            return TextResponse(entities=[[Entity(**asdict(span)) for span in spans] for spans in found])
        names = _Names.of(request.label_config)
        texts = [_text_of(task, names.key) for task in request.tasks]
        return {"results": [names.result(spans, name) for spans in predict(texts)]}

    @app.post("/setup")
    def setup() -> dict[str, str]:
        """Return the model's name, as Label Studio asks for it when the backend is added."""
        return {"model_version": name}

    return app


def _text_of(task: dict[str, Any], key: str) -> str:
    """Return the text of a task.

    Raises:
        HTTPException: it has none.
    """
    data = task.get("data")
    text = data.get(key) if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise HTTPException(
            422, f"task {task.get('id', '')}: no text in data.{key}, which the labelling configuration names"
        )
    return text


class _Names(HTMLParser):
    """The names in a labelling configuration of Label Studio, which its results refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.labels, self.text, self.key = "label", "text", "text"

    @classmethod
    def of(cls, config: str | None) -> _Names:
        """Read a configuration, such as `<Text name="text" value="$text"/><Labels name="label" toName="text"/>`."""
        names = cls()
        names.feed(config or "")
        return names

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Read an element; tags and attributes are in lower case."""
        found = {key: value for key, value in attrs if value}
        if tag == "labels":
            self.labels, self.text = found.get("name", self.labels), found.get("toname", self.text)
        elif tag == "text":
            self.key = found.get("value", self.key).removeprefix("$")

    def result(self, spans: Sequence[PredictedSpan], model: str) -> dict[str, Any]:
        """Return a task's prediction."""
        regions = [
            {
                "from_name": self.labels,
                "to_name": self.text,
                "type": "labels",
                "value": {"start": span.start, "end": span.end, "text": span.text, "labels": [span.label]},
                "score": span.score,
            }
            for span in spans
        ]
        score = min((span.score for span in spans), default=1.0)
        return {"model_version": model, "score": score, "result": regions}
