# Run, from the repository root:
#   python -m benchmarks.hf_search --data TEXT --model FOLDER --scheme BIO --lr 5e-5 --lr 1e-4 --output search.json
"""The notebook's grid through `Trainer.hyperparameter_search(backend="ray")`, as a plain script.

It is what a user of transformers would write to run the loop's trials side by side. A search has one data set
and one model head, so there is one search a scheme. Everything that the search does not force is the loop's.
"""

import argparse
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import ray
import torch
import transformers
from datasets import Dataset
from ray import tune

from benchmarks.notebook_loop import LABELS, encode, metrics_for, read_file


def trainer_for(name: str, scheme: str, data: dict[str, Dataset], folder: str, args: Any) -> transformers.Trainer:
    """The loop's Trainer, its model made by a function, as each trial of a search wants one of its own."""
    labels = LABELS[scheme]
    tokenizer = transformers.AutoTokenizer.from_pretrained(name)

    def model_init() -> Any:
        return transformers.AutoModelForTokenClassification.from_pretrained(
            name,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
            dtype=torch.float32,
        )

    training = transformers.TrainingArguments(
        output_dir=folder,
        num_train_epochs=args.epochs,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=16,
        weight_decay=0.01,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="f1",
        logging_steps=50,
        fp16=torch.cuda.is_available(),
        report_to="none",
    )
    return transformers.Trainer(
        model_init=model_init,
        args=training,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        processing_class=tokenizer,
        data_collator=transformers.DataCollatorForTokenClassification(tokenizer),
        compute_metrics=metrics_for(labels),
    )


def search(trainer: transformers.Trainer, scheme: str, folder: str, args: Any) -> list[tuple[dict[str, Any], str]]:
    """Run every learning rate with every seed; the trials' figures, each with the folder of its best checkpoint."""
    grid: Any = {"learning_rate": tune.grid_search(args.lr), "seed": tune.grid_search(args.seed)}
    best: Any = trainer.hyperparameter_search(
        hp_space=lambda _: grid,
        compute_objective=lambda metrics: metrics["eval_f1"],
        n_trials=1,  # samples of each point of the grid
        direction="maximize",
        backend="ray",
        storage_path=folder,
        verbose=0,
    )
    found = []
    for trial in best.run_summary.trials:
        checkpoint = best.run_summary.get_best_checkpoint(trial, metric="objective", mode="max")
        figures = {
            "scheme": scheme,
            "learning_rate": trial.config["learning_rate"],
            "seed": trial.config["seed"],
            "validation_f1": trial.metric_analysis["objective"]["max"],
            "test_f1": None,
        }
        found.append((figures, str(next(Path(checkpoint.path).glob("checkpoint-*")))))
    return found


def main() -> None:
    """Search scheme by scheme, then evaluate the best trial of all, and only that, on the test part."""
    parser = argparse.ArgumentParser(description="The notebook's grid as Hugging Face's own search over Ray.")
    parser.add_argument("--data", type=Path, required=True, help="annotated text, or JSONL")
    parser.add_argument("--model", required=True, help="hub name or folder")
    parser.add_argument("--scheme", action="append", choices=list(LABELS), required=True, help="repeatable")
    parser.add_argument("--lr", action="append", type=float, required=True, help="repeatable")
    parser.add_argument("--seed", action="append", type=int, required=True, help="repeatable")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, help="CPUs for Ray (default: all)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the results")
    args = parser.parse_args()

    outer = read_file(args.data).train_test_split(test_size=0.2, seed=67)
    inner = outer["train"].train_test_split(test_size=0.1, seed=67)
    parts = {"train": inner["train"], "validation": inner["test"], "test": outer["test"]}
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    data = {scheme: {p: encode(rows, tokenizer, scheme) for p, rows in parts.items()} for scheme in args.scheme}
    ray.init(num_cpus=args.threads, include_dashboard=False)
    with tempfile.TemporaryDirectory() as folder:
        trainers = {scheme: trainer_for(args.model, scheme, data[scheme], folder, args) for scheme in args.scheme}
        searches = [search(trainer, scheme, folder, args) for scheme, trainer in trainers.items()]
        found = list(itertools.chain(*searches))
        best, checkpoint = max(found, key=lambda item: item[0]["validation_f1"])
        trainer = trainers[best["scheme"]]
        trainer.model = transformers.AutoModelForTokenClassification.from_pretrained(checkpoint)
        best["test_f1"] = (trainer.predict(data[best["scheme"]]["test"]).metrics or {})["test_f1"]
    ray.shutdown()
    args.output.write_text(json.dumps([figures for figures, _ in found], indent=2) + "\n", encoding="utf-8")
    print(best)


if __name__ == "__main__":
    main()
