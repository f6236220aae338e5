"""A Ray cluster of two nodes on this machine, with token authentication."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_DEADLINE = 90.0
_ONE_CPU = ("--num-cpus", "1", "--num-gpus", "0")
_STATUS = (
    "import ray, sys\n"
    "ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')\n"
    "print(sum(node['Alive'] for node in ray.nodes()))\n"
)


@dataclass
class TwoNodes:
    """A head and a second node, each with one CPU.

    Attributes:
        address: address of the head node, for `--address` of a grid.
        dashboard: address of the dashboard and job server, for `--address` of a submission.
        environment: environment variables that grant access.
        metrics: addresses of each node's Prometheus metrics.
    """

    address: str
    dashboard: str
    environment: Mapping[str, str]
    metrics: list[str] = field(default_factory=list)
    _nodes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> None:
        """Start another node and wait until it has joined."""
        # nodes of one machine share its ports; a node without an agent accepts no jobs
        metrics = _free_port()
        agent = ["--dashboard-agent-listen-port", str(_free_port()), "--metrics-export-port", str(metrics)]
        self.metrics.append(f"http://127.0.0.1:{metrics}/metrics")
        ray_command = Path(sys.executable).with_name("ray")
        node = subprocess.Popen(
            [str(ray_command), "start", "--block", *_ONE_CPU, *agent, *arguments],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self._nodes.append(node)
        deadline = time.monotonic() + _DEADLINE
        while time.monotonic() < deadline and node.poll() is None:
            if self.alive() >= len(self._nodes):
                return
            time.sleep(0.5)
        raise RuntimeError(f"node {len(self._nodes)} did not start")

    def alive(self) -> int:
        """Return how many nodes are alive according to the head node."""
        found = subprocess.run(
            [sys.executable, "-c", _STATUS, self.address],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return int(found.stdout.split()[-1]) if found.returncode == 0 and found.stdout.split() else 0

    def lose_node(self) -> None:
        """Kill the last node and everything that runs on it, like a machine that is taken away."""
        _kill(self._nodes.pop())

    def stop(self) -> None:
        """Stop all nodes."""
        for node in reversed(self._nodes):
            _kill(node)


def _kill(node: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Start two nodes, and stop them at the end."""
    port, dashboard = _free_port(), _free_port()
    environment = {
        # a job runs the first `python` on the path of its node
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_metrics_report_interval_ms": "1000",
        "RAY_worker_niceness": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    cluster = TwoNodes(f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}", environment)
    second = tempfile.mkdtemp(prefix="ray-")
    try:
        cluster.start(
            *("--head", "--port", str(port), "--node-ip-address", "127.0.0.1"),
            *(
                "--dashboard-host",
                "127.0.0.1",
                "--dashboard-port",
                str(dashboard),
                "--ray-client-server-port",
                str(_free_port()),
            ),
        )
        # each node needs its own folder, as on a machine of its own, to unpack the files of a job
        cluster.start("--address", cluster.address, "--node-ip-address", "127.0.0.1", "--temp-dir", second)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(second, ignore_errors=True)
