"""What the package promises about safety: what it never calls, what listens where, and what is written down."""

import ast
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

import tune_ner

PACKAGE = Path(tune_ner.__file__).parent
UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "ray.cloudpickle"}
UNSAFE_CALLS = {
    *("eval", "exec", "os.system", "os.popen", "torch.load", "np.load", "numpy.load"),
    *("yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "yaml.unsafe_load_all", "pd.read_pickle"),
}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call in the package: its place, the dotted name of what is called, and the call."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield f"{file.relative_to(PACKAGE)}:{node.lineno}", ast.unparse(node.func), node


def test_nothing_that_is_read_can_run() -> None:
    unsafe = [(place, name, call) for place, name, call in calls() if name in UNSAFE_CALLS]
    # without pickle, numpy reads plain arrays
    assert not [each for each in unsafe if "allow_pickle=False" not in ast.unparse(each[2])]
    imported = {
        name
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
    }
    assert not imported & UNSAFE_MODULES


def test_only_a_safe_loader_reads_yaml() -> None:
    from yaml import SafeLoader

    from tune_ner.config.loading import _Loader

    loads = [(place, ast.unparse(call.args[1])) for place, name, call in calls() if name == "yaml.load"]
    assert [loader for _, loader in loads] == ["_Loader"], loads
    assert issubclass(_Loader, SafeLoader)


def test_models_come_as_safetensors_and_without_code() -> None:
    loads = [(place, name, call) for place, name, call in calls() if name.endswith("from_pretrained")]
    assert len(loads) >= 4
    for place, name, call in loads:
        options = {option.arg: ast.unparse(option.value) for option in call.keywords}
        assert options.get("trust_remote_code") == "False", place
        if "Model" in name:
            assert options.get("use_safetensors") == "True", place


def test_no_command_is_put_together_by_a_shell() -> None:
    assert not [place for place, _, call in calls() for option in call.keywords if option.arg == "shell"]


SPACE = """\
data: synthetic:60
model: tiny:1x32
learning_rate: {loguniform: [1.0e-4, 1.0e-3]}
epochs: 1
"""
STRANGER = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False); print('let in')"


def listening(root: psutil.Process) -> dict[tuple[str, int], str]:
    """Where the process and all below it listen, and the command line of who does."""
    found: dict[tuple[str, int], str] = {}
    for process in [root, *root.children(recursive=True)]:
        try:
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found[connection.laddr.ip, connection.laddr.port] = " ".join(process.cmdline())
        except psutil.Error:  # it has ended meanwhile
            continue
    return found


_PAGES = "dashboard/dashboard.py --host"


def watched(
    process: subprocess.Popen[bytes], environment: Mapping[str, str], records: Path
) -> tuple[dict[tuple[str, int], str], subprocess.CompletedProcess[str] | None]:
    """Who listens where until there is a record, and the answer to a stranger with another token."""
    root, seen = psutil.Process(process.pid), dict[tuple[str, int], str]()
    refused: subprocess.CompletedProcess[str] | None = None
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline and not (refused and records.exists()):
        seen |= listening(root)
        ports = [port for (_, port), command in seen.items() if "gcs_server" in command.partition(" ")[0]]
        if ports and refused is None and any(_PAGES in command for command in seen.values()):
            refused = subprocess.run(
                [sys.executable, "-c", STRANGER, f"127.0.0.1:{ports[0]}"],
                env={**environment, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)},
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
        time.sleep(1)
    return seen | (listening(root) if process.poll() is None else {}), refused


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_keeps_its_secrets_and_refuses_strangers(tmp_path: Path) -> None:
    """Ray itself listens on every interface, asking for a token; its dashboard and job server only on loopback."""
    hidden = {name: secrets.token_hex(32) for name in ("HF_TOKEN", "RAY_AUTH_TOKEN", "WANDB_API_KEY", "storage")}
    space = tmp_path / "space.yaml"
    space.write_text(SPACE, encoding="utf-8")
    storage = f"sqlite:///file:{tmp_path}/study.db?mode=rwc&uri=true&secret={hidden['storage']}"
    environment = {**os.environ, **hidden}
    environment.pop("RAY_AUTH_MODE", None)
    log = tmp_path / "output"
    command = [sys.executable, "-m", "tune_ner.search", str(space), "--name", "night", "--storage", storage]
    command += ["--results-dir", str(tmp_path), "--trials", "5000"]
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            seen, refused = watched(process, environment, tmp_path / "night" / "trials.jsonl")
            process.send_signal(signal.SIGINT)
            process.wait(timeout=600)
        finally:
            process.kill()
    told = log.read_text(encoding="utf-8")
    assert process.returncode == 130, told
    assert refused is not None, told
    assert "let in" not in refused.stdout
    assert re.search("auth|token", refused.stderr, re.IGNORECASE)
    hosts = {command.partition("--host=")[2].split(" ")[0] for command in seen.values() if "--host=" in command}
    assert hosts == {"127.0.0.1"}
    assert "127.0.0.1" in {ip for (ip, _), command in seen.items() if _PAGES in command}
    written = [path for path in (tmp_path / "night").rglob("*") if path.is_file()]
    assert len(written) > 5
    for name, secret in hidden.items():
        assert secret not in told, name
        assert not [path for path in written if secret.encode() in path.read_bytes()], name
