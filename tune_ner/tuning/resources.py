"""What a trial gets of the machine, and how many run at once."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from tune_ner.errors import ResourceError
from tune_ner.training.encoders import EncoderSize

GIB = 1024**3
MAX_TRIALS_PER_GPU = 8
_SMALLEST_SHARE = 0.0001
_UNKNOWN_GPU_MEMORY = 16 * GIB
_GPU_HEADROOM = 0.9
_CUDA_CONTEXT = 0.6 * GIB
_PROCESS = 1.2 * GIB
# Weights, gradients and AdamW's two moments in fp32, and the kept best epoch.
_COPIES = 5
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Node:
    """What one computer of a cluster has; a GPU in part is one that is divided already."""

    cpus: int
    gpus: float


@dataclass(frozen=True)
class Machine:
    """What there is: CPUs, GPUs, and bytes of memory of the host and of the smallest GPU.

    A cluster is the sum of its `nodes`; without them, all is on one computer.
    """

    cpus: int
    gpus: int
    memory: int
    gpu_memory: int
    nodes: tuple[Node, ...] = ()

    @classmethod
    def local(cls) -> Machine:
        """This machine, as far as this process may use it."""
        import torch

        gpus = torch.cuda.device_count()
        sizes = [torch.cuda.get_device_properties(i).total_memory for i in range(gpus)]
        return cls(_usable_cpus(), gpus, psutil.virtual_memory().available, min(sizes, default=0))

    @property
    def hosts(self) -> tuple[Node, ...]:
        """The computers that a trial could run on."""
        return self.nodes or (Node(self.cpus, self.gpus),)


@dataclass(frozen=True)
class TrialNeed:
    """An estimate of what a trial takes, in bytes.

    `weights` in fp32, four of whose copies lie on the GPU while it trains and a fifth in host memory;
    `activations` of one padded batch of the longest sentences. `measured` is what a trial was seen to take of a
    GPU, CUDA's own not included, and stands in for the estimate; 0 where nothing was measured.
    """

    weights: int
    activations: int
    measured: int = 0

    @classmethod
    def of(cls, size: EncoderSize, batch_size: int, max_length: int) -> TrialNeed:
        """The need of training an encoder of this size.

        A step keeps for its backward pass, per layer, about 34 values a token and hidden unit and 5 a token
        pair and head, given in bytes of half precision: Korthikanti et al. 2022, "Reducing Activation
        Recomputation in Large Transformer Models", section 4.1; doubled here for fp32.
        """
        values = batch_size * max_length * (34 * size.hidden + 5 * size.heads * max_length)
        return cls(4 * size.parameters, 2 * size.layers * values)

    @property
    def on_gpu(self) -> float:
        """Bytes of GPU memory, CUDA's own included."""
        return _CUDA_CONTEXT + (self.measured or (_COPIES - 1) * self.weights + self.activations)

    @property
    def beside_gpu(self) -> float:
        """Bytes of host memory of a trial that trains on a GPU: the libraries and the kept best epoch."""
        return _PROCESS + self.weights

    @property
    def on_cpu(self) -> float:
        """Bytes of host memory of a trial that trains there, the libraries included."""
        return _PROCESS + _COPIES * self.weights + self.activations


@dataclass(frozen=True)
class TrialResources:
    """CPUs and GPUs of one trial, and how many trials run at once."""

    cpus: int
    gpus: float
    concurrent: int


@dataclass(frozen=True)
class ResourceRequest:
    """What the user asks for; None leaves it to the machine."""

    cpus_per_trial: int | None = None
    gpus_per_trial: float | None = None
    max_concurrent: int | None = None


def trial_resources(machine: Machine, need: TrialNeed, request: ResourceRequest, trials: int) -> TrialResources:
    """Resources of each trial.

    On GPUs, as many trials share a card as fit into its memory, measured or by estimate, at most eight and no more than
    the trials and the CPUs ask for. On CPUs, trials of one thread run side by side, as many as there are
    cores and memory: two trials of one thread finish sooner than one after the other of two threads.

    Raises:
        ResourceError: a wish that no machine of this kind can fulfil, with the figures.
    """
    _check(machine, request)
    _check_memory(machine, need, request)
    cpus = request.cpus_per_trial or 1
    gpus = request.gpus_per_trial
    if gpus is None:
        gpus = _gpu_share(machine, need, cpus, trials) if machine.gpus else 0.0
    fitting = sum(node.cpus // cpus for node in machine.hosts)
    if gpus:
        fitting = min(fitting, machine.gpus * math.floor(1 / gpus + 1e-9))
        fitting = min(fitting, max(1, int(machine.memory / need.beside_gpu)))
    else:
        fitting = min(fitting, max(1, int(machine.memory / need.on_cpu)))
    concurrent = min(request.max_concurrent or fitting, fitting, trials)
    return TrialResources(cpus, gpus, max(1, concurrent))


def _gpu_share(machine: Machine, need: TrialNeed, cpus: int, trials: int) -> float:
    memory = machine.gpu_memory or _UNKNOWN_GPU_MEMORY
    fits = int(memory * _GPU_HEADROOM / need.on_gpu)
    wanted = math.ceil(trials / machine.gpus)
    fed = machine.cpus // cpus // machine.gpus
    share = max(1, min(fits, wanted, fed, MAX_TRIALS_PER_GPU))
    return math.floor(10_000 / share) / 10_000  # Ray counts GPUs in steps of 0.0001


def _check(machine: Machine, request: ResourceRequest) -> None:
    cpus, gpus, concurrent = request.cpus_per_trial, request.gpus_per_trial, request.max_concurrent
    most = max(node.cpus for node in machine.hosts)
    if cpus is not None and not 1 <= cpus <= most:
        where = "on the largest node" if len(machine.hosts) > 1 else "that there are"
        raise ResourceError(f"--cpus-per-trial {cpus}: expected 1 to {most}, the CPUs {where}")
    if gpus is not None and not 0 <= gpus <= 1:
        raise ResourceError(
            f"--gpus-per-trial {gpus:g}: expected 0 to 1, since a trial trains on one GPU or a part; "
            f"{_there_is(machine)}"
        )
    if gpus and gpus < _SMALLEST_SHARE:
        raise ResourceError(f"--gpus-per-trial {gpus:g}: expected 0, or {_SMALLEST_SHARE:g} and more, Ray's step")
    if gpus and not machine.gpus:
        raise ResourceError(f"--gpus-per-trial {gpus:g}: there is no GPU; leave the option out to train on CPUs")
    if gpus and not any(node.gpus >= gpus and node.cpus >= (cpus or 1) for node in machine.hosts):
        raise ResourceError(
            f"--gpus-per-trial {gpus:g}: no node has that and {_cpus(cpus or 1)} for a trial; {_there_is(machine)}"
        )
    if concurrent is not None and concurrent < 1:
        raise ResourceError(f"--max-concurrent {concurrent}: expected 1 or more")


def _check_memory(machine: Machine, need: TrialNeed, request: ResourceRequest) -> None:
    """That so many trials at once as are wished for fit; one trial is never refused, for the need is an estimate."""
    wanted = request.max_concurrent or 1
    on_gpu = bool(machine.gpus if request.gpus_per_trial is None else request.gpus_per_trial)
    each = need.beside_gpu if on_gpu else need.on_cpu
    _refuse_more_than(wanted, int(machine.memory / each), each, f"{_gigabytes(machine.memory)} are free")
    # Who says how a GPU is to be divided answers for its memory; that of a cluster's GPUs is not known.
    if on_gpu and request.gpus_per_trial is None and machine.gpu_memory:
        fits = machine.gpus * int(machine.gpu_memory * _GPU_HEADROOM / need.on_gpu)
        there = f"{machine.gpus} GPU with {_gigabytes(machine.gpu_memory)}" + (" each" if machine.gpus > 1 else "")
        _refuse_more_than(wanted, fits, need.on_gpu, f"there is {there}")


def _refuse_more_than(wanted: int, fits: int, each: float, there: str) -> None:
    if wanted > max(1, fits):
        raise ResourceError(
            f"--max-concurrent {wanted}: expected at most {max(1, fits)}, since a trial takes about {_gigabytes(each)} "
            f"of memory by estimate and {there}; leave the option out for as many as fit"
        )


def _there_is(machine: Machine) -> str:
    """`there is no GPU`, `there are 2 GPUs`, or what each node has."""
    if not machine.gpus and not any(node.gpus for node in machine.hosts):
        return "there is no GPU"
    if not machine.nodes:
        return "there is 1 GPU" if machine.gpus == 1 else f"there are {machine.gpus} GPUs"
    return "the nodes have " + ", ".join(f"{_cpus(node.cpus)} and {node.gpus:g} GPU" for node in machine.nodes)


def _cpus(count: int) -> str:
    return "1 CPU" if count == 1 else f"{count} CPUs"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


def _usable_cpus() -> int:
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = _CGROUP_CPU.read_text().split()
        return max(1, min(cores, int(int(quota) / int(period))))
    except (OSError, ValueError):  # no control group, or no quota ("max")
        return cores
