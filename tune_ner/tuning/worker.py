"""What runs in a worker: a trial, or the measurement of one."""

from __future__ import annotations

import time
import traceback
from dataclasses import replace
from functools import lru_cache
from typing import Any

import ray
from pydantic import TypeAdapter
from ray import tune

from tune_ner.errors import DivergedError, TuneNerError
from tune_ner.runs import TrialRecord
from tune_ner.training import EpochFigures, TrialConfig
from tune_ner.tuning.early_stopping import FAILED, LAST
from tune_ner.tuning.experiment import Experiment

_EPOCH = TypeAdapter(EpochFigures)


@lru_cache(maxsize=1)
def _fetched(reference: Any) -> Experiment:
    """The experiment, fetched once for all trials of a worker."""
    experiment: Experiment = ray.get(reference)
    return experiment


def train(config: dict[str, Any], reference: list[Any], threads: int, measure_test: bool) -> None:
    """What runs in a worker: one trial, its epochs reported as they end and its record at the end.

    Args:
        config: a point of the space.
        reference: where the experiment lies in the object store, in a list of one.
        threads: CPU threads.
        measure_test: whether the trial is measured on test, or on validation alone.
    """
    start = time.perf_counter()
    from tune_ner.training.inputs import tokenization
    from tune_ner.training.trial import run_trial, train_trial

    experiment = _fetched(reference[0])
    trial = experiment.trial(config)
    encoder = experiment.encoders[trial.model]
    started = time.perf_counter() - start

    reported: list[EpochFigures] = []

    def report(figures: EpochFigures) -> None:
        # A trial that ran out of GPU memory begins anew with smaller steps, and its epochs with it.
        reported[figures.epoch - 1 :] = [figures]
        tune.report(
            {
                "epoch": figures.epoch,
                "validation_f1": figures.f1,
                "figures": _EPOCH.dump_python(figures),
                LAST: _is_last(trial, figures),
            }
        )

    try:
        tokenized = experiment.tokenized.get(tokenization(trial))
        corpus, split = experiment.corpus, experiment.splits[trial.fold]
        if measure_test:
            result = run_trial(trial, encoder, corpus, split, report, threads, tokenized)
            result = replace(result, seconds={"start": started, **result.seconds})
            record = TrialRecord.finished(trial, result, time.perf_counter() - start)
        else:
            epochs = train_trial(trial, encoder, corpus, split, report, threads, tokenized)
            record = TrialRecord.searched(trial, epochs, time.perf_counter() - start)
    except DivergedError as error:
        record = TrialRecord.diverged(trial, reported, str(error), time.perf_counter() - start)
    except TuneNerError as error:
        record = TrialRecord.failed(trial, str(error), time.perf_counter() - start)
    # The one place where a trial's failure, whatever it is, must not end the others. A scheduler's stop comes out of
    # `tune.report` as SystemExit, which is no Exception, and goes on to Ray.
    except Exception as error:  # noqa: BLE001
        message = f"{type(error).__name__}: {error}"
        record = TrialRecord.failed(trial, message, time.perf_counter() - start, traceback.format_exc())
    best = max((epoch.f1 for epoch in record.curve), default=0.0)
    failed = record.status == "failed"
    final = {"epoch": trial.epochs, "validation_f1": best, FAILED: failed, LAST: True}
    tune.report({**final, "record": record.model_dump_json()})


def _is_last(trial: TrialConfig, figures: EpochFigures) -> bool:
    reached = trial.stop_at_f1 is not None and figures.f1 >= trial.stop_at_f1
    return reached or figures.epoch >= trial.epochs


def measure_memory(trial: TrialConfig, reference: list[Any]) -> int:
    """What runs in a worker to measure a trial."""
    from tune_ner.training.inputs import tokenization, trial_inputs
    from tune_ner.training.memory import training_memory

    experiment = _fetched(reference[0])
    encoder, split = experiment.encoders[trial.model], experiment.splits[trial.fold]
    inputs = trial_inputs(trial, encoder, experiment.corpus, split, experiment.tokenized.get(tokenization(trial)))
    return training_memory(trial, encoder, inputs)
