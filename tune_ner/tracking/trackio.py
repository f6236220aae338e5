"""Tracking of a run by trackio: one run for each trial, all in the group of the run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import OutputError
from tune_ner.results.run_dir import RunDir
from tune_ner.tracking.run_per_trial import RunPerTrialTracker


class TrackioTracker(RunPerTrialTracker):
    """Logs a run with trackio: to files of this machine, which `trackio show` shows, to a server or a Space.

    trackio's own variables hold: TRACKIO_DIR, TRACKIO_SERVER_URL with TRACKIO_WRITE_TOKEN, TRACKIO_SPACE_ID; the
    project is that of TRACKIO_PROJECT, by default `tune_ner`.

    Args:
        run_dir, title, note: see `Tracker`.

    Raises:
        OutputError: the client is not installed.
    """

    service = "trackio"
    name = "trackio"

    def __init__(self, run_dir: RunDir, title: Callable[[TrialConfig], str], note: Callable[[str], None]) -> None:
        try:
            import trackio
        except ImportError as error:
            raise OutputError("--track trackio: the client is not installed; run pip install trackio") from error
        super().__init__(run_dir, title, note, trackio)
        for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "trackio"]:
            vars(module)["print"] = _print_nothing  # standard output is the run's own

    def _open(self, title: str, run_id: str, config: Mapping[str, Any]) -> Any:
        # `init` ends the previous run of its context; trials run at the same time
        return Context().run(
            self._client.init,
            project=os.environ.get("TRACKIO_PROJECT", "tune_ner"),
            name=title if run_id == "results" else f"{self._run_dir.name}: {title}",  # trackio knows runs by name
            group=self._run_dir.name,
            config=dict(config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def _close(self, run: Any, values: Mapping[str, float], status: str, error: str | None, *, is_failed: bool) -> None:
        if values:
            run.log(dict(values))
        if is_failed:
            run.alert(status, text=error, level=self._client.AlertLevel.ERROR)
        run.finish()


def _print_nothing(*_: object, **__: object) -> None:
    """Take the place of `print`."""
