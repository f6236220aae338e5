"""spaCy's binary corpora: `.spacy` files of `DocBin`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tune_ner.data.corpus import Sentence
from tune_ner.data.formats.documents import Document, divided
from tune_ner.data.formats.offsets import check_characters, checked_span, trimmed
from tune_ner.data.formats.options import Reading, ReadOptions
from tune_ner.errors import DataError
from tune_ner.utils.extras import imported


def read_docbin(path: Path, options: ReadOptions) -> Reading:
    """Return the sentences of a `.spacy` file: those that it marks, or else the lines of its documents.

    Entities are `doc.ents`; without any, those of the only group in `doc.spans`, or of the one that `tag_column` names.

    Raises:
        DataError: the package spaCy is missing, the file cannot be read, or it is unclear which spans are meant.
    """
    spacy = imported("spacy", "spacy", f"{path}: reading .spacy files")
    tokens = imported("spacy.tokens", "spacy", f"{path}: reading .spacy files")
    try:
        docs = list(tokens.DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab))
    # broken files raise errors of many unrelated classes
    except Exception as error:
        raise DataError(f"{path}: not a readable .spacy file ({type(error).__name__}: {error})") from error
    group = _span_group(path, docs, options)
    counts: Counter[str] = Counter()
    sentences: list[Sentence] = []
    has_documents = False
    for number, doc in enumerate(docs):
        place = f"{path}[{number}]"
        found = doc.spans.get(group, ()) if group else doc.ents
        spans = [checked_span(span.start_char, span.end_char, span.label_, doc.text, place) for span in found]
        check_characters(doc.text, spans, place)
        kept = sorted({span for each in spans if (span := trimmed(each, doc.text, counts))})
        starts = [sentence.start_char for sentence in doc.sents] if doc.has_annotation("SENT_START") else []
        name = f"{path.stem}_{number}"
        parts = list(divided(Document(name, doc.text, kept, f"{path.stem}:{number}", place, starts)))
        has_documents |= len(parts) > 1
        sentences += parts or [Sentence(name, doc.text, (), place, f"{path.stem}:{number}")]
    if not has_documents:  # each document is a sentence
        sentences = [replace(sentence, group="") for sentence in sentences]
    where = f"the group {group!r} of `doc.spans`" if group else "`doc.ents`"
    notes = [f"{what}: {count:,}" for what, count in counts.items()]
    return sentences, (f"read as spaCy documents with the entities of {where}", *notes)


def _span_group(path: Path, docs: Sequence[Any], options: ReadOptions) -> str:
    """Return the group of `doc.spans` that holds the entities; empty for `doc.ents`."""
    groups = Counter(name for doc in docs for name, spans in doc.spans.items() if len(spans))
    wanted = options.tag_column
    if wanted is not None and str(wanted) not in groups:
        known = ", ".join(sorted(groups)) or "(none)"
        raise DataError(f"{path}: tag_column {str(wanted)!r}: no such group in `doc.spans`; found {known}")
    if wanted is not None:
        return str(wanted)
    if any(doc.ents for doc in docs) or not groups:
        return ""
    if len(groups) > 1:
        raise DataError(
            f"{path}: no entities in `doc.ents`, but several groups in `doc.spans`: {', '.join(sorted(groups))}; "
            "choose one with --tag-column NAME or `tag_column:` under `data:`"
        )
    return str(next(iter(groups)))
