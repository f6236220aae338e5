"""Resources of each trial, and how many trials run at once."""

import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tune_ner.errors import ResourceError
from tune_ner.training.encoders import EncoderSize
from tune_ner.tuning import resources
from tune_ner.tuning.options import ResourceRequest
from tune_ner.tuning.resources import (
    GIB,
    MAX_TRIALS_PER_GPU,
    Machine,
    MemoryEstimate,
    Node,
    TrialResources,
    memory_kills,
    trial_resources,
)

SMALL = MemoryEstimate(weights=40_000_000, activations=100_000_000)
HUGE = MemoryEstimate(weights=100 * GIB, activations=100 * GIB)
NO_REQUEST = ResourceRequest()
# A model of BERT-base's size at the notebook's batch and length.
BERT_BASE = MemoryEstimate.of(EncoderSize(125_000_000, 768, 12, 12), batch_size=16, max_length=256)

machines = st.builds(
    Machine, st.integers(1, 256), st.integers(0, 16), st.integers(0, 2048 * GIB), st.integers(0, 192 * GIB)
)
memories = st.builds(MemoryEstimate, st.integers(0, 200 * GIB), st.integers(0, 200 * GIB))
requests = st.builds(
    ResourceRequest,
    st.none() | st.integers(1, 256),
    st.none() | st.just(0.0) | st.floats(0.0001, 1),
    st.none() | st.integers(1, 300),
)
trial_counts = st.integers(1, 500)


@given(machines, memories, requests, trial_counts)
def test_concurrent_trials_never_exceed_the_machine(
    machine: Machine, memory: MemoryEstimate, requested: ResourceRequest, trials: int
) -> None:
    try:
        found = trial_resources(machine, memory, requested, trials)
    except ResourceError:
        concurrent = requested.max_concurrent or 0
        too_many_cpus = (requested.cpus_per_trial or 0) > machine.cpus
        too_much_memory = concurrent * min(memory.on_cpu, memory.host_with_gpu) > machine.memory
        too_much_gpu_memory = concurrent * memory.on_gpu > 0.9 * machine.gpu_memory * machine.gpus
        no_gpu = requested.gpus_per_trial and not machine.gpus
        too_little_memory = machine.memory < memory.least_on_host(on_gpu=False)
        assert too_little_memory or too_many_cpus or too_much_memory or too_much_gpu_memory or no_gpu
        return
    assert 1 <= found.concurrent <= trials
    assert found.cpus >= 1
    assert found.concurrent * found.cpus <= machine.cpus
    assert found.concurrent * found.gpus <= machine.gpus + 1e-6
    if requested.cpus_per_trial is not None:
        assert found.cpus == requested.cpus_per_trial
    if requested.gpus_per_trial is not None:
        assert found.gpus == requested.gpus_per_trial
    if requested.max_concurrent is not None:
        assert found.concurrent <= requested.max_concurrent


def with_enough(machine: Machine, memory: MemoryEstimate) -> Machine:
    """Return the machine with enough host memory for one trial."""
    return replace(machine, memory=machine.memory + math.ceil(memory.least_on_host(on_gpu=False)))


@given(machines, memories, trial_counts)
def test_a_gpu_is_shared_by_no_more_trials_than_fit_into_its_memory(
    machine: Machine, memory: MemoryEstimate, trials: int
) -> None:
    assume(machine.gpus and machine.gpu_memory)
    share = trial_resources(with_enough(machine, memory), memory, NO_REQUEST, trials).gpus
    per_card = math.floor(1 / share + 1e-9)
    assert 1 <= per_card <= MAX_TRIALS_PER_GPU
    assert per_card == 1 or per_card * memory.on_gpu <= machine.gpu_memory


@given(machines, memories, trial_counts)
def test_without_a_gpu_trials_request_none(machine: Machine, memory: MemoryEstimate, trials: int) -> None:
    machine = replace(with_enough(machine, memory), gpus=0)
    assert trial_resources(machine, memory, NO_REQUEST, trials).gpus == 0


@pytest.mark.parametrize(
    ("machine", "memory", "requested", "trials", "expected"),
    [
        (Machine(2, 0, 8 * GIB, 0), SMALL, NO_REQUEST, 12, (1, 0, 2)),
        (Machine(64, 0, 512 * GIB, 0), SMALL, NO_REQUEST, 12, (1, 0, 12)),
        (Machine(64, 0, 4 * GIB, 0), SMALL, NO_REQUEST, 12, (1, 0, 2)),
        (Machine(64, 0, 0, 0), SMALL, NO_REQUEST, 12, (1, 0, 1)),
        (Machine(8, 0, 512 * GIB, 0), SMALL, ResourceRequest(cpus_per_trial=3), 12, (3, 0, 2)),
        (Machine(8, 0, 512 * GIB, 0), SMALL, ResourceRequest(max_concurrent=3), 12, (1, 0, 3)),
        (Machine(8, 0, 512 * GIB, 0), SMALL, NO_REQUEST, 1, (1, 0, 1)),
        (Machine(16, 1, 64 * GIB, 80 * GIB), SMALL, NO_REQUEST, 100, (1, 0.25, 4)),
        (Machine(16, 1, 64 * GIB, 80 * GIB), SMALL, NO_REQUEST, 3, (1, 0.3333, 3)),
        (Machine(4, 2, 64 * GIB, 80 * GIB), SMALL, NO_REQUEST, 100, (1, 0.5, 4)),
        (Machine(16, 1, 2048 * GIB, 80 * GIB), HUGE, NO_REQUEST, 100, (1, 1, 1)),
        (Machine(16, 4, 2048 * GIB, 80 * GIB), HUGE, NO_REQUEST, 100, (1, 1, 4)),
        (Machine(16, 4, 200 * GIB, 80 * GIB), HUGE, NO_REQUEST, 100, (1, 1, 1)),
        (Machine(16, 1, 64 * GIB, 80 * GIB), SMALL, ResourceRequest(gpus_per_trial=0.25), 100, (1, 0.25, 4)),
        (Machine(16, 1, 2048 * GIB, 80 * GIB), HUGE, ResourceRequest(gpus_per_trial=0.5), 100, (1, 0.5, 2)),
        (Machine(16, 1, 64 * GIB, 80 * GIB), SMALL, ResourceRequest(gpus_per_trial=0.3), 100, (1, 0.3, 3)),
        (Machine(4, 1, 64 * GIB, 80 * GIB), SMALL, ResourceRequest(gpus_per_trial=0), 100, (1, 0, 4)),
        (Machine(2, 8, 64 * GIB, 80 * GIB), SMALL, NO_REQUEST, 100, (1, 1, 2)),
    ],
)
def test_small_machines_and_large_ones(
    machine: Machine, memory: MemoryEstimate, requested: ResourceRequest, trials: int, expected: tuple[int, float, int]
) -> None:
    assert trial_resources(machine, memory, requested, trials) == TrialResources(*expected)


@pytest.mark.parametrize("memory", [16 * GIB, 24 * GIB, 80 * GIB, 0])
def test_several_trials_of_the_notebook_share_a_gpu(memory: int) -> None:
    found = trial_resources(Machine(16, 1, 64 * GIB, memory), BERT_BASE, NO_REQUEST, 12)
    assert found.concurrent > 1
    assert found.concurrent == math.floor(1 / found.gpus + 1e-9)


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        (ResourceRequest(cpus_per_trial=0), r"--cpus-per-trial 0: expected 1 to 4, the CPUs of this machine"),
        (ResourceRequest(cpus_per_trial=5), r"--cpus-per-trial 5: expected 1 to 4"),
        (ResourceRequest(gpus_per_trial=-0.5), r"--gpus-per-trial -0\.5: expected 0 to 1"),
        (ResourceRequest(gpus_per_trial=2), r"--gpus-per-trial 2: expected 0 to 1, since a trial trains on one GPU"),
        (ResourceRequest(gpus_per_trial=math.nan), r"--gpus-per-trial nan: expected 0 to 1"),
        (ResourceRequest(gpus_per_trial=0.5), r"--gpus-per-trial 0\.5: there is no GPU"),
        (ResourceRequest(max_concurrent=0), r"--max-concurrent 0: expected 1 or more"),
    ],
)
def test_requests_out_of_range_are_refused(requested: ResourceRequest, message: str) -> None:
    with pytest.raises(ResourceError, match=message):
        trial_resources(Machine(4, 0, 8 * GIB, 0), SMALL, requested, 10)


TWO_NODES = Machine(40, 4, 512 * GIB, 0, nodes=(Node(8, 4), Node(32, 0)))
IN_PARTS = Machine(8, 0, 512 * GIB, 0, nodes=(Node(4, 0.5), Node(4, 0.25)))


@pytest.mark.parametrize(
    ("machine", "requested", "message"),
    [
        (Machine(4, 2, 8 * GIB, 80 * GIB), ResourceRequest(gpus_per_trial=3), r"expected 0 to 1.*; there are 2 GPUs$"),
        (Machine(4, 1, 8 * GIB, 80 * GIB), ResourceRequest(gpus_per_trial=3), r"expected 0 to 1.*; there is 1 GPU$"),
        (Machine(4, 0, 8 * GIB, 0), ResourceRequest(gpus_per_trial=3), r"expected 0 to 1.*; there is no GPU$"),
        (
            TWO_NODES,
            ResourceRequest(gpus_per_trial=5),
            r"expected 0 to 1.*; the nodes have 8 CPUs and 4 GPUs, 32 CPUs and 0 GPUs$",
        ),
        (TWO_NODES, ResourceRequest(cpus_per_trial=33), r"expected 1 to 32, the CPUs of the largest node"),
        (
            TWO_NODES,
            ResourceRequest(cpus_per_trial=9, gpus_per_trial=1),
            r"--gpus-per-trial 1: no node has this and 9 CPUs for a trial; the nodes have 8 CPUs and 4 GPUs, 32 CPUs",
        ),
        (
            Machine(8, 1, 512 * GIB, 0, IN_PARTS.nodes),
            ResourceRequest(gpus_per_trial=0.75),
            r"--gpus-per-trial 0\.75: no node has this and 1 CPU .*4 CPUs and 0\.5 GPUs, 4 CPUs and 0\.25 GPUs",
        ),
    ],
)
def test_a_trial_that_fits_no_node_is_refused_with_the_available_resources(
    machine: Machine, requested: ResourceRequest, message: str
) -> None:
    with pytest.raises(ResourceError, match=message):
        trial_resources(machine, SMALL, requested, 10)


def test_a_trial_may_use_the_largest_node() -> None:
    assert trial_resources(TWO_NODES, SMALL, ResourceRequest(cpus_per_trial=32), 10).cpus == 32
    found = trial_resources(TWO_NODES, SMALL, ResourceRequest(cpus_per_trial=8, gpus_per_trial=1), 10)
    assert (found.cpus, found.gpus) == (8, 1)


def test_concurrent_trials_are_counted_node_by_node() -> None:
    threes = Machine(6, 0, 512 * GIB, 0, nodes=(Node(3, 0), Node(3, 0)))
    assert trial_resources(threes, SMALL, ResourceRequest(cpus_per_trial=2), 10).concurrent == 2


@pytest.mark.parametrize(
    ("machine", "memory", "requested", "message"),
    [
        (
            Machine(64, 0, 5 * GIB, 0),
            SMALL,
            ResourceRequest(max_concurrent=4),
            r"--max-concurrent 4: expected at most 3: .* 1\.6 GB .* 5\.4 GB are free",
        ),
        (
            Machine(2, 0, 5 * GIB, 0),
            SMALL,
            ResourceRequest(max_concurrent=1000),
            r"--max-concurrent 1000: expected at most 3",
        ),
        (
            Machine(64, 0, GIB, 0),
            SMALL,
            ResourceRequest(max_concurrent=2),
            r"--max-concurrent 2: expected at most 1: .* 1\.1 GB are free",
        ),
        (
            Machine(64, 2, 2048 * GIB, 80 * GIB),
            HUGE,
            ResourceRequest(max_concurrent=3),
            r"--max-concurrent 3: expected at most 1: .* 752\.3 GB .* there are 2 GPUs with 85\.9 GB",
        ),
        (
            Machine(64, 1, 4 * GIB, 80 * GIB),
            SMALL,
            ResourceRequest(max_concurrent=8),
            r"--max-concurrent 8: expected at most 3: .* 1\.3 GB .* 4\.3 GB are free",
        ),
    ],
)
def test_more_concurrent_trials_than_fit_into_memory_are_refused(
    machine: Machine, memory: MemoryEstimate, requested: ResourceRequest, message: str
) -> None:
    with pytest.raises(ResourceError, match=message):
        trial_resources(machine, memory, requested, 10)


@pytest.mark.parametrize(
    ("machine", "requested"),
    [
        (Machine(64, 0, GIB, 0), ResourceRequest(max_concurrent=1)),
        (Machine(64, 1, 2048 * GIB, 1), ResourceRequest(max_concurrent=2, gpus_per_trial=0.5)),
        (Machine(64, 4, 2048 * GIB, 0), ResourceRequest(max_concurrent=4)),
    ],
    ids=["one trial", "a share of one's own", "a cluster's GPUs, of unknown memory"],
)
def test_requests_that_may_fit_are_accepted(machine: Machine, requested: ResourceRequest) -> None:
    assert trial_resources(machine, SMALL, requested, 10).concurrent == requested.max_concurrent


@pytest.mark.parametrize(
    ("machine", "memory", "message"),
    [
        (Machine(2, 0, GIB // 2, 0), SMALL, r"needs at least 0\.7 GB of memory, and 0\.5 GB are free"),
        (Machine(2, 1, GIB // 4, 80 * GIB), HUGE, r"needs at least 0\.5 GB of memory, and 0\.3 GB are free"),
        (Machine(2, 0, 300 * GIB, 0), HUGE, r"needs at least 430\.0 GB of memory, and 322\.1 GB are free"),
    ],
)
def test_memory_in_which_no_trial_can_run_is_refused(machine: Machine, memory: MemoryEstimate, message: str) -> None:
    with pytest.raises(ResourceError, match=message):
        trial_resources(machine, memory, NO_REQUEST, 10)


@pytest.mark.parametrize(
    ("content", "expected"), [("nr_free_pages 7\noom_kill 56\npgfault 1\n", 56), ("nr_free_pages 7\n", 0), (None, 0)]
)
def test_processes_killed_for_lack_of_memory_are_counted(
    content: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_VMSTAT", tmp_path / "vmstat")
    if content is not None:
        (tmp_path / "vmstat").write_text(content)
    assert memory_kills() == expected


def test_the_memory_estimate_by_hand() -> None:
    memory = MemoryEstimate.of(EncoderSize(parameters=1000, hidden=64, layers=2, heads=4), batch_size=8, max_length=10)
    assert memory.weights == 4000
    assert memory.activations == 2 * 2 * 8 * 10 * (34 * 64 + 5 * 4 * 10)


@given(st.integers(1, 10**9), st.integers(1, 64), st.integers(3, 512))
def test_the_memory_estimate_grows_with_every_dimension(parameters: int, batch: int, length: int) -> None:
    size = EncoderSize(parameters, 768, 12, 12)
    memory = MemoryEstimate.of(size, batch, length)
    for more in (
        MemoryEstimate.of(EncoderSize(parameters + 1, 768, 12, 12), batch, length),
        MemoryEstimate.of(size, batch + 1, length),
        MemoryEstimate.of(size, batch, length + 1),
    ):
        assert more.on_gpu > memory.on_gpu
        assert more.on_cpu > memory.on_cpu


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 8),
        ("", 8),
        ("odd", 8),
    ],
)
def test_the_cpus_of_a_container_are_those_of_its_cgroup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(limit)
    monkeypatch.setattr(resources, "_CGROUP_CPU", file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert Machine.local().cpus == expected


def test_without_a_cgroup_all_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_CGROUP_CPU", tmp_path / "missing")
    assert Machine.local().cpus == len(os.sched_getaffinity(0))


def test_this_machine_has_memory() -> None:
    machine = Machine.local()
    assert machine.memory > 0
    assert (machine.gpu_memory > 0) == (machine.gpus > 0)


@pytest.mark.parametrize("share", [1e-5, 1e-200])
def test_a_share_of_a_gpu_below_rays_smallest_step_is_refused(share: float) -> None:
    with pytest.raises(ResourceError, match=r"expected 0, or .* 0\.0001"):
        trial_resources(Machine(8, 1, 64 * GIB, 64 * GIB), SMALL, ResourceRequest(gpus_per_trial=share), trials=4)


def test_measured_memory_replaces_the_estimate() -> None:
    machine = Machine(16, 1, 64 * GIB, 16 * GIB)
    by_estimate = trial_resources(machine, BERT_BASE, NO_REQUEST, trials=12)
    measured = MemoryEstimate(BERT_BASE.weights, BERT_BASE.activations, measured=int(1.2 * GIB))
    found = trial_resources(machine, measured, NO_REQUEST, trials=12)
    assert math.floor(1 / found.gpus) == MAX_TRIALS_PER_GPU > math.floor(1 / by_estimate.gpus)
    assert measured.on_cpu == BERT_BASE.on_cpu


def test_estimate_leaves_no_doubt_if_twice_the_memory_of_all_trials_fits() -> None:
    needed = 2 * MAX_TRIALS_PER_GPU * BERT_BASE.on_gpu
    assert BERT_BASE.surely_fits(int(needed / 0.9) + 1)
    assert not BERT_BASE.surely_fits(int(needed / 0.9) - 1)
    assert not BERT_BASE.surely_fits(0)  # unknown, of a cluster


def write_cgroup(folder: Path, names: tuple[str, str, str], limit: str, used: int, cached: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\n")


V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@pytest.mark.parametrize(
    ("names", "base", "own"), [(V2, "", "0::/job/step\n"), (V1, "memory", "9:cpu:/other\n4:memory:/job/step\n")]
)
def test_the_memory_of_a_container_is_what_its_cgroups_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str, str], base: str, own: str
) -> None:
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(resources, "_OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(resources, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=64 * GIB))
    root = tmp_path / "groups" / base
    assert Machine.local().memory == 64 * GIB
    write_cgroup(root, names, "max", 0, 0)
    assert Machine.local().memory == 64 * GIB
    write_cgroup(root / "job", names, str(8 * GIB), 3 * GIB, GIB)
    assert Machine.local().memory == 6 * GIB
    write_cgroup(root / "job" / "step", names, str(4 * GIB), GIB, 0)
    assert Machine.local().memory == 3 * GIB
    write_cgroup(root / "job" / "step", names, str(4 * GIB), 5 * GIB, 0)
    assert Machine.local().memory == 0
    monkeypatch.setattr(resources, "_OWN_CGROUPS", tmp_path / "missing")
    assert Machine.local().memory == 64 * GIB
