"""Resources of each trial, and how many trials run at once."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tune_ner.errors import ResourceError
from tune_ner.training.encoders import EncoderSize
from tune_ner.tuning.options import ResourceRequest

GIB = 1024**3
MAX_TRIALS_PER_GPU = 4
_SMALLEST_SHARE = 0.0001
_UNKNOWN_GPU_MEMORY = 16 * GIB
_GPU_HEADROOM = 0.9
_CUDA_CONTEXT = 0.6 * GIB
_PROCESS = 1.2 * GIB
_LEAST_PROCESS = 0.5 * GIB  # a worker that has imported torch and transformers
# Weights, gradients and AdamW's two moments in fp32, the kept best epoch, and weights and gradients in half precision.
_COPIES = 6
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_UNLIMITED = 2**60
_VMSTAT = Path("/proc/vmstat")
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA's driver, Windows' subsystem for Linux, AMD's driver


@dataclass(frozen=True)
class Node:
    """CPUs and GPUs of one node of a cluster; a fraction of a GPU is the rest of one that is partly in use."""

    cpus: int
    gpus: float


@dataclass(frozen=True)
class Machine:
    """CPUs, GPUs, and bytes of memory of the host and of the smallest GPU.

    For a cluster, the sums over its `nodes`; a single machine has no `nodes`. A memory of 0 is unknown.
    """

    cpus: int
    gpus: int
    memory: int
    gpu_memory: int
    nodes: tuple[Node, ...] = ()

    @classmethod
    def local(cls) -> Machine:
        """Return the part of this machine that this process may use."""
        gpus = _gpu_memories()
        memory = min(psutil.virtual_memory().available, *_free_in_cgroups())
        return cls(_usable_cpus(), len(gpus), memory, min(gpus, default=0))

    @property
    def hosts(self) -> tuple[Node, ...]:
        """Nodes that a trial can run on."""
        return self.nodes or (Node(self.cpus, self.gpus),)


@dataclass(frozen=True)
class MemoryEstimate:
    """Estimated memory of a trial, in bytes.

    Attributes:
        weights: the encoder's weights in fp32. Training keeps six copies.
        activations: of one padded batch of the longest sentences.
        measured: GPU memory measured for a trial without CUDA's own; replaces the estimate. 0 if it was not measured.
    """

    weights: int
    activations: int
    measured: int = 0

    @classmethod
    def of(cls, size: EncoderSize, batch_size: int, max_length: int) -> MemoryEstimate:
        """Return the estimate for training an encoder of this size.

        For its backward pass, a step keeps per layer about 34 bytes for each token and hidden unit and 5 bytes for
        each pair of tokens and head, in half precision (Korthikanti et al. 2022, "Reducing Activation Recomputation
        in Large Transformer Models", section 4.1); doubled here for fp32.
        """
        values = batch_size * max_length * (34 * size.hidden + 5 * size.heads * max_length)
        return cls(4 * size.parameters, 2 * size.layers * values)

    @property
    def on_gpu(self) -> float:
        """GPU memory of a trial, including CUDA's own."""
        return _CUDA_CONTEXT + (self.measured or _COPIES * self.weights + self.activations)

    def surely_fits(self, gpu_memory: int) -> bool:
        """Return whether the largest number of trials per GPU fits even if each takes twice the estimate."""
        return 2 * MAX_TRIALS_PER_GPU * self.on_gpu <= gpu_memory * _GPU_HEADROOM

    @property
    def host_with_gpu(self) -> float:
        """Host memory of a trial that trains on a GPU: the libraries and the weights while they are loaded."""
        return _PROCESS + self.weights

    @property
    def on_cpu(self) -> float:
        """Host memory of a trial that trains on the CPU, including the libraries."""
        return _PROCESS + _COPIES * self.weights + self.activations

    def least_on_host(self, *, on_gpu: bool) -> float:
        """Host memory without which a trial surely fails: libraries and, on a CPU, weights, gradients and moments."""
        return _LEAST_PROCESS + (0 if on_gpu else 4 * self.weights)


@dataclass(frozen=True)
class TrialResources:
    """CPU threads and GPUs of each trial, and how many trials run at once."""

    cpus: int
    gpus: float
    concurrent: int


def trial_resources(machine: Machine, memory: MemoryEstimate, request: ResourceRequest, trials: int) -> TrialResources:
    """Return the resources of each of `trials` trials.

    As many trials share a GPU as fit into its memory, at most four and no more than there are trials and CPUs for. On
    CPUs, trials of one thread each run in parallel, as many as cores and memory allow: two such trials finish earlier
    than two trials of two threads that run one after the other.

    Raises:
        ResourceError: the request exceeds the machine; the message lists what is available.
    """
    _check_request(machine, request)
    _check_memory(machine, memory, request)
    cpus = request.cpus_per_trial or 1
    gpus = request.gpus_per_trial
    if gpus is None:
        gpus = _gpu_share(machine, memory, cpus, trials) if machine.gpus else 0.0
    fitting = sum(node.cpus // cpus for node in machine.hosts)
    if gpus:
        fitting = min(fitting, machine.gpus * math.floor(1 / gpus + 1e-9))
        fitting = min(fitting, max(1, int(machine.memory / memory.host_with_gpu)))
    else:
        fitting = min(fitting, max(1, int(machine.memory / memory.on_cpu)))
    concurrent = min(request.max_concurrent or fitting, fitting, trials)
    return TrialResources(cpus, gpus, max(1, concurrent))


def _gpu_share(machine: Machine, memory: MemoryEstimate, cpus: int, trials: int) -> float:
    by_memory = int((machine.gpu_memory or _UNKNOWN_GPU_MEMORY) * _GPU_HEADROOM / memory.on_gpu)
    by_trials = math.ceil(trials / machine.gpus)
    by_cpus = machine.cpus // cpus // machine.gpus
    trials_per_gpu = max(1, min(by_memory, by_trials, by_cpus, MAX_TRIALS_PER_GPU))
    return math.floor(10_000 / trials_per_gpu) / 10_000  # Ray counts GPUs in steps of 0.0001


def _check_request(machine: Machine, request: ResourceRequest) -> None:
    cpus, gpus, concurrent = request.cpus_per_trial, request.gpus_per_trial, request.max_concurrent
    most = max(node.cpus for node in machine.hosts)
    if cpus is not None and not 1 <= cpus <= most:
        where = "the largest node" if len(machine.hosts) > 1 else "this machine"
        raise ResourceError(f"--cpus-per-trial {cpus}: expected 1 to {most}, the CPUs of {where}")
    if gpus is not None and not 0 <= gpus <= 1:
        raise ResourceError(
            f"--gpus-per-trial {gpus:g}: expected 0 to 1, since a trial trains on one GPU or a fraction of it; "
            f"{_available(machine)}"
        )
    if gpus and gpus < _SMALLEST_SHARE:
        raise ResourceError(f"--gpus-per-trial {gpus:g}: expected 0, or at least Ray's step {_SMALLEST_SHARE:g}")
    if gpus and not machine.gpus:
        raise ResourceError(f"--gpus-per-trial {gpus:g}: there is no GPU; omit the option to train on CPUs")
    if gpus and not any(node.gpus >= gpus and node.cpus >= (cpus or 1) for node in machine.hosts):
        raise ResourceError(
            f"--gpus-per-trial {gpus:g}: no node has this and {_cpus(cpus or 1)} for a trial; {_available(machine)}"
        )
    if concurrent is not None and concurrent < 1:
        raise ResourceError(f"--max-concurrent {concurrent}: expected 1 or more")


def _check_memory(machine: Machine, memory: MemoryEstimate, request: ResourceRequest) -> None:
    """Check that the requested number of trials fit into memory; one passes unless it surely fails."""
    wanted = request.max_concurrent or 1
    on_gpu = bool(machine.gpus if request.gpus_per_trial is None else request.gpus_per_trial)
    least = memory.least_on_host(on_gpu=on_gpu)
    if 0 < machine.memory < least:
        raise ResourceError(
            f"a trial needs at least {_gigabytes(least)} of memory, and {_gigabytes(machine.memory)} are free (a "
            "container's limit counts); end other processes, raise the limit, or choose a smaller encoder"
        )
    each = memory.host_with_gpu if on_gpu else memory.on_cpu
    _check_concurrent(wanted, int(machine.memory / each), each, f"{_gigabytes(machine.memory)} are free")
    # A requested fraction of a GPU is the user's responsibility; the memory of a cluster's GPUs is unknown.
    if on_gpu and request.gpus_per_trial is None and machine.gpu_memory:
        fits = machine.gpus * int(machine.gpu_memory * _GPU_HEADROOM / memory.on_gpu)
        gpus = "there is 1 GPU" if machine.gpus == 1 else f"there are {machine.gpus} GPUs"
        _check_concurrent(wanted, fits, memory.on_gpu, f"{gpus} with {_gigabytes(machine.gpu_memory)} of memory")


def _check_concurrent(wanted: int, fits: int, each: float, available: str) -> None:
    if wanted > max(1, fits):
        raise ResourceError(
            f"--max-concurrent {wanted}: expected at most {max(1, fits)}: by estimate, a trial needs "
            f"{_gigabytes(each)} of memory, and {available}; omit the option to run as many as fit"
        )


def _available(machine: Machine) -> str:
    """Return `there is no GPU`, `there are 2 GPUs`, or the resources of each node."""
    if not machine.gpus and not any(node.gpus for node in machine.hosts):
        return "there is no GPU"
    if not machine.nodes:
        return "there is 1 GPU" if machine.gpus == 1 else f"there are {machine.gpus} GPUs"
    return "the nodes have " + ", ".join(f"{_cpus(node.cpus)} and {node.gpus:g} GPUs" for node in machine.nodes)


def _cpus(count: int) -> str:
    return "1 CPU" if count == 1 else f"{count} CPUs"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


def _gpu_memories() -> list[int]:
    """Return the bytes of memory of each GPU that torch can use."""
    if sys.platform == "linux" and not any(map(os.path.exists, _GPU_DEVICES)):
        return []  # importing torch takes seconds
    import torch

    return [torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())]


def _free_in_cgroups() -> list[int]:
    """Return the bytes that each control group of this process leaves, such as those of a container or a Slurm job.

    A group and all above it limit the process. Cached files (`inactive_file`) are given up when memory is needed.
    """
    try:
        lines = [line.split(":", 2) for line in _OWN_CGROUPS.read_text().splitlines()]
    except OSError:  # no Linux
        return [_UNLIMITED]
    free = [_UNLIMITED]
    for number, controllers, path in lines:
        if number == "0":
            base, names, cached = _CGROUPS, ("memory.max", "memory.current"), "inactive_file"
        elif controllers == "memory":
            base = _CGROUPS / "memory"
            names, cached = ("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_inactive_file"
        else:
            continue
        group = base / path.strip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(base):
                free.append(_free_in_cgroup(folder, *names, cached))
    return free


def _free_in_cgroup(folder: Path, limit_name: str, used_name: str, cached_name: str) -> int:
    try:
        limit, used = (int((folder / name).read_text()) for name in (limit_name, used_name))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group here, or no limit ("max")
        return _UNLIMITED
    return max(0, limit - used + int(stat.get(cached_name, 0)))


def memory_kills() -> int:
    """Return how many processes the system has killed for lack of memory; 0 where it does not count them."""
    with suppress(OSError, ValueError):
        for line in _VMSTAT.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _usable_cpus() -> int:
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = _CGROUP_CPU.read_text().split()
        return max(1, min(cores, int(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroup, or no quota ("max")
        return cores
