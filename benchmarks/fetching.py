"""Time and memory of fetching a large run folder from a cluster.

python -m benchmarks.fetching --megabytes 600
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.two_nodes import TwoNodes, two_nodes
from tune_ner.cluster.job_submission import Job, JobServer
from tune_ner.config.loading import load_space

_MEBIBYTE = 1 << 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=600, help="size of the weights")
    megabytes = parser.parse_args().megabytes
    with tempfile.TemporaryDirectory() as folder, two_nodes() as cluster:
        there, here = Path(folder, "there"), Path(folder, "here", "night")
        (there / "night" / "best").mkdir(parents=True)
        with (there / "night" / "best" / "model.safetensors").open("wb") as weights:
            for _ in range(megabytes):
                weights.write(os.urandom(_MEBIBYTE))
        # Ray reads these variables when it is imported
        os.environ |= cluster.environment
        peaks = _Peaks(cluster)
        started = time.monotonic()
        client = multiprocessing.get_context("spawn").Process(
            target=_fetch, args=(cluster.dashboard, str(there), str(here))
        )
        client.start()
        peaks.watch(client.pid)
        client.join()
        seconds = time.monotonic() - started
        peaks.stop()
        logs = sum(log.stat().st_size for log in Path("/tmp/ray/session_latest/logs").glob("job-driver-*.log"))
        fetched = sum(path.stat().st_size for path in here.rglob("*") if path.is_file())
        print(f"{fetched / _MEBIBYTE:.0f} MiB in {seconds:.0f} s, exit code {client.exitcode}")
        print(f"peak memory: client +{peaks.client / _MEBIBYTE:.0f} MiB, cluster +{peaks.cluster / _MEBIBYTE:.0f} MiB")
        print(f"remaining in the logs of the head node: {logs / _MEBIBYTE:.1f} MiB")


def _fetch(address: str, results: str, target: str) -> None:
    job = Job("grid", load_space("demo"), "night", results=results)
    JobServer(address).fetch(job, Path(target))


class _Peaks:
    """Peak growth of the resident memory of the client, and of all processes of the cluster."""

    def __init__(self, cluster: TwoNodes) -> None:
        self._cluster = [psutil.Process(node.pid) for node in cluster._nodes]
        self._client: psutil.Process | None = None
        self._before = self._memory(self._cluster)
        self._first_client = 0
        self.client = self.cluster = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def watch(self, client: int | None) -> None:
        """Start measuring with the process of the client."""
        self._client = psutil.Process(client)
        self._thread.start()

    def stop(self) -> None:
        """Stop measuring."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        assert self._client
        while not self._stopped.wait(0.2):
            mine = self._memory([self._client])
            # memory of imports is not part of the transfer
            self._first_client = self._first_client or (mine if self._client_is_up() else 0)
            if self._first_client:
                self.client = max(self.client, mine - self._first_client)
            self.cluster = max(self.cluster, self._memory(self._cluster) - self._before)

    def _client_is_up(self) -> bool:
        assert self._client
        try:
            return bool(self._client.net_connections(kind="tcp"))
        except psutil.Error:
            return False

    @staticmethod
    def _memory(roots: list[psutil.Process]) -> int:
        total = 0
        for root in roots:
            try:
                total += sum(process.memory_info().rss for process in [root, *root.children(recursive=True)])
            except psutil.Error:
                continue
        return total


if __name__ == "__main__":
    main()
