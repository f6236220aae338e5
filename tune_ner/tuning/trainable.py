"""What runs in a worker: a trial, or the measurement of one."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from pydantic import TypeAdapter
from ray import tune
from setproctitle import setproctitle

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import DivergedError, TuneNerError
from tune_ner.results.best_model import ModelFiles
from tune_ner.results.records import Status, TrialRecord
from tune_ner.training.result import EpochMetrics, TrialResult
from tune_ner.tuning.best_model_store import model_files, offer
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.prometheus import TrialGauges
from tune_ner.tuning.schedulers import FAILED, LAST

if TYPE_CHECKING:
    from tune_ner.training.checkpoints import TrialCheckpoint
    from tune_ner.training.model_export import TrainedModel

_EPOCH = TypeAdapter(EpochMetrics)


@lru_cache(maxsize=1)
def _fetched(reference: Any) -> Experiment:
    """The experiment, fetched once for all trials of a worker."""
    experiment: Experiment = ray.get(reference)
    return experiment


@dataclass(frozen=True)
class RunPlace:
    """What workers know of the run whose trials they train.

    Attributes:
        name: that of the run.
        axes: the hyperparameters that a trial's title names besides the usual ones.
        checkpoints: a folder for trials to be saved in; on a node that does not have the run folder, they are not.
        checkpoint_every: after how many epochs; None for never.
        keeper: the `ModelKeeper` that models are offered to; None where the run is to leave none.
    """

    name: str
    axes: tuple[str, ...]
    checkpoints: Path
    checkpoint_every: int | None
    keeper: Any = None

    def checkpoint(self, trial_id: str) -> TrialCheckpoint | None:
        """Where a trial is saved, and what an earlier start saved of it."""
        from tune_ner.training.checkpoints import TrialCheckpoint

        if self.checkpoint_every is None or not self.checkpoints.parent.is_dir():
            return None
        return TrialCheckpoint(self.checkpoints / f"{trial_id}.safetensors", trial_id, self.checkpoint_every)


def train(config: dict[str, Any], reference: list[Any], threads: int, measure_test: bool, place: RunPlace) -> None:
    """What runs in a worker: one trial, its epochs reported as they end and its record at the end.

    Args:
        config: a point of the space.
        reference: where the experiment lies in the object store, in a list of one.
        threads: CPU threads.
        measure_test: whether the trial is measured on test, or on validation alone.
        place: the run.
    """
    start = time.perf_counter()
    from tune_ner.training.features import tokenization
    from tune_ner.training.trial import run_trial, train_trial

    experiment = _fetched(reference[0])
    trial = experiment.trial(config)
    encoder = experiment.encoders[trial.model]
    checkpoint = place.checkpoint(trial.trial_id)
    before = sum(checkpoint.seconds.values()) if checkpoint else 0.0
    title = f"ray::tune_ner {trial.titled(place.axes)}"
    gauges = TrialGauges(place.name)
    started = time.perf_counter() - start

    def seconds() -> float:
        return before + time.perf_counter() - start

    reported: list[EpochMetrics] = []

    def report(figures: EpochMetrics) -> None:
        # A trial that ran out of GPU memory begins anew with smaller steps, and its epochs with it.
        reported[figures.epoch - 1 :] = [figures]
        # those that an earlier start trained are only told
        if not checkpoint or figures.epoch > checkpoint.epochs:
            gauges.epoch_ended(figures.tokens)
        tune.report(
            {
                "epoch": figures.epoch,
                f"validation_{trial.selection_metric}": figures.score(trial.selection_metric),
                "figures": _EPOCH.dump_python(figures),
                LAST: _is_last(trial, figures),
            }
        )
        setproctitle(title)  # Ray, which goes on now, has set its own
        gauges.begin()

    def ended(status: Status, **outcome: Any) -> TrialRecord:
        return TrialRecord.of(trial, status, seconds(), phase="final" if measure_test else "search", **outcome)

    def trained(result: TrialResult, model: TrainedModel) -> None:
        if place.keeper:
            offer(place.keeper, TrialRecord.completed(trial, result, seconds()), model)

    setproctitle(title)
    try:
        tokenized = experiment.tokenized.get(tokenization(trial))
        corpus, split = experiment.corpus, experiment.splits[trial.fold]
        if measure_test:
            result = run_trial(trial, encoder, corpus, split, report, threads, tokenized, checkpoint, trained)
            result = replace(result, seconds={"start": started, **result.seconds})
            record = TrialRecord.completed(trial, result, seconds())
        else:
            epochs = train_trial(trial, encoder, corpus, split, report, threads, tokenized, checkpoint)
            record = TrialRecord.searched(trial, epochs, seconds())
    except DivergedError as error:
        record = ended("diverged", epochs=tuple(reported), error=str(error))
    except TuneNerError as error:
        record = ended("failed", error=str(error))
    # The one place where a trial's failure, whatever it is, must not end the others. A scheduler's stop comes out of
    # `tune.report` as SystemExit, which is no Exception, and goes on to Ray.
    except Exception as error:  # noqa: BLE001
        message = f"{type(error).__name__}: {error}"
        record = ended("failed", error=message, traceback=traceback.format_exc())
    gauges.end()
    best = record.best_score or 0.0
    failed = record.status == "failed"
    final = {"epoch": trial.epochs, f"validation_{trial.selection_metric}": best, FAILED: failed, LAST: True}
    tune.report({**final, "record": record.model_dump_json()})


def _is_last(trial: TrialConfig, figures: EpochMetrics) -> bool:
    reached = trial.target_f1 is not None and figures.score(trial.selection_metric) >= trial.target_f1
    return reached or figures.epoch >= trial.epochs


def train_again(record: TrialRecord, reference: list[Any]) -> ModelFiles:
    """What runs in a worker to have the model of a recorded trial whose weights are gone.

    A trial is a pure function of its configuration, so that the figures are the record's, but for other hardware. What
    differs is written down beside the weights.
    """
    from tune_ner.training.features import tokenization
    from tune_ner.training.trial import run_trial

    experiment, trial = _fetched(reference[0]), record.config
    assert record.result
    models: list[tuple[TrialResult, TrainedModel]] = []
    run_trial(
        trial,
        experiment.encoders[trial.model],
        experiment.corpus,
        experiment.splits[trial.fold],
        threads=record.result.threads,
        tokenized=experiment.tokenized.get(tokenization(trial)),
        on_trained=lambda *outcome: models.append(outcome),
    )
    ((result, model),) = models
    return model_files(model, _differences(record.result, result))


def _differences(there: TrialResult, here: TrialResult) -> tuple[str, ...]:
    """A line for each figure of the record that another training did not give."""
    figures: dict[str, Callable[[TrialResult], float]] = {
        "best epoch": lambda result: result.best_epoch,
        "validation loss": lambda result: result.epochs[result.best_epoch - 1].validation_loss,
        "validation F1": lambda result: result.metrics["validation"].spans.f1,
        "test loss": lambda result: result.test_loss,
        "test F1": lambda result: result.metrics["test"].spans.f1,
    }
    return tuple(
        f"{name} {figure(there):.6g} in the record, {figure(here):.6g} here"
        for name, figure in figures.items()
        if figure(there) != figure(here)
    )


def measure_memory(trial: TrialConfig, reference: list[Any]) -> int:
    """What runs in a worker to measure a trial."""
    from tune_ner.training.features import tokenization, trial_features
    from tune_ner.training.memory_probe import training_memory

    experiment = _fetched(reference[0])
    encoder, split = experiment.encoders[trial.model], experiment.splits[trial.fold]
    inputs = trial_features(trial, encoder, experiment.corpus, split, experiment.tokenized.get(tokenization(trial)))
    return training_memory(trial, encoder, inputs)
