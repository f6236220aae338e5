# Run, from the repository root (about ten minutes and 10 GB of memory on two cores):
#   python -m benchmarks.cluster_scale
"""A grid of instant trials on a cluster of many nodes with GPUs that do not exist, all on this machine.

Prints trials per second, seconds and memory of the driver per trial, the largest share of a GPU that was in use at any
time, and what became of the trials of a node that is removed in mid-run. Training is left out; everything else is that
of a real run.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

os.environ["RAY_AUTH_MODE"] = "disabled"  # before Ray is imported; all nodes listen on this machine only

import ray
from ray import tune
from ray.cluster_utils import Cluster

from benchmarks.driver_cost import Memory, instant_experiment
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.tuning import tuner
from tune_ner.tuning.options import ResourceRequest, RunOptions
from tune_ner.tuning.trainable import FAILED, IS_LAST, trial_of


def _recorded(record: str, folder: str, share: float) -> Callable[..., None]:
    """Return a replacement of a worker's `train` that also writes when it used which GPU."""

    def train(config: dict[str, Any], context: Any) -> None:  # noqa: ARG001 - the name is given
        began = time.time()
        template, trial = TrialRecord.model_validate_json(record), trial_of(config)
        mine = template.model_copy(update={"config": trial, "trial_id": trial.trial_id})
        time.sleep(0.05)
        use = {
            "node": ray.get_runtime_context().get_node_id(),
            "gpus": ray.get_gpu_ids(),
            "share": share,
            "began": began,
            "ended": time.time(),
        }
        Path(folder, trial.trial_id).write_text(json.dumps(use), encoding="utf-8")
        tune.report(
            {"epoch": 1, "validation_span_f1": 0.5, FAILED: False, IS_LAST: True, "record": mine.model_dump_json()}
        )

    return train


def largest_use(uses: Iterable[Mapping[str, Any]]) -> float:
    """Return the largest share of a GPU that trials used at the same time; more than 1 is too much."""
    moments: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for use in uses:
        for gpu in use["gpus"]:
            moments[use["node"], gpu] += [(use["began"], use["share"]), (use["ended"], -use["share"])]
    largest = 0.0
    for changes in moments.values():
        in_use = 0.0
        for _, change in sorted(changes):
            in_use += change
            largest = max(largest, in_use)
    return largest


class _Removal(Memory):
    """Removes a node after half of the trials, and adds one after three quarters."""

    def __init__(self, cluster: Cluster, trials: int, node: Mapping[str, int]) -> None:
        super().__init__()
        self._cluster, self._trials, self._node = cluster, trials, node

    def on_trial_end(self, record: TrialRecord) -> None:
        """Measure, and remove or add a node when its time has come."""
        super().on_trial_end(record)
        ended = len(self.seen) - 1
        if ended == self._trials // 2:
            self._cluster.remove_node(sorted(self._cluster.worker_nodes, key=str)[0])
        elif ended == 3 * self._trials // 4:
            self._cluster.add_node(**self._node)


def main() -> None:
    """Run the trials and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=32)
    parser.add_argument("--gpus", type=int, default=8, help="per node")
    parser.add_argument("--cpus", type=int, default=1, help="per node; each trial needs one")
    parser.add_argument("--share", type=float, default=0.5, help="of a GPU, per trial")
    parser.add_argument("--trials", type=int, default=2000)
    arguments = parser.parse_args()
    experiment, record = instant_experiment(arguments.trials)
    node = {"num_cpus": arguments.cpus, "num_gpus": arguments.gpus, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        for _ in range(arguments.nodes - 1):
            cluster.add_node(wait=False, **node)
        cluster.wait_for_nodes(timeout=300)
        with tempfile.TemporaryDirectory(prefix="tune-ner-scale-") as folder:
            uses = Path(folder, "uses")
            uses.mkdir()
            vars(tuner)["train"] = _recorded(record, str(uses), arguments.share)
            measured = _Removal(cluster, arguments.trials, node)
            request = ResourceRequest(gpus_per_trial=arguments.share)
            options = RunOptions(address=cluster.address, resources=request, export=False)
            records = tuner.run_experiment(experiment, RunDir.new(Path(folder), "run"), None, options, measured)
            use = largest_use(json.loads(path.read_text(encoding="utf-8")) for path in uses.iterdir())
    finally:
        cluster.shutdown()
    (began, busy, before), (ended, busy_after, after) = measured.seen[0], measured.seen[-1]
    count = len(measured.seen) - 1
    print(
        f"{arguments.nodes} nodes with {arguments.gpus} GPUs each: {count} trials in {ended - began:.0f} s, "
        f"{count / (ended - began):.1f} a second; driver {1000 * (busy_after - busy) / count:.1f} ms and "
        f"{(after - before) / 1000 / count:.1f} kB a trial; largest use of a GPU {use:g}; one node removed, one added: "
        f"{sum(record.status == 'completed' for record in records)} completed, "
        f"{count - len({record.trial_id for record in records})} repeated"
    )


if __name__ == "__main__":
    main()
