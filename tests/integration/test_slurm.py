"""`deploy/slurm.sh` on a real Slurm of two nodes on this machine: a grid, a preemption, and the same line again.

Slurm's daemons run as this user with files and ports of their own; the two `slurmd` have other node names and ports.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.two_nodes import free_ports

ROOT = Path(__file__).parents[2]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "squeue")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(bool(MISSING), reason=f"Slurm is not installed: no {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="slurmd needs root"),
]
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def wait(condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.5)


class Slurm:
    """A running Slurm."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        outcome = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
        )
        return outcome.stdout.strip()

    def submit(self, *arguments: str) -> str:
        log = self.folder / "job-%j.log"
        return self.run("sbatch", "--parsable", "--nodes", "2", "-o", str(log), "deploy/slurm.sh", *arguments)

    def state(self, job: str) -> tuple[str, str]:
        fields = dict(field.partition("=")[::2] for field in self.run("scontrol", "show", "job", job).split())
        return fields["JobState"], fields["ExitCode"]

    def wait_for_end(self, job: str) -> tuple[str, str]:
        wait(lambda: self.state(job)[0] not in ("PENDING", "RUNNING", "COMPLETING"), f"the end of job {job}")
        return self.state(job)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    (folder / "state").mkdir()
    text = CONFIGURATION.format(host=socket.gethostname().partition(".")[0], folder=folder, ports=free_ports(3))
    (folder / "slurm.conf").write_text(text)
    for name in ("n1", "n2"):
        (folder / f"spool-{name}").mkdir()
    found = Slurm(folder)
    options = [f"--{name}={folder}/munge.{name}" for name in ("socket", "seed-file", "pid-file", "log-file")]
    commands = [
        ["munged", "--foreground", "--force", f"--key-file={key}", *options],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", "n1"],
        ["slurmd", "-D", "-N", "n2"],
    ]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            log = (folder / f"{len(daemons)}-{command[0]}.out").open("wb")
            daemons.append(subprocess.Popen(command, env=found.environment, stdout=log, stderr=log))
            time.sleep(2)
        wait(lambda: found.run("sinfo", "-h", "-o", "%T %D") == "idle 2", "two idle nodes", 60)
        yield found
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=60)


def table(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "leaderboard.csv").drop(columns="seconds")


def records(run: Path) -> int:
    file = run / "trials.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_a_grid_runs_on_both_nodes_and_is_resumed_after_a_preemption(slurm: Slurm, tmp_path: Path) -> None:
    arguments = ["grid", "demo", "--results-dir", str(tmp_path), "--epochs", "6", "--name"]
    undisturbed = slurm.submit(*arguments, "undisturbed")
    assert slurm.wait_for_end(undisturbed) == ("COMPLETED", "0:0")
    assert "run started: 4 trials at once" in (tmp_path / "undisturbed" / "run.log").read_text()
    preempted = slurm.submit(*arguments, "preempted")
    wait(lambda: records(tmp_path / "preempted") >= 3, "three records")
    slurm.run("scancel", "--signal=TERM", "--batch", preempted)
    assert slurm.wait_for_end(preempted) == ("FAILED", "143:0")
    assert 3 <= records(tmp_path / "preempted") < 12
    assert (tmp_path / "preempted" / "leaderboard.csv").exists()
    again = slurm.submit(*arguments, "preempted")
    assert slurm.wait_for_end(again) == ("COMPLETED", "0:0")
    assert records(tmp_path / "preempted") == 12
    pd.testing.assert_frame_equal(table(tmp_path / "preempted"), table(tmp_path / "undisturbed"))
