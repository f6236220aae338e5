"""A Ray to run trials on: one of this machine, started for the run, or a cluster that is there."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from tune_ner.errors import ResourceError
from tune_ner.results.run_log import LOGGER
from tune_ner.tuning.resources import Machine, Node

_HOUR_MS = "3600000"
_ENVIRONMENT = {
    # Ray Tune's own CSV, JSON and TensorBoard files would repeat the records.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Nor is its own state of any use, which it writes every ten seconds: records are kept here, trial by trial.
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    # Ctrl-C reaches the command, which writes the tables of what is finished.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The newer output prints its tables even at verbosity 0.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # Ray writes its own state every ten seconds and its counts every minute, some two hundred megabytes in a day.
    "RAY_debug_dump_period_milliseconds": _HOUR_MS,
    "RAY_event_stats_print_interval_ms": _HOUR_MS,
}


@contextmanager
def ray_session(address: str | None, machine: Machine | None, dashboard: bool) -> Iterator[str]:
    """A local Ray with what `machine` has, or the cluster at `address`; yields the dashboard's address.

    What Ray and its workers print is passed on where the package's logger has level INFO, as within a `RunLog`.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address:
        _check_reachable(address)
    local: dict[str, Any] = {"include_dashboard": dashboard}
    if machine:
        local |= {"num_cpus": machine.cpus, "num_gpus": machine.gpus}
    # Ray has a handler of its own for SIGTERM, which would end the driver before its tables are written.
    handler = signal.getsignal(signal.SIGTERM)
    told = LOGGER.isEnabledFor(logging.INFO)
    try:
        context = ray.init(
            address=address or "local",
            log_to_driver=told,
            logging_level=logging.INFO if told else logging.ERROR,
            logging_format="%(levelname)s %(name)s: %(message)s",
            **({} if address else local),
        )
        # Why a trial ended is in its record; Tune would print a traceback of its own besides.
        logging.getLogger("ray.tune").setLevel(logging.INFO if told else logging.CRITICAL)
        # It looks for the files that Tune does not write here, and says of each trial that they are missing.
        logging.getLogger("ray.tune.analysis").setLevel(logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _unreachable(f"the cluster at {address}" if address else "a local Ray", str(error)) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
    try:
        yield f"http://{context.dashboard_url}" if context.dashboard_url else ""
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes before it gives up."""
    if address.startswith("ray://"):
        raise ResourceError(
            f"--address {address}: Ray Client is not supported, since trials are recorded where the command runs; "
            "run the command on a node of the cluster with --address auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return  # `auto` and other names are Ray's to resolve
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise _unreachable(f"the cluster at {address}", str(error)) from error


def _unreachable(what: str, reason: str) -> ResourceError:
    return ResourceError(
        f"{what} cannot be reached: {reason}; check the address with `ray status`, and that RAY_AUTH_MODE=token is set "
        "here if the cluster asks for a token"
    )


def cluster_machine() -> Machine:
    """What the connected cluster has; Ray does not know the memory of its GPUs."""
    have = ray.cluster_resources()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return Machine(
        int(have.get("CPU", 1)),
        int(have.get("GPU", 0)),
        int(have.get("memory", 0)),
        gpu_memory=0,
        nodes=tuple(Node(int(each.get("CPU", 0)), float(each.get("GPU", 0))) for each in alive),
    )
