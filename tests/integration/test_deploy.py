"""The cluster files: valid, of the versions that the tests pass with, and with a token everywhere."""

import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import tune_ner

ROOT = Path(tune_ner.__file__).parents[1]
DEPLOY = ROOT / "deploy"


def pinned(name: str) -> str:
    """The version of a package in constraints.txt."""
    found = re.search(rf"^{name}==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1]


def content(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def test_ray_up_takes_its_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    cluster = prepare_config(content("ray-cluster.yaml"))
    validate_config(cluster)
    for starts in (cluster["head_start_ray_commands"], cluster["worker_start_ray_commands"]):
        assert "RAY_AUTH_MODE=token" in starts[-1]
    assert "--dashboard-host=127.0.0.1" in cluster["head_start_ray_commands"][-1]


def test_the_kuberay_job_is_of_the_pinned_ray_and_asks_for_a_token() -> None:
    job = content("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == pinned("ray")
    assert cluster["authOptions"] == {"mode": "token"}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert {c["image"] for g in groups for c in g["template"]["spec"]["containers"]} == {"REGISTRY/tune-ner"}
    for group in groups:
        pod = group["template"]["spec"]
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_image_has_the_pinned_torch_and_all_that_the_wheel_is_made_of() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert f"torch=={pinned('torch')} " in text
    for line in text.splitlines():
        if line.startswith("COPY"):
            assert all((ROOT / name).exists() for name in line.split()[1:-1]), line


def test_the_slurm_script_parses_and_reports_what_it_lacks(tmp_path: Path) -> None:
    script = str(DEPLOY / "slurm.sh")
    subprocess.run(["bash", "-n", script], check=True)
    nothing = subprocess.run(["bash", script], capture_output=True, text=True, check=False)
    assert nothing.returncode == 2
    assert "expected what to run" in nothing.stderr
    bare = subprocess.run(["bash", script, "grid"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bare.returncode == 2
    assert "no environment with Ray is there" in bare.stderr


FAKES = {
    "scontrol": "printf 'one\\ntwo\\n'",
    "hostname": "echo 127.0.0.1",
    # a step that lasts until it is ended, as Ray's nodes do
    "srun": 'echo "srun $RAY_AUTH_MODE ${#RAY_AUTH_TOKEN} $*" >> "$TOLD"; exec sleep 600',
    "python": """case "$*" in
        *secrets*) echo 0123456789abcdef ;;
        *ray.nodes*) grep -c srun "$TOLD" ;;
        *) echo "python $*" >> "$TOLD"; eval "$DOES" ;;
    esac""",
    "ray": "exit 1",
}


def allocation(folder: Path, does: str) -> subprocess.Popen[str]:
    """The script in an allocation of two nodes, whose command does this; what was called is in `folder / "told"`."""
    programs = folder / "venv" / "bin"
    programs.mkdir(parents=True)
    for name, body in FAKES.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (programs / name).chmod(0o755)
    # as on a busy machine, where the command has ended before the script sees to it
    (folder / "busy.sh").write_text('kill() { sleep 0.5; builtin kill "$@"; }\n')
    return subprocess.Popen(
        ["bash", str(DEPLOY / "slurm.sh"), "grid", "demo", "--name", "night"],
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "TOLD": str(folder / "told"),
            "DOES": does,
            "BASH_ENV": str(folder / "busy.sh"),
            "TUNE_NER_ENVIRONMENT": str(folder / "venv"),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_JOB_NODELIST": "n[1-2]",
            "SLURM_CPUS_ON_NODE": "4",
            "SLURM_GPUS_ON_NODE": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("does", ["exit 0", "exit 3", "sleep 1; exit 3"])
def test_an_allocation_of_two_nodes_runs_the_command_once_and_ends_its_nodes(tmp_path: Path, does: str) -> None:
    with allocation(tmp_path, does) as process:
        _, said = process.communicate(timeout=300)
    assert process.returncode == int(does[-1]), said
    lines = sorted((tmp_path / "told").read_text().splitlines())
    assert lines[0] == "python -m tune_ner grid --address 127.0.0.1:20007 demo --name night"
    shared = "--num-cpus 4 --num-gpus 1 --temp-dir /tmp/ray-7 --disable-usage-stats --block"
    head, others = sorted(lines[1:], key=lambda line: "--exclude" in line)
    assert head.startswith("srun token 16 --nodes 1 --ntasks 1 --nodelist one ")
    assert "ray start --head --node-ip-address 127.0.0.1 --port 20007 --include-dashboard false" in head
    assert others.startswith("srun token 16 --nodes 1 --ntasks 1 --exclude one ")
    assert f"ray start --address 127.0.0.1:20007 {shared}" in others
    assert head.endswith(shared)


@pytest.mark.parametrize("tables", ["", "sleep 1; "])
def test_the_end_of_an_allocation_is_that_of_its_command(tmp_path: Path, tables: str) -> None:
    told = tmp_path / "told"
    does = f"trap '{tables}exit 5' TERM; sleep 2; echo ready >> $TOLD; while :; do sleep 0.1; done"
    with allocation(tmp_path, does) as process:
        deadline = time.monotonic() + 300
        while not (told.exists() and "ready" in told.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 5, said


@pytest.mark.parametrize(("code", "succeeds"), [(0, True), (3, True), (1, False), (143, False)])
def test_a_kuberay_job_with_a_failed_trial_is_not_tried_again(tmp_path: Path, code: int, succeeds: bool) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@"\nexit {code}\n')
    python.chmod(0o755)
    # `ray job submit` gets the words and joins them for a shell
    entrypoint = shlex.join(shlex.split(content("rayjob.yaml")["spec"]["entrypoint"]))
    ended = subprocess.run(
        entrypoint, shell=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert (ended.returncode == 0) == succeeds
    assert ended.stdout == "-m tune_ner grid demo --address auto --name night --results-dir /results\n"
