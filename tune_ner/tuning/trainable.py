"""Tasks that run in a Ray worker: training a trial, retraining the best one, and measuring memory.

A trial travels between driver and worker as Tune's configuration ``{"trial": fields of its TrialConfig}``.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from pydantic import TypeAdapter
from ray import tune

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import DivergedError, TuneNerError
from tune_ner.results.best_model import ModelFiles
from tune_ner.results.records import Phase, Status, TrialRecord
from tune_ner.training.result import EpochMetrics, TrialResult, is_last_epoch
from tune_ner.tuning.best_model_store import model_files, offer
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.prometheus import TrialMetrics

try:
    # Nothing public changes the title of a worker: Ray keeps the memory of the command line to itself.
    from ray._raylet import setproctitle as set_process_title  # type: ignore[attr-defined] # compiled
except ImportError:  # another version of Ray

    def set_process_title(title: str) -> None:
        """Leave the title that Ray has set."""


if TYPE_CHECKING:
    from tune_ner.training.checkpoints import TrialCheckpoint
    from tune_ner.training.trial import AnyModel

IS_LAST = "is_last"
"""Key of a report that is true after the last epoch of a trial, whose training cannot be shortened any more."""

FAILED = "failed"
"""Key of the report with a trial's record: whether the trial failed, so that it has no score."""

EPOCH_METRICS = TypeAdapter(EpochMetrics)


@lru_cache(maxsize=1)
def _fetch(reference: Any) -> Experiment:
    """Return the experiment from the object store, fetched once for all trials of a worker."""
    experiment: Experiment = ray.get(reference)
    return experiment


@cache
def _freeze_imported_objects() -> None:
    """Exempt what the libraries hold from garbage collection, which each training starts with: 0.25 seconds each."""
    gc.freeze()


def tune_config(trial: TrialConfig) -> dict[str, Any]:
    """Return a trial as Tune's configuration."""
    return {"trial": trial.model_dump()}


def trial_of(config: Mapping[str, Any]) -> TrialConfig:
    """Return the trial of Tune's configuration."""
    return TrialConfig.model_validate(config["trial"])


@dataclass(frozen=True)
class WorkerContext:
    """Information about a run that its workers need.

    Attributes:
        run: name of the run.
        experiment: reference to the experiment in the object store.
        threads: CPU threads of a trial.
        hyperparameters: names of those that vary and that a trial's title does not contain anyway.
        phase: `search` for trials that are measured on validation only, `final` for those measured on test.
        checkpoints: folder for checkpoints; unused on nodes that do not have the run folder.
        checkpoint_every: epochs between two checkpoints; None for no checkpoints.
        store: the `BestModelStore` of the run; None if no model is exported.
    """

    run: str
    experiment: Any
    threads: int
    hyperparameters: tuple[str, ...]
    phase: Phase
    checkpoints: Path
    checkpoint_every: int | None
    store: Any

    def checkpoint(self, trial_id: str) -> TrialCheckpoint | None:
        """Return the checkpoint of a trial, with the state that an earlier session saved."""
        from tune_ner.training.checkpoints import TrialCheckpoint

        if self.checkpoint_every is None or not self.checkpoints.parent.is_dir():
            return None
        return TrialCheckpoint(self.checkpoints / f"{trial_id}.safetensors", trial_id, self.checkpoint_every)


def train(config: dict[str, Any], context: WorkerContext) -> None:
    """Run a trial; report each epoch and, at the end, the trial's record.

    Args:
        config: see `tune_config`.
        context: the run.
    """
    _Attempt(trial_of(config), context).run()


class _Attempt:
    """One attempt to run a trial."""

    def __init__(self, trial: TrialConfig, context: WorkerContext) -> None:
        self.start = time.perf_counter()
        self.trial = trial
        self.context = context
        self.epochs: list[EpochMetrics] = []
        self.checkpoint = context.checkpoint(trial.trial_id)
        self.metrics = TrialMetrics(context.run)
        self.process_title = f"ray::tune_ner {trial.titled(context.hyperparameters)}"

    def run(self) -> None:
        """Run the trial and report its record."""
        set_process_title(self.process_title)
        record = self._record()
        self.metrics.trial_ended()
        tune.report(
            {
                "epoch": self.trial.epochs,
                f"validation_{self.trial.selection_metric}": record.best_score or 0.0,
                FAILED: record.status == "failed",
                IS_LAST: True,
                "record": record.model_dump_json(),
            }
        )

    def _record(self) -> TrialRecord:
        try:
            return self._train()
        except DivergedError as error:
            return self._ended("diverged", epochs=tuple(self.epochs), error=str(error))
        except TuneNerError as error:
            return self._ended("failed", error=str(error))
        # Whatever fails in a trial must not end the others. A scheduler's stop is raised by `tune.report` as
        # SystemExit, which is not an Exception, and reaches Ray.
        except Exception as error:  # noqa: BLE001
            message = f"{type(error).__name__}: {error}"
            return self._ended("failed", error=message, traceback=traceback.format_exc())

    def _train(self) -> TrialRecord:
        from tune_ner.training.features import tokenization_key
        from tune_ner.training.trial import TrialOptions, run_trial

        _freeze_imported_objects()
        experiment, is_search = _fetch(self.context.experiment), self.context.phase == "search"
        encoder, split = experiment.encoders[self.trial.model], experiment.splits[self.trial.fold]
        options = TrialOptions(
            threads=self.context.threads,
            tokenized=experiment.tokenized.get(tokenization_key(self.trial)),
            checkpoint=self.checkpoint,
            measure_test=not is_search,
            on_epoch=self._report_epoch,
            on_trained=self._offer,
        )
        start_seconds = time.perf_counter() - self.start
        result = run_trial(self.trial, encoder, experiment.corpus, split, options)
        if is_search:
            return TrialRecord.searched(self.trial, result.epochs, self._seconds())
        result = replace(result, seconds={"start": start_seconds, **result.seconds})
        return TrialRecord.completed(self.trial, result, self._seconds())

    def _offer(self, result: TrialResult, model: AnyModel) -> None:
        if self.context.store and self.context.phase == "final":
            offer(self.context.store, self.trial, result, model)

    def _report_epoch(self, metrics: EpochMetrics) -> None:
        # A trial that ran out of GPU memory starts over with smaller steps, and so do its epochs.
        self.epochs[metrics.epoch - 1 :] = [metrics]
        # epochs of a checkpoint are reported again, but were not trained now
        if not self.checkpoint or metrics.epoch > self.checkpoint.epochs:
            self.metrics.epoch_ended(metrics.tokens)
        tune.report(
            {
                "epoch": metrics.epoch,
                f"validation_{self.trial.selection_metric}": metrics.score(self.trial.selection_metric),
                "metrics": EPOCH_METRICS.dump_python(metrics),
                IS_LAST: is_last_epoch(self.trial, self.epochs),
            }
        )
        set_process_title(self.process_title)  # Ray has set its own
        self.metrics.epoch_started()

    def _ended(self, status: Status, **outcome: Any) -> TrialRecord:
        return TrialRecord.of(self.trial, status, self._seconds(), phase=self.context.phase, **outcome)

    def _seconds(self) -> float:
        """Return the wall time of the trial, including that before its checkpoint."""
        earlier = sum(self.checkpoint.seconds.values()) if self.checkpoint else 0.0
        return earlier + time.perf_counter() - self.start


def retrain(record: TrialRecord, experiment: list[Any]) -> ModelFiles:
    """Train the trial of a record again and return its model.

    The metrics are those of the record unless the hardware differs; differences are noted in the model folder.

    Args:
        record: the record of a completed trial.
        experiment: reference to the experiment, within a list so that Ray does not resolve it.
    """
    from tune_ner.training.features import tokenization_key
    from tune_ner.training.trial import TrialOptions, run_trial

    found, trial = _fetch(experiment[0]), record.config
    assert record.result
    models: list[AnyModel] = []
    options = TrialOptions(
        threads=record.result.threads,
        tokenized=found.tokenized.get(tokenization_key(trial)),
        on_trained=lambda _, model: models.append(model),
    )
    result = run_trial(trial, found.encoders[trial.model], found.corpus, found.splits[trial.fold], options)
    return model_files(models[0], _differences(record.result, result))


def _differences(recorded: TrialResult, retrained: TrialResult) -> tuple[str, ...]:
    """Return a line for each metric that differs between two runs of a trial."""
    metrics: dict[str, Callable[[TrialResult], Any]] = {
        "best epoch": lambda result: result.best_epoch,
        "validation loss": lambda result: result.epochs[result.best_epoch - 1].validation_loss,
        "validation_span_f1": lambda result: result.metrics["validation"].spans.f1,
        "test loss": lambda result: result.test_loss,
        "test_span_f1": lambda result: result.metrics["test"].spans.f1,
    }
    return tuple(
        f"{name} {value(recorded):.6g} in the record, {value(retrained):.6g} after retraining"
        for name, value in metrics.items()
        if value(recorded) != value(retrained)
    )


def measure_memory(trial: TrialConfig, experiment: list[Any]) -> int:
    """Return the GPU memory that training a trial takes, in bytes; 0 without a GPU."""
    from tune_ner.training.features import tokenization_key, trial_features
    from tune_ner.training.memory_probe import training_memory

    found = _fetch(experiment[0])
    encoder, split = found.encoders[trial.model], found.splits[trial.fold]
    features = trial_features(trial, encoder, found.corpus, split, found.tokenized.get(tokenization_key(trial)))
    return training_memory(trial, encoder, features)
