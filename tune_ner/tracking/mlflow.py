"""Tracking of a run on an MLflow server: one MLflow run for it, with a nested one for each trial."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import OutputError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.tracking.tracker import Tracker, best_values, epoch_values, finite, reason, tracker_file, trial_values
from tune_ner.training.result import EpochMetrics

URI_VARIABLE = "MLFLOW_TRACKING_URI"

_RUN_TAG, _TRIAL_TAG, _PARENT_TAG = "tune_ner.run", "tune_ner.trial", "mlflow.parentRunId"
_STATUS_TAG, _ERROR_TAG = "tune_ner.status", "tune_ner.error"
_MLFLOW_STATUS = {
    "completed": "FINISHED",
    "early_stopped": "FINISHED",
    "pruned": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
}
_ARTIFACTS = ("report.html", "space.yaml", "trials.jsonl", "audit.json", "*.csv", "leaderboard.*", "figures", "best")
_LONGEST_VALUE = 500
# With MLflow's defaults, a run whose server is lost would wait for minutes.
_TIMEOUTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


class MlflowTracker(Tracker):
    """Sends a run to a tracking server while it runs, and its results at the end.

    If the server is lost, the missing trials are sent from their records at the end of the run or of a later session. A
    resumed run keeps its MLflow run, whose id is in `mlflow.json`.

    Args:
        run_dir, title, note: see `Tracker`.

    Raises:
        OutputError: MLflow is not installed, no server is named, or the server cannot be used.
    """

    service = "MLflow server"

    def __init__(self, run_dir: RunDir, title: Callable[[TrialConfig], str], note: Callable[[str], None]) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise OutputError("--track mlflow: MLflow is not installed; run pip install mlflow-skinny") from error
        if not os.environ.get(URI_VARIABLE):
            raise OutputError(
                f"--track mlflow: {URI_VARIABLE} is not set; set it to the address of a tracking server, for instance "
                "http://127.0.0.1:5000 for `mlflow server`"
            )
        for name, value in _TIMEOUTS.items():
            os.environ.setdefault(name, value)
        super().__init__(run_dir, title, note)
        self._file = tracker_file(run_dir, "mlflow")
        self._ids: dict[str, str] = {}
        self._parent = ""
        try:
            self._client = MlflowClient()
            self._experiment = _experiment(self._client)
        # the client raises errors of its HTTP library, its URL parser and the server
        except Exception as error:
            raise OutputError(
                f"--track mlflow: the server in {URI_VARIABLE} cannot be used: {reason(error)}; check the address and "
                "that `mlflow server` is running"
            ) from error

    def _start_run(self) -> None:
        if self._parent:
            return
        known = _read_id(self._file)
        self._parent = known if known and self._exists(known) else self._create({_RUN_TAG: self._run_dir.name})
        self._file.write_text(json.dumps({"run": self._parent}) + "\n", encoding="utf-8")
        self._end_running()

    def _end_running(self) -> None:
        """End nested runs whose trial ended while the driver or the connection was down."""
        for run in self._nested_runs():
            if run.info.status == "RUNNING":
                status = _MLFLOW_STATUS.get(run.data.tags.get(_STATUS_TAG), "KILLED")
                self._client.set_terminated(run.info.run_id, status)

    def _exists(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return False
        return True

    def _create(self, tags: Mapping[str, str], name: str | None = None) -> str:
        created = self._client.create_run(self._experiment, tags=dict(tags), run_name=name or self._run_dir.name)
        return str(created.info.run_id)

    def _nested_runs(self) -> list[Any]:
        query = f"tags.`{_PARENT_TAG}` = '{self._parent}'"
        found: list[Any] = []
        page = None
        while True:
            runs = self._client.search_runs([self._experiment], query, max_results=1000, page_token=page)
            found += runs
            page = runs.token
            if not page:
                return found

    def _start_trial(self, trial: TrialConfig) -> str:
        tags = {_PARENT_TAG: self._parent, _TRIAL_TAG: trial.trial_id, _RUN_TAG: self._run_dir.name}
        self._ids[trial.trial_id] = run_id = self._create(tags, self._title(trial))
        self._log(run_id, parameters=trial.model_dump(exclude_none=True))
        return run_id

    def _log_epoch(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        run_id = self._ids.get(trial.trial_id) or self._start_trial(trial)
        self._log(run_id, epoch_values(metrics), step=metrics.epoch)

    def _end_trial(self, record: TrialRecord) -> None:
        run_id = self._ids.get(record.trial_id) or self._start_trial(record.config)
        tags = {_STATUS_TAG: record.status, **({_ERROR_TAG: record.error} if record.error else {})}
        self._log(run_id, trial_values(record), tags=tags, step=len(record.curve))
        self._client.set_terminated(run_id, _MLFLOW_STATUS[record.status])

    def _end_run(self, results: Results, is_interrupted: bool) -> None:
        self._start_run()
        self._send_missing_trials(results)
        self._end_running()
        space = results.space
        self._log(self._parent, best_values(results), space.model_dump(mode="json") if space else {})
        for pattern in _ARTIFACTS:
            for path in sorted(self._run_dir.path.glob(pattern)):
                if path.is_dir():
                    self._client.log_artifacts(self._parent, str(path), path.name)
                else:
                    self._client.log_artifact(self._parent, str(path))
        self._client.set_terminated(self._parent, "KILLED" if is_interrupted else "FINISHED")

    def _send_missing_trials(self, results: Results) -> None:
        # a trial may have several nested runs, after retries or in several sessions; MLflow's own status is ambiguous
        sent = {(run.data.tags.get(_TRIAL_TAG), run.data.tags.get(_STATUS_TAG)) for run in self._nested_runs()}
        for record in results.records:
            if (record.trial_id, record.status) not in sent:
                self._send_trial(record)

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
        self._client.log_batch(
            run_id,
            [Metric(name, value, now, step) for name, value in finite(metrics).items()],
            [Param(name, str(value)[:_LONGEST_VALUE]) for name, value in parameters.items()],
            [RunTag(name, value[:_LONGEST_VALUE]) for name, value in tags.items()],
        )


def _experiment(client: Any) -> str:
    """Return the id of the experiment in MLFLOW_EXPERIMENT_NAME, by default `tune_ner`; it is created if missing."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "tune_ner")
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _read_id(file: Path) -> str | None:
    try:
        return str(json.loads(file.read_bytes())["run"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # the last from deeply nested JSON
        return None
