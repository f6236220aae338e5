"""Every shell and Python example of the README and the docs, executed; the site and its generated pages.

Commands of this package run in a folder that contains what the examples name; a grid or search runs with `--dry-run`.
For examples that need hours or a cluster, the options are checked against `--help` instead.
"""

import gzip
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tune_ner
from tests.factories import a_record, a_run, an_audit
from tests.hub_cache import a_model_folder, in_brackets, notebook_cache
from tests.model_folders import an_untrained_model
from tune_ner.cli.app import app
from tune_ner.data.synthetic.generator import synthetic_corpus

ROOT = Path(tune_ner.__file__).parents[1]
GENERATED = runpy.run_path(str(ROOT / "docs" / "generate_reference.py"))
PAGES_OF_REFERENCE: dict[str, Callable[[], str]] = GENERATED["PAGES"]
SCHEMA = ROOT / "search_spaces" / "schema.json"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/reference/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
ELSEWHERE = {
    "sbatch": "needs Slurm",
    "kubectl": "needs Kubernetes",
    "helm": "needs Kubernetes",
    "docker": "needs a container engine",
    "ssh": "needs another machine",
    "pip": "installs packages",
    "git": "clones a repository",
    "uv": "installs packages",
    "tensorboard": "is a server that runs until it is stopped",
    "trackio": "is a server that runs until it is stopped",
    "curl": "asks the server of another example",
    "hf": "asks for a token",
    "export": "sets a variable of the reader's shell",
}
TAKES_A_MINUTE = {"python-api.md"}
SUBSTITUTES = {
    "FILE": "corpus.jsonl",
    "corpus.txt": "1177_annotated_sentences.txt",
    "1177.txt": "1177_annotated_sentences.txt",
    "MODEL": "encoder",
    "FOLDER": "encoder",
    "RUN": "results/demo-1",
    "results/RUN": "results/demo-1",
    "results/demo-1/onnx": "results/demo-1/exported",  # which another example exports
}
SEARCH = """\
data: corpus.jsonl
model: tiny:1x32
tagging_scheme: [BIO, BIOES]
learning_rate: {loguniform: [1.0e-4, 1.0e-2]}
epochs: 1
"""
GRID = SEARCH.replace("{loguniform: [1.0e-4, 1.0e-2]}", "[1.0e-3, 3.0e-3]")


@dataclass(frozen=True)
class Example:
    """A command of a page, word by word."""

    page: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {' '.join(self.words)}"


def blocks(text: str, language: str) -> Iterator[list[tuple[int, str]]]:
    """Yield the fenced blocks of a language, line by line with their numbers; continued lines are joined."""
    block: list[tuple[int, str]] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if block is None:
            block = [] if line.strip() == f"```{language}" else None
        elif line.strip() == "```":
            yield block
            block = None
        elif block and block[-1][1].endswith("\\") and language == "bash":
            start, begun = block.pop()
            block.append((start, begun[:-1] + line.strip()))
        else:
            block.append((number, line))


def is_command(line: str) -> bool:
    """Whether the tests can execute or check the program of this line."""
    program = line.split(" ")[0].rpartition("/")[2]
    return program in {"python", "tune-ner", "make", "ray", "echo", "cat", "zcat", "mlflow", *ELSEWHERE}


def commands(text: str) -> list[tuple[int, str]]:
    """Return the lines of all shell blocks; a line of an unknown program fails, so that none is skipped."""
    found = [line for block in blocks(text, "bash") for line in block if line[1].strip()]
    unknown = [f"{number}: {line}" for number, line in found if not is_command(line)]
    assert not unknown, f"unknown program: {unknown}"
    return found


def python_examples() -> dict[str, str]:
    """Return the Python code of each page by its name, without pages that repeat that of an earlier one.

    A run that takes a minute gets fewer sentences and epochs.
    """
    pages: dict[str, str] = {}
    for page in PAGES:
        parts = blocks(page.read_text(encoding="utf-8"), "python")
        code = "\n\n".join("\n".join(line for _, line in block) for block in parts)
        code = code.replace('"synthetic:1000"', '"synthetic:300"').replace('"epochs": 8', '"epochs": 2')
        if code and code not in pages.values():
            pages[page.name] = code
    return pages


def examples() -> list[Example]:
    """Return the commands of all pages, each once."""
    found: dict[tuple[str, ...], Example] = {}
    for page in PAGES:
        for number, line in commands(page.read_text(encoding="utf-8")):
            # a synopsis has its options in brackets: all of them are given
            words = shlex.split(re.sub(r"\[options\]|\.\.\.|…|[\[\]]", " ", line), comments=True)
            found.setdefault(tuple(words), Example(str(page.relative_to(ROOT)), number, tuple(words)))
    return list(found.values())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has all that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    sentences = synthetic_corpus(150).sentences
    rows = [
        {"text": s.text, "spans": [{"start": p.start, "end": p.end, "label": p.label} for p in s.spans]}
        for s in sentences
    ]
    (folder / "corpus.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "1177_annotated_sentences.txt").write_text("".join(f"{in_brackets(s)}\n" for s in sentences))
    (folder / "my-space.yaml").write_text(SEARCH)
    (folder / "my-grid.yaml").write_text(GRID)
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    a_model_folder(folder / "encoder", [sentence.text for sentence in sentences])
    records = [a_record((0.5, 0.6 + rate), learning_rate=rate) for rate in (1e-3, 2e-3, 3e-3)]
    for name in ("demo-1", "with-brackets", "without"):
        a_run(folder / "results", records, name, audits={None: an_audit()})
    for model in ("best", "exported"):
        an_untrained_model().save(folder / "results" / "demo-1" / model)
    (folder / "notes.txt").write_text("Ta Alvedon mot feber.\n")
    (folder / "notes.gz").write_bytes(gzip.compress((folder / "notes.txt").read_bytes()))
    (folder / "gold.jsonl").write_bytes((folder / "corpus.jsonl").read_bytes())
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress((folder / "corpus.jsonl").read_bytes()))
    notebook_cache(folder / "hub")
    return folder


def executed(place: Path, words: Sequence[str]) -> str:
    """Return what a command prints in a process of its own; it must succeed."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "HF_HOME": str(place / "hub" / "home"),
        "XDG_CACHE_HOME": str(place / "cache"),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "200",
    }
    told = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


@cache
def help_of(*command: str) -> str:
    """Return what a command of another program, or a module, prints for `--help`."""
    return executed(ROOT, [*command, "--help"])


@cache
def package_help(command: str) -> str:
    """Return what a command of this package prints for `--help`."""
    outcome = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"})
    assert outcome.exit_code == 0
    return outcome.output


def check_options(words: Sequence[str], *helps: str) -> None:
    """That these texts name every option that an example gives."""
    for word in words:
        option = word.partition("=")[0]
        assert not option.startswith("--") or re.search(rf"{option}\b", "".join(helps)), f"{words}: no {option}"


def of_package(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The command of this package and its arguments: `grid`, and what follows."""
    program, *rest = words
    if program.endswith("tune-ner"):
        return rest[0], tuple(rest[1:])
    module, *rest = rest[1:]
    if module == "tune_ner":
        return rest[0], tuple(rest[1:])
    return module.partition(".")[2], tuple(rest)


def test_examples_are_found() -> None:
    found = examples()
    pages = {example.page for example in found}
    assert {"README.md", "docs/guides/grid.md", "docs/guides/search.md", "docs/guides/clusters.md"} <= pages
    assert any(example.words[:2] == ("make", "grid") for example in found)
    assert any(example.words[0] == "zcat" for example in found)


def test_lines_of_unknown_programs_are_found() -> None:
    assert commands("Text\n\n```bash\ncat a \\\n  b\n```\n\n```yaml\nkey: value\n```\n") == [(4, "cat a b")]
    with pytest.raises(AssertionError, match="5: awk"):
        commands("Text\n\n```bash\ncat notes.txt\nawk 1 notes.txt\n```\n")


def test_generated_reference_pages_are_up_to_date() -> None:
    for name, page in PAGES_OF_REFERENCE.items():
        committed = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        assert committed == page().rstrip("\n") + "\n", f"run: python docs/generate_reference.py ({name})"
    assert SCHEMA.read_text(encoding="utf-8") == GENERATED["schema"](), "run: python docs/generate_reference.py"


@pytest.mark.slow
def test_site_builds_without_warnings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert (tmp_path / "site" / "guides" / "quickstart.html").is_file()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.long] if page in TAKES_A_MINUTE else []) for page in python_examples()],
)
def test_python_examples_run(place: Path, page: str) -> None:
    executed(place, [sys.executable, "-c", python_examples()[page]])


@pytest.mark.slow
@pytest.mark.parametrize("example", examples(), ids=str)
def test_shell_example_runs(place: Path, example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [SUBSTITUTES.get(word, word) for word in example.words]
    words = [word.replace("s3://bucket/runs", f"file://{place}/results").replace("night", "demo-1") for word in words]
    program = words[0].rpartition("/")[2]
    if program in ELSEWHERE:
        pytest.skip(f"{program} {ELSEWHERE[program]}")
    if "|" in words:
        executed(place, ["bash", "-eo", "pipefail", "-c", shlex.join(words).replace("'|'", "|")])
    elif program == "make":
        subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, capture_output=True)
    elif program == "ray":
        subcommand = [word for word in words[1:] if re.fullmatch("[a-z-]+", word)][: 2 if words[1] == "job" else 1]
        check_options(words, help_of("ray", *subcommand))
    elif program == "python" and "benchmarks" in " ".join(words[1:3]):
        start = words[1:3] if words[1] == "-m" else words[1:2]
        check_options(words, help_of(sys.executable, *start))
    elif program in ("python", "tune-ner"):
        monkeypatch.chdir(place)
        monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        run_of_package(place, *of_package(words))
    else:
        executed(place, words)


def run_of_package(place: Path, command: str, words: Sequence[str]) -> None:
    arguments = ["my-space.yaml" if word == "SPACE" and command == "search" else word for word in words]
    arguments = ["demo" if word == "SPACE" else word for word in arguments]
    if command == "submit":
        kind = "search" if "--search" in arguments else "grid"
        check_options(arguments, package_help("submit"), package_help(kind))
    elif command in ("serve", "push") or (command == "export" and "--ensemble" in arguments):
        # they run until they are stopped, need the Hub, or train
        check_options(arguments, package_help(command))
    elif command == "grid" and {"notebook", "clean", "honest"} & set(arguments) and "--model" not in arguments:
        # models of the hub, whose cache is read at the start
        executed(place, [sys.executable, "-m", "tune_ner", command, *arguments, "--dry-run"])
    else:
        more = ["--dry-run"] if command in ("grid", "search") else []
        told = CliRunner().invoke(app, [command, *arguments, *more], catch_exceptions=False)
        assert told.exit_code == 0, told.output
        assert told.output.strip()
