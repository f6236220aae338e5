"""The notebook's grid of BERT-base on one GPU, against a loop over the Hugging Face `Trainer`.

    python -m benchmarks.gpu_grid --out FILE.jsonl [--data FILE] [--per-gpu 4]

The encoder has random weights; without `--data` the text is generated. The loop trains in fp16 and saves a checkpoint
per epoch, as the notebook does; only its first trials are run. One JSON object per line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.gpu import save_encoder
from tune_ner.config.loading import parse_space
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.results.run_dir import RunDir
from tune_ner.training.encoders import load_model, resolve_encoder
from tune_ner.training.features import trial_features
from tune_ner.training.padding_free.collator import Collator
from tune_ner.tuning.experiment import Experiment, prepare
from tune_ner.tuning.options import ResourceRequest, RunOptions
from tune_ner.tuning.tuner import run_experiment

RATES = [2e-5, 5e-5, 1e-4]


def grid(experiment: Experiment, folder: Path, per_gpu: int | None) -> dict[str, Any]:
    """Run the grid and return its wall time and the seconds of each trial."""
    share = ResourceRequest(gpus_per_trial=1 / per_gpu if per_gpu else None)
    started = time.perf_counter()
    records = run_experiment(
        experiment, RunDir.new(folder, f"grid-{per_gpu}"), options=RunOptions(resources=share, dashboard=False)
    )
    trials = []
    for record in sorted(records, key=lambda record: record.finished_at):
        assert record.result, record.error
        trials.append(
            {
                "finished_at": str(record.finished_at),
                "wall_seconds": record.seconds,
                "seconds": record.result.seconds,
                "precision": record.result.precision_used,
                "batching": record.result.batching_used,
                "test_span_f1": record.result.metrics["test"].spans.f1,
            }
        )
    return {"part": "grid", "per_gpu": per_gpu, "seconds": time.perf_counter() - started, "trials": trials}


def loop_trial(experiment: Experiment, number: int, folder: Path) -> dict[str, Any]:
    """Train a trial of the grid with the plain Trainer, fp16 and a checkpoint per epoch."""
    started = time.perf_counter()
    config = experiment.trials[number]
    encoder, corpus = resolve_encoder(config.model), experiment.corpus
    features = trial_features(config, encoder, corpus, split_corpus(corpus, SplitSpec()))
    model = load_model(encoder, features.labels, features.tokenizer, config.seed)
    collate: Any = Collator(model, features.tokenizer.pad_token_id, padding_free=False)
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(folder / str(number)),
            learning_rate=config.learning_rate,
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            per_device_eval_batch_size=config.batch_size,
            weight_decay=config.weight_decay,
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            fp16=torch.cuda.is_available(),
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            seed=config.seed,
        ),
        data_collator=collate,
        train_dataset=features.windows["train"],
        eval_dataset=features.windows["validation"],
    )
    trainer.train()
    trainer.predict(features.windows["test"])
    return {"part": "loop", "trial": number, "seconds": time.perf_counter() - started}


def main() -> None:
    """Run the grid, then the first trials of the loop, and append a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="synthetic:950")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--per-gpu", type=int, nargs="+", default=[4], help="trials per GPU; 0 for the default")
    parser.add_argument("--loop", type=int, default=3, help="trials of the loop")
    parser.add_argument("--tiny", action="store_true", help="a tiny encoder, to check the script")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as name, options.out.open("a", encoding="utf-8") as lines:
        folder = Path(name)
        save_encoder(folder / "encoder", tiny=options.tiny)
        content = {
            "data": options.data,
            "markup": "strip",
            "model": str(folder / "encoder"),
            "learning_rate": RATES,
            "tagging_scheme": ["BIO", "BIOES"],
            "seed": [1, 2],
            "epochs": options.epochs,
        }
        experiment = prepare(parse_space(content, "gpu_grid"))

        def write(row: dict[str, Any]) -> None:
            print(json.dumps({key: row[key] for key in row if key != "trials"}), flush=True)
            lines.write(json.dumps(row) + "\n")
            lines.flush()

        for number in range(options.loop):
            write(loop_trial(experiment, number, folder))
        torch.cuda.empty_cache()
        for per_gpu in options.per_gpu:
            write(grid(experiment, folder, per_gpu or None))


if __name__ == "__main__":
    main()
