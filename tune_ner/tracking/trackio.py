"""Tracking of a run by trackio: one run for each trial, all in the group of the run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import OutputError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.tracking.run_per_trial import RunPerTrialTracker
from tune_ner.tracking.tracker import best_values, epoch_values, finite, trial_values
from tune_ner.training.result import EpochMetrics


class TrackioTracker(RunPerTrialTracker):
    """Logs a run with trackio, to files of this machine or to a server of trackio.

    A trial is sent when it ends, from its record: trackio adds epochs that are logged again, as by a trial that is
    retried, instead of replacing them. trackio's own variables hold: TRACKIO_DIR, TRACKIO_SERVER_URL with
    TRACKIO_WRITE_TOKEN; the project is that of TRACKIO_PROJECT, by default `tune_ner`.

    Args:
        run_dir, title, note: see `Tracker`.

    Raises:
        OutputError: the client is not installed, or TRACKIO_SPACE_ID is set.
    """

    service = "trackio"
    name = "trackio"

    def __init__(self, run_dir: RunDir, title: Callable[[TrialConfig], str], note: Callable[[str], None]) -> None:
        try:
            import trackio
        except ImportError as error:
            raise OutputError("--track trackio: the client is not installed; run pip install trackio") from error
        if os.environ.get("TRACKIO_SPACE_ID"):
            # the client asks for a login in mid-run, and creates a public Space
            raise OutputError(
                "--track trackio: TRACKIO_SPACE_ID is set; unset it, and send the project to a Space afterwards with "
                "`trackio sync`"
            )
        super().__init__(run_dir, title, note)
        self._client = trackio
        self._project = os.environ.get("TRACKIO_PROJECT", "tune_ner")

    def _start_trial(self, trial: TrialConfig) -> None:
        """A trial is sent when it ends."""

    def _log_epoch(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """A trial is sent when it ends."""

    def _close_trial(self, record: TrialRecord) -> None:
        config = {**record.config.model_dump(mode="json"), "status": record.status, "error": record.error or ""}
        # a title rounds its values, and trackio knows runs by name
        name = f"{self._run_dir.name}: {self._title(record.config)} ({record.trial_id})"
        with self._run(name, config) as run:
            for epoch in record.curve:
                run.log(finite(epoch_values(epoch)), step=epoch.epoch)
            final = {f"final/{name}": value for name, value in finite(trial_values(record)).items()}
            run.log(final, step=len(record.curve) + 1)
            if record.status in ("failed", "diverged"):
                run.alert(record.status, text=record.error, level=self._client.AlertLevel.ERROR)

    def _send_results(self, results: Results, space: dict[str, Any], is_interrupted: bool) -> None:
        status = "interrupted" if is_interrupted else "completed"
        with self._run(f"{results.name}: results", {**space, "status": status}) as run:
            run.log({"leaderboard": self._client.Table(dataframe=results.leaderboard().astype(str))}, step=0)
            run.log(finite(best_values(results)), step=0)

    @contextmanager
    def _run(self, name: str, config: Mapping[str, Any]) -> Iterator[Any]:
        """Open a run of trackio, and end it.

        Raises:
            OutputError: something could not be sent; the client itself only warns.
        """
        settings = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False, "resume": "never"}
        with _silence():
            run = self._client.init(self._project, name, self._run_dir.name, config=dict(config), **settings)
            try:
                yield run
            finally:
                run.finish()
        server = os.environ.get("TRACKIO_SERVER_URL")
        if server and self._has_pending():
            host = urlsplit(server).hostname
            raise OutputError(f"{host} cannot be reached; what was not sent is in trackio's own files")

    def _has_pending(self) -> bool:
        from trackio.sqlite_storage import SQLiteStorage

        return bool(SQLiteStorage.has_pending_data(self._project))


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the client from printing: standard output is the run's own."""
    modules = [vars(module) for name, module in sys.modules.items() if name.partition(".")[0] == "trackio"]
    for names in modules:
        names["print"] = lambda *_, **__: None
    try:
        yield
    finally:
        for names in modules:
            names.pop("print", None)
