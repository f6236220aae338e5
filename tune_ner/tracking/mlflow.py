"""A run on an MLflow tracking server: one run there for it, and one nested in that for each trial."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import OutputError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents, RunStart
from tune_ner.utils.redaction import redact

URI_VARIABLE = "MLFLOW_TRACKING_URI"

_RUN_TAG, _TRIAL_TAG, _PARENT_TAG = "tune_ner.run", "tune_ner.trial", "mlflow.parentRunId"
_OUTCOME_TAG, _ERROR_TAG = "tune_ner.outcome", "tune_ner.error"
_STATUS = {
    "completed": "FINISHED",
    "early_stopped": "FINISHED",
    "pruned": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
}
_ARTEFACTS = ("report.html", "space.yaml", "trials.jsonl", "audit.json", "*.csv", "leaderboard.*", "figures", "best")
_LONGEST_PARAMETER = 500
# MLflow's own would keep a lost server's run waiting for minutes
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


class MlflowRuns(RunEvents):
    """Tells a tracking server of a run while it goes on, and hands it the results at the end.

    What is told waits in line for a thread of its own, so that no trial waits for a server. One that is lost on the way
    costs the run nothing: records are the truth, and the end, or that of a later start, makes up for what it missed. A
    run that goes on stays the same one there; its id lies in `mlflow.json`.

    Args:
        folder: the run folder.
        title: what a trial is called.
        noted: told of a server that is lost.

    Raises:
        OutputError: MLflow is not installed, no server is named, or it cannot be used.
    """

    def __init__(self, folder: RunDir, title: Callable[[TrialConfig], str], noted: Callable[[str], None]) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise OutputError(
                "--track mlflow: MLflow's client is not installed; expected it: pip install 'tune-ner[mlflow]'"
            ) from error
        if not os.environ.get(URI_VARIABLE):
            raise OutputError(
                f"--track mlflow: {URI_VARIABLE} is not set; expected the address of a tracking server, for instance "
                "http://127.0.0.1:5000 of `mlflow server`"
            )
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        self._folder = folder
        self._title = title
        self._noted = noted
        self._file = folder.path / "mlflow.json"
        self._lost = False
        self._ids: dict[str, str] = {}
        self._parent = ""
        self._line = ThreadPoolExecutor(1, "mlflow")
        try:
            self._client = MlflowClient()
            self._experiment = _experiment(self._client)
        # the client raises whatever its HTTP library, its address parser and the server's answer lead to
        except Exception as error:
            reason = redact(" ".join(str(error).split()))[:300]
            raise OutputError(
                f"--track mlflow: the server that {URI_VARIABLE} names cannot be used: {reason}; check the address, "
                "and that `mlflow server` runs there"
            ) from error

    def on_run_start(self, start: RunStart) -> None:
        """Begin the run there, or find the one of an earlier start."""
        self._queue(self._begin)

    def on_trial_start(self, trial: TrialConfig) -> None:
        """Begin a nested run with the hyperparameters."""
        self._queue(self._begin_trial, trial)

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """Add an epoch's figures."""
        self._queue(self._add_epoch, trial, metrics)

    def on_trial_end(self, record: TrialRecord) -> None:
        """Add what a trial came to, and end its run."""
        self._queue(self._end_trial, record)

    def ended(self, results: Results, interrupted: bool) -> None:
        """Make up for what the server missed, hand it tables, page and model, and wait until it has them."""
        self._queue(self._end, results, interrupted)
        self._line.shutdown()

    def _queue(self, task: Callable[..., object], *arguments: Any) -> None:
        self._line.submit(self._tell, task, *arguments)

    def _tell(self, task: Callable[..., object], *arguments: Any) -> None:
        if self._lost and task != self._end:
            return
        try:
            task(*arguments)
        # as above; whatever it is, the run must not mind
        except Exception as error:  # noqa: BLE001
            self._lost = True
            reason = redact(" ".join(str(error).split()))[:300]
            self._noted(f"the MLflow server is lost and told no more: {reason}; the run goes on, and all is recorded")

    def _begin(self) -> None:
        if self._parent:
            return
        known = _read(self._file)
        self._parent = known if known and self._is_there(known) else self._create({_RUN_TAG: self._folder.name})
        self._file.write_text(json.dumps({"run": self._parent}) + "\n", encoding="utf-8")
        self._end_running()

    def _end_running(self) -> None:
        """End the nested runs that were not told of their trial's end: the driver died, or the server was lost."""
        for run in self._nested():
            if run.info.status == "RUNNING":
                self._client.set_terminated(run.info.run_id, _STATUS.get(run.data.tags.get(_OUTCOME_TAG), "KILLED"))

    def _is_there(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return False
        return True

    def _create(self, tags: Mapping[str, str], name: str | None = None) -> str:
        created = self._client.create_run(self._experiment, tags=dict(tags), run_name=name or self._folder.name)
        return str(created.info.run_id)

    def _nested(self) -> list[Any]:
        wanted = f"tags.`{_PARENT_TAG}` = '{self._parent}'"
        found: list[Any] = []
        page = None
        while True:
            runs = self._client.search_runs([self._experiment], wanted, max_results=1000, page_token=page)
            found += runs
            page = runs.token
            if not page:
                return found

    def _begin_trial(self, trial: TrialConfig) -> str:
        tags = {_PARENT_TAG: self._parent, _TRIAL_TAG: trial.trial_id, _RUN_TAG: self._folder.name}
        self._ids[trial.trial_id] = run_id = self._create(tags, self._title(trial))
        self._log(run_id, parameters=trial.model_dump(exclude_none=True))
        return run_id

    def _add_epoch(self, trial: TrialConfig, figures: EpochMetrics) -> None:
        run_id = self._ids.get(trial.trial_id) or self._begin_trial(trial)
        self._log(
            run_id, {name: value for name, value in asdict(figures).items() if name != "epoch"}, step=figures.epoch
        )

    def _end_trial(self, record: TrialRecord) -> None:
        run_id = self._ids.get(record.trial_id) or self._begin_trial(record.config)
        tags = {_OUTCOME_TAG: record.status, **({_ERROR_TAG: record.error} if record.error else {})}
        self._log(run_id, _final(record), tags=tags, step=len(record.curve))
        self._client.set_terminated(run_id, _STATUS[record.status])

    def _end(self, results: Results, interrupted: bool) -> None:
        self._begin()
        self._make_up(results)
        self._end_running()
        space = results.space
        self._log(self._parent, _best(results), space.model_dump(mode="json") if space else {})
        for path in _artefacts(self._folder.path):
            if path.is_dir():
                self._client.log_artifacts(self._parent, str(path), path.name)
            else:
                self._client.log_artifact(self._parent, str(path))
        self._client.set_terminated(self._parent, "KILLED" if interrupted else "FINISHED")

    def _make_up(self, results: Results) -> None:
        """Tell of the trials that ended without the server."""
        # a trial has several runs there if a driver died or it was retried, and MLflow's KILLED says not which
        told = {(run.data.tags.get(_TRIAL_TAG), run.data.tags.get(_OUTCOME_TAG)) for run in self._nested()}
        for record in results.records:
            if (record.trial_id, record.status) not in told:
                self._begin_trial(record.config)
                for epoch in record.curve:
                    self._add_epoch(record.config, epoch)
                self._end_trial(record)

    def _log(
        self,
        run_id: str,
        metrics: Mapping[str, float | None] = {},
        parameters: Mapping[str, Any] = {},
        tags: Mapping[str, str] = {},
        step: int = 0,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(1000 * time.time())
        # a loss that is no number has no form in JSON
        known = {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}
        self._client.log_batch(
            run_id,
            [Metric(name, float(value), now, step) for name, value in known.items()],
            [Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in parameters.items()],
            [RunTag(name, value[:_LONGEST_PARAMETER]) for name, value in tags.items()],
        )


def _experiment(client: Any) -> str:
    """The experiment that MLflow's own variable names, else one of this package."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "tune_ner")
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _final(record: TrialRecord) -> dict[str, float | None]:
    metrics: dict[str, float | None] = {"seconds": record.seconds}
    if record.result:
        metrics["best_epoch"] = record.result.best_epoch
        for split_name, scores in record.result.metrics.items():
            metrics[f"{split_name}_span_f1"] = scores.spans.f1
            metrics[f"{split_name}_seqeval_f1"] = scores.seqeval.f1
    return metrics


def _best(results: Results) -> dict[str, float | None]:
    """Figures of exact spans of the best configuration, with their intervals."""
    if not results.entries:
        return {}
    best = results.entries[0]
    return {
        f"best_{split_name}_span_f1{end}": value
        for split_name, interval in (("validation", best.validation), ("test", best.test))
        for end, value in (("", interval.estimate), ("_low", interval.low), ("_high", interval.high))
    }


def _artefacts(run: Path) -> list[Path]:
    return [path for pattern in _ARTEFACTS for path in sorted(run.glob(pattern))]


def _read(file: Path) -> str | None:
    try:
        return str(json.loads(file.read_bytes())["run"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # the last from JSON nested without end
        return None
