"""Distributed hyperparameter search for named entity recognition whose results can be believed.

The names below are the public interface. They are imported when first used, so that reading a corpus needs
neither torch nor Ray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tune_ner.data import Corpus, Sentence, Span, Split, SplitSpec, load_corpus, split_corpus
    from tune_ner.errors import TuneNerError
    from tune_ner.predict import PredictedSpan, Predictor
    from tune_ner.reporting import (
        RunResults,
        curves_table,
        load_results,
        ranking,
        timings_table,
        trials_table,
        write_tables,
    )
    from tune_ner.runs import RunFolder, TrialRecord
    from tune_ner.training import TrialConfig, TrialResult, run_trial
    from tune_ner.tuning import (
        ResourceWishes,
        RunEvents,
        Scheduling,
        SearchSpace,
        load_space,
        parse_space,
        prepare,
        run_grid,
    )

_HOMES = {
    "tune_ner.data": ("Corpus", "Sentence", "Span", "Split", "SplitSpec", "load_corpus", "split_corpus"),
    "tune_ner.errors": ("TuneNerError",),
    "tune_ner.predict": ("PredictedSpan", "Predictor"),
    "tune_ner.reporting": (
        "RunResults",
        "curves_table",
        "load_results",
        "ranking",
        "timings_table",
        "trials_table",
        "write_tables",
    ),
    "tune_ner.runs": ("RunFolder", "TrialRecord"),
    "tune_ner.training": ("TrialConfig", "TrialResult", "run_trial"),
    "tune_ner.tuning": (
        "ResourceWishes",
        "RunEvents",
        "Scheduling",
        "SearchSpace",
        "load_space",
        "parse_space",
        "prepare",
        "run_grid",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022 - in the order of the road
    "Corpus",
    "Sentence",
    "Span",
    "load_corpus",
    "Split",
    "SplitSpec",
    "split_corpus",
    "TrialConfig",
    "TrialResult",
    "run_trial",
    "SearchSpace",
    "load_space",
    "parse_space",
    "prepare",
    "ResourceWishes",
    "Scheduling",
    "RunEvents",
    "run_grid",
    "RunFolder",
    "TrialRecord",
    "load_results",
    "RunResults",
    "ranking",
    "trials_table",
    "curves_table",
    "timings_table",
    "write_tables",
    "Predictor",
    "PredictedSpan",
    "TuneNerError",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'tune_ner' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
