"""Every shell example of the README and the docs, executed.

Commands of this package run in a folder that has what the examples name; a grid or search only plans
(`--dry-run`). What would take hours or needs a cluster is asked for its `--help` instead, which must know every option
that the example gives.
"""

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/reference/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
ELSEWHERE = {
    "sbatch": "needs Slurm",
    "kubectl": "needs Kubernetes",
    "helm": "needs Kubernetes",
    "docker": "needs a container engine",
    "ssh": "needs another machine",
    "git": "clones from an address",
    "cd": "changes the folder of the reader's shell",
    "pip": "installs packages",
    "uv": "installs packages",
    "tensorboard": "is a server that runs until it is stopped",
    "export": "sets a variable of the reader's shell",
}
SUBSTITUTES = {
    "FILE": "corpus.jsonl",
    "corpus.txt": "1177_annotated_sentences.txt",
    "1177.txt": "1177_annotated_sentences.txt",
    "MODEL": "encoder",
    "FOLDER": "encoder",
    "RUN": "results/demo-1",
    "results/RUN": "results/demo-1",
}
SEARCH = """\
data: corpus.jsonl
model: tiny:1x32
tagging_scheme: [BIO, BIOES]
learning_rate: {loguniform: [1.0e-4, 1.0e-2]}
epochs: 1
"""


@dataclass(frozen=True)
class Example:
    """A command of a page, word by word."""

    page: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {' '.join(self.words)}"


def blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """The indented blocks, line by line with their numbers; one that ends in a backslash has the next one too."""
    block: list[tuple[int, str]] = []
    before = ""
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line.startswith("    ") and (block or not before.strip()):
            if block and block[-1][1].endswith("\\"):
                start, begun = block.pop()
                block.append((start, begun[:-1] + line.strip()))
            else:
                block.append((number, line.strip()))
        elif block:
            yield block
            block = []
        before = line


def is_command(line: str) -> bool:
    """Whether a line begins with a program that the examples have, and is none of YAML, of output or of Python."""
    program = line.split(" ")[0].rpartition("/")[2]
    return program in {"python", "tune-ner", "make", "ray", "echo", "cat", "zcat", "curl", "mlflow", *ELSEWHERE}


def commands(text: str) -> list[tuple[int, str]]:
    """The lines of all blocks that have a command; in those every line must be one, so that none goes unseen."""
    found = [line for block in blocks(text) if any(is_command(line) for _, line in block) for line in block]
    unknown = [f"{number}: {line}" for number, line in found if not is_command(line)]
    assert not unknown, f"no program that is known: {unknown}"
    return found


def examples() -> list[Example]:
    found = []
    for page in PAGES:
        for number, line in commands(page.read_text(encoding="utf-8")):
            # a synopsis has its options in brackets: all of them are given
            words = shlex.split(re.sub(r"\[options\]|\.\.\.|…|[\[\]]", " ", line), comments=True)
            found.append(Example(str(page.relative_to(ROOT)), number, tuple(words)))
    return found


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
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    a_model_folder(folder / "encoder", [sentence.text for sentence in sentences])
    records = [a_record((0.5, 0.6 + rate), learning_rate=rate) for rate in (1e-3, 2e-3)]
    for name in ("demo-1", "with-brackets", "without"):
        a_run(folder / "results", records, name, audits={None: an_audit()})
    an_untrained_model().save(folder / "results" / "demo-1" / "best")
    (folder / "notes.txt").write_text("Ta Alvedon mot feber.\n")
    (folder / "notes.gz").write_bytes(gzip.compress((folder / "notes.txt").read_bytes()))
    (folder / "gold.jsonl").write_bytes((folder / "corpus.jsonl").read_bytes())
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress((folder / "corpus.jsonl").read_bytes()))
    notebook_cache(folder / "hub")
    return folder


def executed(place: Path, words: Sequence[str]) -> str:
    """What a command prints, in a process of its own; it must end well."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "HF_HOME": str(place / "hub" / "home"),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "200",
    }
    told = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


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
    assert {"README.md", "docs/grid.md", "docs/search.md", "docs/cluster.md"} <= pages
    assert any(example.words[:2] == ("make", "grid") for example in found)
    assert any(example.words[0] == "zcat" for example in found)


def test_a_line_of_an_unknown_program_is_no_way_past_the_tests() -> None:
    assert commands("Text\n\n    cat a \\\n      b\n\n    key: value\n") == [(3, "cat a b")]
    with pytest.raises(AssertionError, match="4: awk"):
        commands("Text\n\n    cat notes.txt\n    awk 1 notes.txt\n")


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize("example", examples(), ids=str)
def test_an_example_does_what_it_says(place: Path, example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [SUBSTITUTES.get(word, word) for word in example.words]
    program = words[0].rpartition("/")[2]
    if program in ELSEWHERE:
        pytest.skip(f"{program} {ELSEWHERE[program]}")
    if "|" in words:
        executed(place, ["bash", "-eo", "pipefail", "-c", shlex.join(words).replace("'|'", "|")])
    elif program == "make":
        subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, capture_output=True)
    elif program == "ray":
        subcommand = [word for word in words[1:] if re.fullmatch("[a-z-]+", word)][: 2 if words[1] == "job" else 1]
        check_options(words, executed(place, ["ray", *subcommand, "--help"]))
    elif "benchmarks" in " ".join(words[1:3]):
        start = words[1:3] if words[1] == "-m" else words[1:2]
        check_options(words, executed(place, [sys.executable, *start, "--help"]))
    elif program in ("python", "tune-ner"):
        monkeypatch.chdir(place)
        run_of_package(place, *of_package(words))
    else:
        executed(place, words)


def run_of_package(place: Path, command: str, words: Sequence[str]) -> None:
    arguments = ["my-space.yaml" if word == "SPACE" and command == "search" else word for word in words]
    arguments = ["demo" if word == "SPACE" else word for word in arguments]
    start = [sys.executable, "-m", "tune_ner"]
    if command == "submit":
        kind = "search" if "--search" in arguments else "grid"
        check_options(arguments, *(executed(place, [*start, name, "--help"]) for name in ("submit", kind)))
    elif command == "grid" and {"notebook", "clean", "honest"} & set(
        arguments
    ):  # of the hub, whose cache is read at the start
        executed(place, [*start, command, *arguments, "--dry-run"])
    else:
        more = ["--dry-run"] if command in ("grid", "search") else []
        told = CliRunner().invoke(app, [command, *arguments, *more], catch_exceptions=False)
        assert told.exit_code == 0, told.output
        assert told.output.strip()
