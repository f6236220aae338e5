"""A component of spaCy pipelines, `nlp.add_pipe("tune_ner", config={"model": FOLDER})`, which sets `doc.ents`."""

from collections.abc import Iterable, Iterator
from itertools import tee
from typing import Literal, get_args

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import filter_spans

from tune_ner.config.hyperparameters import Precision
from tune_ner.data.corpus import PredictedSpan
from tune_ner.errors import ModelError
from tune_ner.inference.predictor import CHUNK_SIZE, Predictor

Alignment = Literal["expand", "contract", "strict"]
"""What becomes of an entity that begins or ends within a token: it gets the whole token, loses it, or is left out."""


class EntityRecognizer:
    """Sets the entities of documents.

    The entities are found in the text of the document, with the words of the model and not with the tokens of spaCy.

    Args:
        predictor: the model.
        alignment: what becomes of an entity that begins or ends within a token.
    """

    def __init__(self, predictor: Predictor, alignment: Alignment) -> None:
        self.predictor = predictor
        self.alignment = alignment

    def __call__(self, doc: Doc) -> Doc:
        """Set the entities of a document, and return it."""
        return self._with_entities(doc, self.predictor.predict(doc.text))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = CHUNK_SIZE) -> Iterator[Doc]:
        """Yield documents with their entities; up to `batch_size` are read ahead to form batches."""
        docs, copies = tee(stream)
        for doc, spans in zip(docs, self.predictor.stream((copy.text for copy in copies), batch_size), strict=True):
            yield self._with_entities(doc, spans)

    def _with_entities(self, doc: Doc, spans: Iterable[PredictedSpan]) -> Doc:
        found = (doc.char_span(span.start, span.end, span.label, alignment_mode=self.alignment) for span in spans)
        # entities of two words within one token would overlap
        doc.ents = tuple(filter_spans([span for span in found if span is not None]))
        return doc


@Language.factory("tune_ner", assigns=["doc.ents", "token.ent_iob", "token.ent_type"])
def create(
    nlp: Language,  # noqa: ARG001 - the names are those that spaCy gives
    name: str,  # noqa: ARG001
    model: str = "",
    alignment: str = "expand",
    precision: str = "fp32",
) -> EntityRecognizer:
    """Return the component for a pipeline's configuration.

    Args:
        nlp: the pipeline.
        name: name of the component in it.
        model: a run folder, for its best model, or a model folder.
        alignment: `expand`, `contract` or `strict`, see `Alignment`.
        precision: see `Predictor.load`.

    Raises:
        ModelError: there is no such model, or another value is unknown.
    """
    if not model:
        raise ModelError('expected a model: nlp.add_pipe("tune_ner", config={"model": "results/RUN/best"})')
    for key, value, known in (("alignment", alignment, Alignment), ("precision", precision, Precision)):
        if value not in get_args(known):
            raise ModelError(f"{key}: found {value!r}, expected one of {', '.join(get_args(known))}")
    return EntityRecognizer(Predictor.load(model, precision=precision), alignment)  # type: ignore[arg-type]  # checked
