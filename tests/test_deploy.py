"""The cluster files: valid, of the versions that the tests pass with, and with a token everywhere."""

import re
import subprocess
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
        assert "RAY_AUTH_MODE=token ray start" in starts[-1]
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


def test_the_slurm_script_parses_and_tells_what_it_lacks(tmp_path: Path) -> None:
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
        *) echo "python $*" >> "$TOLD"; exit "$CODE" ;;
    esac""",
    "ray": "exit 1",
}


@pytest.mark.parametrize("code", [0, 3])
def test_an_allocation_of_two_nodes_runs_the_command_once_and_ends_its_nodes(tmp_path: Path, code: int) -> None:
    programs, told = tmp_path / "venv" / "bin", tmp_path / "told"
    programs.mkdir(parents=True)
    for name, body in FAKES.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (programs / name).chmod(0o755)
    ended = subprocess.run(
        ["bash", str(DEPLOY / "slurm.sh"), "grid", "demo", "--name", "night"],
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "TOLD": str(told),
            "CODE": str(code),
            "ENVIRONMENT": str(tmp_path / "venv"),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_JOB_NODELIST": "n[1-2]",
            "SLURM_CPUS_ON_NODE": "4",
            "SLURM_GPUS_ON_NODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    lines = sorted(told.read_text().splitlines())
    assert lines[0] == "python -m tune_ner grid --address 127.0.0.1:20007 demo --name night"
    shared = "--num-cpus 4 --num-gpus 1 --temp-dir /tmp/ray-7 --disable-usage-stats --block"
    head, others = sorted(lines[1:], key=lambda line: "--exclude" in line)
    assert head.startswith("srun token 16 --nodes 1 --ntasks 1 --nodelist one ")
    assert "ray start --head --node-ip-address 127.0.0.1 --port 20007 --include-dashboard false" in head
    assert others.startswith("srun token 16 --nodes 1 --ntasks 1 --exclude one ")
    assert f"ray start --address 127.0.0.1:20007 {shared}" in others
    assert head.endswith(shared)
