"""Events of a run as JSON, one object per line.

Every object has `event` and `time` (UTC, ISO 8601). Numbers that JSON cannot represent, such as an infinite loss, are
null. Metrics have the full names of `LeaderboardEntry` and `EpochMetrics`.

| event | when | keys |
| --- | --- | --- |
| `data_loaded` | the corpus was read and split | `corpus`, `folds`, `splits` (per split: `sentences`, `entities` by type), `notes` |
| `audit_completed` | the data was audited; one per fold | `fold`, `summary`, `severity`, `findings`, `earlier_test_runs` |
| `run_planned` | at the end of a dry run | grid: `trials` (each with `trial_id`, `config`); search: `max_trials`, `seconds`, `target_f1`, `sampler`, `confirm`, `confirm_seeds`; both: `resources`, `scheduler` |
| `run_started` | Ray is ready | `run`, `trials`, `recorded` (trials of earlier sessions), `selection_metric`, `resources` (`cpus`, `gpus`, `concurrent`), `dashboard` |
| `note` | at any time | `message` |
| `confirmation_started` | a search is over | `trials` that confirm its best configurations |
| `trial_started` | a worker started a trial | `trial_id`, `config` |
| `epoch_completed` | after each epoch | `trial_id`, `epoch`, `epochs`, `validation_loss`, `validation_span_f1`, `validation_seqeval_f1` and the other metrics of `EpochMetrics` |
| `trial_completed` | a record was written | `trial_id`, `status`, `phase`, `config`, `epochs_run`, `best_epoch`, `best_score` (selection metric on validation), `validation_span_f1`, `validation_seqeval_f1`, `test_span_f1`, `test_seqeval_f1`, `seconds`, `error`; metrics are null unless the trial was evaluated on test |
| `run_completed` | at the end | `run`, `run_dir`, `report`, `trials`, `statuses` (trials by status), `best`, `caveats` (reasons not to use the results, such as audit errors), `exit_code` |

`best` has `config`, `trial_ids`, `validation_span_f1`, `validation_span_f1_interval`, `test_span_f1`,
`test_span_f1_interval` (95 % intervals as lists of two numbers), `other_configurations` and `tied_configurations`; it is
null without a completed trial.
"""  # noqa: E501 - a table

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, get_args

from tune_ner.audit.findings import AuditReport
from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import SPLIT_NAMES
from tune_ner.errors import RunFolderError
from tune_ner.evaluation.confidence_intervals import Interval
from tune_ner.results.leaderboard import LeaderboardEntry
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.test_set_log import EarlierUse
from tune_ner.tracking.console import Plan
from tune_ner.tracking.display import Display
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents, RunStart
from tune_ner.tuning.experiment import Experiment
from tune_ner.utils.console import discard_output
from tune_ner.utils.text import redact

_FINDING_KEYS = ("severity", "title", "count", "total", "suggestion")


class JsonDisplay(Display, RunEvents):
    """Writes events as JSON lines; if the reader closes the stream, the run continues without it.

    Args:
        stream: output stream.
        run: name of the run.
    """

    def __init__(self, stream: IO[str], run: str) -> None:
        self._stream: IO[str] | None = stream
        self._run = run
        self._selection_metric: str | None = None

    def show_data(self, experiment: Experiment) -> None:
        """Write `data_loaded`."""
        corpus = experiment.corpus
        split = next(iter(experiment.splits.values()))
        splits = {
            name: {"sentences": len(split[name]), "entities": dict(corpus.entity_counts(split[name]))}
            for name in SPLIT_NAMES
        }
        folds = len(experiment.splits)
        self._write("data_loaded", corpus=corpus.name, folds=folds, splits=splits, notes=list(corpus.notes))

    def show_audit(self, audits: Mapping[int | None, AuditReport], uses: Sequence[EarlierUse]) -> None:
        """Write `audit_completed` for each fold."""
        earlier = [{"run": use.run, "trials": use.trials} for use in uses]
        for fold, report in audits.items():
            findings = [{key: getattr(finding, key) for key in _FINDING_KEYS} for finding in report.findings]
            self._write(
                "audit_completed",
                fold=fold,
                summary=report.summary,
                severity=report.severity,
                findings=findings,
                earlier_test_runs=earlier,
            )

    def show_plan(self, plan: Plan) -> None:
        """Write `run_planned`."""
        if search := plan.search:
            names = ("seconds", "target_f1", "sampler", "confirm", "confirm_seeds")
            content: dict[str, Any] = {"max_trials": search.trials, **{name: getattr(search, name) for name in names}}
        else:
            content = {"trials": [_trial(trial) for trial in plan.experiment.schedule]}
        self._write("run_planned", **content, resources=asdict(plan.resources), scheduler=plan.scheduler.name)

    def listen(self, experiment: Experiment) -> AbstractContextManager[RunEvents]:
        """Return this display, which listens itself."""
        self._selection_metric = experiment.space.selection_metric
        return nullcontext(self)

    def on_run_start(self, start: RunStart) -> None:
        """Write `run_started`."""
        self._write(
            "run_started",
            run=self._run,
            trials=start.trials,
            recorded=start.recorded,
            selection_metric=self._selection_metric,
            resources=asdict(start.resources),
            dashboard=start.dashboard or None,
        )

    def on_note(self, message: str) -> None:
        """Write `note`."""
        self._write("note", message=redact(message))

    def on_confirmation_start(self, trials: int) -> None:
        """Write `confirmation_started`."""
        self._write("confirmation_started", trials=trials)

    def on_trial_start(self, trial: TrialConfig) -> None:
        """Write `trial_started`."""
        self._write("trial_started", **_trial(trial))

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """Write `epoch_completed`."""
        self._write("epoch_completed", trial_id=trial.trial_id, epochs=trial.epochs, **asdict(metrics))

    def on_trial_end(self, record: TrialRecord) -> None:
        """Write `trial_completed`."""
        metrics = record.result.metrics if record.result else {}
        scores = {
            f"{split_name}_{name}": metrics[split_name].score(name) if split_name in metrics else None
            for split_name in ("validation", "test")
            for name in get_args(SelectionMetric)
        }
        self._write(
            "trial_completed",
            **_trial(record.config),
            status=record.status,
            phase=record.phase,
            epochs_run=len(record.curve),
            best_epoch=record.result.best_epoch if record.result else None,
            best_score=record.best_score,
            **scores,
            seconds=record.seconds,
            error=record.error,
        )

    def show_results(self, results: Results, trials: int, page: Path | RunFolderError, exit_code: int) -> None:
        """Write `run_completed`."""
        self._write(
            "run_completed",
            run=self._run,
            run_dir=results.run_dir.location,
            report=str(page) if isinstance(page, Path) else None,
            trials=trials,
            statuses=dict(Counter(record.status for record in results.records)),
            best=_best(results.entries),
            caveats=results.caveats,
            exit_code=exit_code,
        )

    def _write(self, event: str, **content: object) -> None:
        if self._stream is None:
            return
        line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **content}
        try:
            self._stream.write(json.dumps(_finite(line), allow_nan=False) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            discard_output(self._stream)
            self._stream = None


def _trial(trial: TrialConfig) -> dict[str, object]:
    return {"trial_id": trial.trial_id, "config": trial.model_dump()}


def _best(entries: Sequence[LeaderboardEntry]) -> dict[str, object] | None:
    if not entries:
        return None
    best, *others = entries
    return {
        "config": best.configuration.model_dump(exclude={"seed", "fold"}),
        "trial_ids": [record.trial_id for record in best.records],
        **_interval("validation_span_f1", best.validation),
        **_interval("test_span_f1", best.test),
        "other_configurations": len(others),
        "tied_configurations": sum(bool(entry.tied) for entry in others),
    }


def _interval(name: str, interval: Interval) -> dict[str, object]:
    return {name: interval.estimate, f"{name}_interval": [interval.low, interval.high]}


def _finite(value: Any) -> Any:
    """Return plain data with None in place of numbers that JSON cannot represent."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
