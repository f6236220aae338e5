"""Distributed hyperparameter search for named entity recognition, with results you can trust.

The names below are the public interface. They are imported when first used, so that reading a corpus needs
neither torch nor Ray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tune_ner.audit.audit import audit
    from tune_ner.config.loading import load_space, parse_space
    from tune_ner.config.search_space import SearchSpace
    from tune_ner.config.trial_config import TrialConfig
    from tune_ner.data.corpus import Corpus, Sentence, Span
    from tune_ner.data.loaders import load_corpus
    from tune_ner.data.splits import Split, SplitSpec, split_corpus
    from tune_ner.errors import TuneNerError
    from tune_ner.inference.predictor import PredictedSpan, Predictor
    from tune_ner.results.records import TrialRecord
    from tune_ner.results.run_dir import RunDir
    from tune_ner.results.run_results import Results, load_results, load_trials
    from tune_ner.results.table_files import write_tables
    from tune_ner.training.result import TrialResult
    from tune_ner.training.trial import TrialOptions, run_trial
    from tune_ner.tuning.events import RunEvents
    from tune_ner.tuning.experiment import prepare
    from tune_ner.tuning.options import ResourceRequest, RunOptions, SchedulerConfig, SearchSettings
    from tune_ner.tuning.tuner import run_experiment

_HOMES = {
    "tune_ner.audit.audit": ("audit",),
    "tune_ner.config.loading": ("load_space", "parse_space"),
    "tune_ner.config.search_space": ("SearchSpace",),
    "tune_ner.config.trial_config": ("TrialConfig",),
    "tune_ner.data.corpus": ("Corpus", "Sentence", "Span"),
    "tune_ner.data.loaders": ("load_corpus",),
    "tune_ner.data.splits": ("Split", "SplitSpec", "split_corpus"),
    "tune_ner.errors": ("TuneNerError",),
    "tune_ner.inference.predictor": ("PredictedSpan", "Predictor"),
    "tune_ner.results.run_results": ("Results", "load_results", "load_trials"),
    "tune_ner.results.table_files": ("write_tables",),
    "tune_ner.results.records": ("TrialRecord",),
    "tune_ner.results.run_dir": ("RunDir",),
    "tune_ner.training.result": ("TrialResult",),
    "tune_ner.training.trial": ("TrialOptions", "run_trial"),
    "tune_ner.tuning.events": ("RunEvents",),
    "tune_ner.tuning.experiment": ("prepare",),
    "tune_ner.tuning.options": ("ResourceRequest", "RunOptions", "SchedulerConfig", "SearchSettings"),
    "tune_ner.tuning.tuner": ("run_experiment",),
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
    "audit",
    "TrialConfig",
    "TrialResult",
    "TrialOptions",
    "run_trial",
    "SearchSpace",
    "load_space",
    "parse_space",
    "prepare",
    "ResourceRequest",
    "SchedulerConfig",
    "RunOptions",
    "SearchSettings",
    "RunEvents",
    "run_experiment",
    "RunDir",
    "TrialRecord",
    "Results",
    "load_results",
    "load_trials",
    "write_tables",
    "Predictor",
    "PredictedSpan",
    "TuneNerError",
]

# `audit` is the function, not the package of the same name. The first import of the package sets the attribute.
import_module("tune_ner.audit")
del globals()["audit"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'tune_ner' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
