"""A Ray session: Ray on this machine, started for the run, or an existing cluster."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import ray

from tune_ner.errors import ResourceError
from tune_ner.results.run_log import LOGGER
from tune_ner.tuning.early_start import take_early_start
from tune_ner.tuning.resources import Machine, Node
from tune_ner.utils.text import one_line

_SESSION_BYTES = 1 << 20
_OPEN_FILES = 256
_HOUR_MS = "3600000"
_TOO_SLOW = "it was not ready within 30 s, probably because other programs use all CPUs"
_ENVIRONMENT = {
    # Ray Tune's own CSV, JSON and TensorBoard files would duplicate the records.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Runs are resumed from their records, not from Ray Tune's state, which it writes every ten seconds.
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    # The sampler limits the trials that run at once; without this, only one trial at a time would start.
    "TUNE_MAX_PENDING_TRIALS_PG": "200",
    # Ctrl-C must reach the command, which writes the tables of completed trials.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The newer output prints tables even at verbosity 0.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # Ray's workers start with niceness 15: while another program uses all CPUs, a trial would make no progress.
    "RAY_worker_niceness": "0",
    # By default, Ray writes its state every ten seconds and its counters every minute, about 200 MB per day.
    "RAY_debug_dump_period_milliseconds": _HOUR_MS,
    "RAY_event_stats_print_interval_ms": _HOUR_MS,
}


@contextmanager
def ray_session(address: str | None, machine: Machine | None, dashboard: bool) -> Iterator[str]:
    """Start Ray, see `init_ray`, unless it was started early, and stop it at the end.

    Yields:
        The address of the dashboard; empty without one.

    Raises:
        ResourceError: Ray cannot be started, or the cluster cannot be reached.
    """
    early = take_early_start()
    url = init_ray(address, machine, dashboard) if early is None else early
    try:
        yield url
    finally:
        ray.shutdown()


def init_ray(address: str | None, machine: Machine | None, dashboard: bool) -> str:
    """Start Ray with the resources of `machine`, or connect to the cluster at `address`.

    Output of Ray and its workers is printed if the package's logger has level INFO, as within a `RunLog`.

    Returns:
        The address of the dashboard; empty without one.

    Raises:
        ResourceError: Ray cannot be started, or the cluster cannot be reached.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        raise ResourceError("Ray is already running in this process; call `ray.shutdown()` first")
    if address:
        _check_reachable(address)
    else:
        _check_open_files()
        _check_session_folder()
    local: dict[str, Any] = {"include_dashboard": dashboard}
    if machine:
        local |= {"num_cpus": machine.cpus, "num_gpus": machine.gpus}
    # Ray installs its own handler for SIGTERM, which would end the driver before it writes its tables.
    handler = signal.getsignal(signal.SIGTERM)
    is_logged = LOGGER.isEnabledFor(logging.INFO)
    try:
        context = _init_with_retry(
            address=address or "local",
            log_to_driver=is_logged,
            logging_level=logging.INFO if is_logged else logging.ERROR,
            logging_format="%(levelname)s %(name)s: %(message)s",
            **({} if address else local),
        )
        # Errors are in the records; Ray Tune would print their tracebacks as well.
        logging.getLogger("ray.tune").setLevel(logging.INFO if is_logged else logging.CRITICAL)
        # Ray Tune warns about each trial that it finds no files of its own for.
        logging.getLogger("ray.tune.analysis").setLevel(logging.ERROR)
        # In a notebook, Ray asks for ipywidgets, which only its own output would need.
        logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreachable(address, one_line(error)) if address else _not_started(error) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
    return f"http://{context.dashboard_url}" if context.dashboard_url else ""


def _init_with_retry(**options: Any) -> Any:
    """Call `ray.init`, and once more if Ray was too slow: the 15 s and 30 s that it gives its processes are fixed.

    On a busy machine, the second start finds the modules of the first one in the file cache.

    Raises:
        RuntimeError: both starts were too slow.
    """
    for _ in range(2):
        before = set(psutil.Process().children(recursive=True))
        try:
            return ray.init(**options)
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            LOGGER.warning("Ray did not start in time: %s", one_line(error))
            _end_ray(before)
    raise RuntimeError(_TOO_SLOW)


def _end_ray(before: set[psutil.Process]) -> None:
    """End the processes that Ray has started since `before`; `ray.shutdown` knows none of an incomplete start."""
    for process in set(psutil.Process().children(recursive=True)) - before:
        with suppress(psutil.NoSuchProcess):
            command = " ".join(process.cmdline())
            if command.startswith("ray") or f"{os.sep}ray{os.sep}" in command:
                process.kill()


def _check_reachable(address: str) -> None:
    """Check an address within seconds; Ray tries for minutes."""
    if address.startswith("ray://"):
        raise ResourceError(
            f"--address {address}: Ray Client is not supported, since records are written where the command runs; run "
            "the command on a node of the cluster with --address auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return  # Ray resolves `auto` and other names
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise _unreachable(address, one_line(error)) from error


def _unreachable(address: str, reason: str) -> ResourceError:
    return ResourceError(
        f"the cluster at {address} cannot be reached: {reason}; check the address with `ray status`, and "
        "set RAY_AUTH_MODE=token if the cluster requires a token"
    )


def _session_folder() -> Path:
    """Return the folder in which Ray creates its folder for logs and sockets."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")


def _check_open_files() -> None:
    """Check the limit of open files, below which Ray's processes wait for each other without an error."""
    with suppress(ImportError):  # Windows has no such limits
        import resource

        _, largest = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= largest < _OPEN_FILES:
            raise ResourceError(
                f"this process may have {largest} open files, and Ray needs at least {_OPEN_FILES}; raise the limit, "
                "for instance with `ulimit -n 4096`"
            )


def _check_session_folder() -> None:
    """Check within a moment that Ray can write its files; Ray itself fails after half a minute, or without a reason."""
    folder = _session_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_SESSION_BYTES))
            file.flush()
    except OSError as error:
        raise ResourceError(
            f"{folder}: Ray's logs and sockets cannot be written there: {error.strerror or error}; free some space, or "
            "set RAY_TMPDIR to a folder that is writable, has some hundred MB free and a short path"
        ) from error


def _not_started(error: Exception) -> ResourceError:
    reason = one_line(error)
    if reason == _TOO_SLOW:
        remedy = "start the command when other programs use less of the CPUs"
    elif "AF_UNIX" in reason:
        remedy = "the path of its sockets is too long: set RAY_TMPDIR to a folder with a short path, such as /tmp"
    else:
        remedy = (
            f"its logs are in {_session_folder()}/ray/session_latest/logs; usual causes are too little memory, a limit "
            "on processes or open files (`ulimit -a`), and a full disk"
        )
    return ResourceError(f"Ray cannot be started on this machine: {reason}; {remedy}")


def cluster_machine() -> Machine:
    """Return the resources of the connected cluster; Ray does not know the memory of its GPUs."""
    total = ray.cluster_resources()
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Machine(
        int(total.get("CPU", 1)),
        int(total.get("GPU", 0)),
        int(total.get("memory", 0)),
        gpu_memory=0,
        nodes=tuple(Node(int(node.get("CPU", 0)), float(node.get("GPU", 0))) for node in alive),
    )
