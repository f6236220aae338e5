"""Distributed hyperparameter search for named entity recognition, with results you can trust.

The public names are imported when they are first used, so that reading a corpus needs neither torch nor Ray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tune_ner.api import Results, Tuner, load_results
    from tune_ner.audit.audit import audit
    from tune_ner.config.loading import load_space
    from tune_ner.config.search_space import SearchSpace
    from tune_ner.data.corpus import Corpus, Sentence, Span
    from tune_ner.data.loaders import load_corpus
    from tune_ner.errors import TuneNerError
    from tune_ner.inference.predictor import Predictor
    from tune_ner.tracking.display import Display

_MODULES = {
    "load_corpus": "tune_ner.data.loaders",
    "audit": "tune_ner.audit.audit",
    "Tuner": "tune_ner.api",
    "Results": "tune_ner.api",
    "load_results": "tune_ner.api",
    "Predictor": "tune_ner.inference.predictor",
    "Corpus": "tune_ner.data.corpus",
    "Sentence": "tune_ner.data.corpus",
    "Span": "tune_ner.data.corpus",
    "SearchSpace": "tune_ner.config.search_space",
    "load_space": "tune_ner.config.loading",
    "Display": "tune_ner.tracking.display",
    "TuneNerError": "tune_ner.errors",
}

__all__ = [  # noqa: RUF022 - in the order of use
    "load_corpus",
    "audit",
    "Tuner",
    "Results",
    "load_results",
    "Predictor",
    "Corpus",
    "Sentence",
    "Span",
    "SearchSpace",
    "load_space",
    "Display",
    "TuneNerError",
]

# `audit` is the function, not the package of the same name. The first import of the package sets the attribute.
import_module("tune_ner.audit")
del globals()["audit"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'tune_ner' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
