"""A Ray cluster of two nodes on this machine, with token authentication."""

from __future__ import annotations

import json
import os
import random
import secrets
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

_DEADLINE = 600.0
_ANSWER = 180.0
_ONE_CPU = ("--num-cpus", "1", "--num-gpus", "0")
_PORT_OPTIONS = (
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
    "--metrics-export-port",
    "--runtime-env-agent-port",
)
_STATUS = (
    "import json, ray, sys\n"
    "ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')\n"
    "ports = [node['MetricsExportPort'] for node in ray.nodes() if node['Alive']]\n"
    "print(json.dumps(ports), file=open(sys.argv[2], 'w'))\n"
)
# above the ports of Ray's workers (10002 to 19999), below those that Linux gives to connections (32768 to 60999)
_PORTS = range(20_000, 30_000)


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on and that no connection gets before they are used; seeds change nothing."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"fewer than {count} free ports from {_PORTS.start} to {_PORTS.stop - 1}")


@dataclass
class TwoNodes:
    """A head and a second node, each with one CPU.

    Attributes:
        address: address of the head node, for `--address` of a grid.
        dashboard: address of the dashboard and job server, for `--address` of a submission.
        environment: environment variables that grant access.
        folder: a folder for the second node's files and the nodes' output.
        metrics: addresses of each node's Prometheus metrics.
    """

    address: str
    dashboard: str
    environment: Mapping[str, str]
    folder: Path
    metrics: list[str] = field(default_factory=list)
    _nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str) -> None:
        """Start another node and wait until it has joined.

        Raises:
            RuntimeError: the node ended or did not join in time; the message ends with its output.
        """
        ray_command = Path(sys.executable).with_name("ray")
        # nodes of one machine share its ports, and a node waits only 15 s for its agents to choose theirs
        ports = [f"{option}={port}" for option, port in zip(_PORT_OPTIONS, free_ports(4), strict=True)]
        output = self.folder / f"node{len(self._nodes) + 1}.txt"
        with output.open("wb") as file:
            node = subprocess.Popen(
                [str(ray_command), "start", "--block", *_ONE_CPU, *ports, *arguments],
                env={**os.environ, **self.environment},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._nodes.append(node)
        deadline = time.monotonic() + _DEADLINE
        while time.monotonic() < deadline and node.poll() is None:
            found = self._metrics_ports()
            if len(found) >= len(self._nodes):
                self.metrics = [f"http://127.0.0.1:{port}/metrics" for port in found]
                return
            time.sleep(0.5)
        state = "did not join in time" if node.poll() is None else f"ended with exit code {node.returncode}"
        raise RuntimeError(f"node {len(self._nodes)} {state}:\n{output.read_text(errors='replace')}")

    def _metrics_ports(self) -> list[int]:
        answer = self.folder / "nodes.json"
        command = [sys.executable, "-c", _STATUS, self.address, str(answer)]
        try:  # `ray.init` waits without end for a node that is not there yet
            subprocess.run(
                command, env={**os.environ, **self.environment}, capture_output=True, check=True, timeout=_ANSWER
            )
        except subprocess.SubprocessError:
            return []
        return list(json.loads(answer.read_text()))

    def lose_node(self) -> None:
        """Kill the last node and everything that runs on it, like a machine that is taken away."""
        _kill(self._nodes.pop())

    def stop(self) -> None:
        """Stop all nodes."""
        for node in reversed(self._nodes):
            _kill(node)


def _kill(node: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Start two nodes, and stop them at the end."""
    port, dashboard, client = free_ports(3)
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
    here = ("--node-ip-address", "127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        cluster = TwoNodes(f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}", environment, Path(folder))
        try:
            cluster.start(
                *("--head", "--port", str(port), *here, "--ray-client-server-port", str(client)),
                *("--dashboard-host", "127.0.0.1", "--dashboard-port", str(dashboard)),
            )
            # each node needs its own folder, as on a machine of its own, to unpack the files of a job
            cluster.start("--address", cluster.address, *here, "--temp-dir", str(Path(folder) / "second"))
            yield cluster
        finally:
            cluster.stop()
