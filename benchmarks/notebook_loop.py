# Run, from the repository root (the notebook's 12 configurations, one after the other):
#   python benchmarks/notebook_loop.py --output loop.json --csv loop.csv
# One configuration on a local text and a local model folder:
#   python benchmarks/notebook_loop.py --data TEXT --model FOLDER --scheme BIO --lr 5e-5 --output loop.json
"""The notebook's experiment as a plain loop over the Hugging Face Trainer.

It follows the notebook's protocol exactly, including its leaks, and shares no code with the package. It is the
independent reference for the package's metrics and speed.
"""

import argparse
import itertools
import json
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from datasets import Dataset, load_dataset
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

MODELS = ["KB/bert-base-swedish-cased", "google-bert/bert-base-multilingual-cased"]
LEARNING_RATES = [1e-5, 2e-5, 5e-5]
TYPES = ["DISORDER", "DRUG", "BODY"]
HUB_TYPES = ["Disorder and Finding", "Pharmaceutical Drug", "Body Structure"]
LABELS = {
    scheme: ["O", *(f"{prefix}-{kind}" for kind in TYPES for prefix in prefixes)]
    for scheme, prefixes in {"BIO": "BI", "BIOES": "BIES"}.items()
}
METRICS = ["precision", "recall", "f1", "accuracy"]
# The hub's own pattern, unchanged although its curly branch merges adjacent body parts.
MARKUP = re.compile(r"\[([^\[\]()]+)\]|\(([^\[\]()]+)\)|\{([^\[\]()]+)\}")


def read_file(path: Path) -> Dataset:
    """Read one annotated sentence per line, in the form of the hub.

    The lines of a `.jsonl` file have `text` and `spans`, triples of start, end and type.
    """
    rows = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if path.suffix == ".jsonl":
                row = json.loads(line)
                entities = [dict(zip(("start", "end", "type"), span, strict=True)) for span in row["spans"]]
                rows.append({"sentence": row["text"], "entities": entities})
                continue
            # Only the line end is removed: the published offsets count white space at both ends. Blank lines are
            # kept: the hub has them as empty sentences, and without them every split would differ.
            sentence = line.removesuffix("\n")
            matches = [(match.start(), match.end(), match.group()[0]) for match in MARKUP.finditer(sentence)]
            entities = [{"start": start, "end": end, "type": "([{".index(b)} for start, end, b in matches]
            rows.append({"sentence": sentence, "entities": entities})
    return Dataset.from_list(rows)


def spans_of(sentence: str, entities: Any) -> list[tuple[int, int, str]]:
    """Return start, end and type of the entities, in either form that versions of `datasets` use."""
    if isinstance(entities, dict):
        entities = [dict(zip(entities, row, strict=True)) for row in zip(*entities.values(), strict=True)]
    spans = []
    for entity in entities:
        start, end, kind = entity["start"], entity["end"], entity.get("type")
        # The placeholder of a sentence without entities, 999 to 999 without a type, covers no character.
        if start < min(end, len(sentence)):
            if isinstance(kind, str):
                kind = (HUB_TYPES if kind in HUB_TYPES else TYPES).index(kind)
            spans.append((start, end, TYPES[kind]))
    return spans


def words_and_tags(sentence: str, entities: Any, scheme: str) -> tuple[list[str], list[str]]:
    """Split a sentence at white space and tag every word that shares a character with an entity."""
    words = list(re.finditer(r"\S+", sentence))
    tags = ["O"] * len(words)
    for start, end, kind in spans_of(sentence, entities):
        covered = [i for i, word in enumerate(words) if word.start() < end and start < word.end()]
        for i in covered:
            prefix = "B" if i == covered[0] else "I"
            if scheme == "BIOES" and i == covered[-1]:
                prefix = "S" if len(covered) == 1 else "E"
            tags[i] = f"{prefix}-{kind}"
    return [word.group() for word in words], tags


def encode(split: Dataset, tokenizer: Any, scheme: str) -> Dataset:
    """Tokenize a split; the first subword of each word has its label, every other token −100."""

    def encode_batch(batch: dict[str, list[Any]]) -> dict[str, Any]:
        rows = zip(batch["sentence"], batch["entities"], strict=True)
        words, tags = zip(*(words_and_tags(*row, scheme) for row in rows), strict=True)
        encoded = tokenizer(list(words), is_split_into_words=True, truncation=True, max_length=256)
        labels = []
        for i, sentence_tags in enumerate(tags):
            row, previous = [], None
            for word in encoded.word_ids(i):
                first = word is not None and word != previous
                row.append(LABELS[scheme].index(sentence_tags[word]) if first else -100)
                previous = word
            labels.append(row)
        return {**encoded, "labels": labels}

    return split.map(encode_batch, batched=True, remove_columns=split.column_names)


def metrics_for(labels: list[str]) -> Callable[[Any], dict[str, float]]:
    """Return the Trainer's metric function: seqeval in its default mode over the words with a label."""

    def compute_metrics(prediction: Any) -> dict[str, float]:
        gold, predicted = [], []
        for logits, ids in zip(prediction.predictions, prediction.label_ids, strict=True):
            kept = ids != -100
            gold.append([labels[i] for i in ids[kept]])
            predicted.append([labels[i] for i in np.argmax(logits[kept], axis=-1)])
        scores = [precision_score, recall_score, f1_score, accuracy_score]
        return {name: float(score(gold, predicted)) for name, score in zip(METRICS, scores, strict=True)}

    return compute_metrics


def run(
    name: str, tokenizer: Any, scheme: str, lr: float, seed: int, data: dict[str, Dataset], folder: str, args: Any
) -> dict[str, Any]:
    """Train one configuration, restore its best epoch and evaluate it once on the test split."""
    started = time.perf_counter()
    labels = LABELS[scheme]
    # Building the model draws the weights of the head, before the Trainer sets its seed.
    transformers.set_seed(seed)
    model = transformers.AutoModelForTokenClassification.from_pretrained(
        name,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        dtype=torch.float32,  # the default is the stored type, and mixed precision cannot train fp16 weights
    )
    training = transformers.TrainingArguments(
        output_dir=folder,
        learning_rate=lr,
        num_train_epochs=args.epochs,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=16,
        weight_decay=0.01,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="f1",
        logging_steps=50,
        fp16=args.fp16,
        bf16=args.bf16,
        use_cpu=not torch.cuda.is_available(),  # bf16 on a CPU needs it
        seed=seed,
        report_to="none",
    )
    trainer = transformers.Trainer(
        model=model,
        args=training,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        processing_class=tokenizer,
        data_collator=transformers.DataCollatorForTokenClassification(tokenizer),
        compute_metrics=metrics_for(labels),
    )
    train_loss = trainer.train().training_loss
    test = trainer.predict(data["test"]).metrics or {}
    history = trainer.state.log_history
    names = ["loss", *METRICS]
    validation = [entry for entry in history if "eval_loss" in entry]
    return {
        "model": name,
        "scheme": scheme,
        "learning_rate": lr,
        "seed": seed,
        # On a CPU the Trainer accepts fp16 and silently trains in fp32.
        "training_precision": "bf16" if args.bf16 else "fp16" if args.fp16 and torch.cuda.is_available() else "fp32",
        "device": training.device.type,
        "labels": labels,
        "epochs": [{"epoch": e["epoch"], **{n: e[f"eval_{n}"] for n in names}} for e in validation],
        "best_step": trainer.state.best_global_step,
        "training_log": [{"step": e["step"], "loss": e["loss"]} for e in history if "loss" in e],
        "train_loss": train_loss,
        "test": {n: test[f"test_{n}"] for n in names},
        "seconds": time.perf_counter() - started,
    }


def write(results: list[dict[str, Any]], output: Path | None, csv: Path | None) -> None:
    """Write the results so far: all of them as JSON, the test metrics as the notebook's table."""
    if output:
        output.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if csv:
        columns = {"model": "Model", "scheme": "Tagging Scheme", "learning_rate": "Learning Rate"}
        columns |= {"precision": "Precision", "recall": "Recall", "f1": "F1"}
        table = pd.DataFrame([{**result, **result["test"]} for result in results])
        table = table.sort_values(list(columns)[:3])[list(columns)].rename(columns=columns)
        table.to_csv(csv, index=False)


def main() -> None:
    """Run the configurations one after the other; without options, the notebook's twelve."""
    parser = argparse.ArgumentParser(description="The notebook's experiment as a plain Trainer loop.")
    parser.add_argument("--data", type=Path, help="annotated text, or JSONL (default: the hub's data set)")
    parser.add_argument("--model", action="append", help="hub name or folder; repeatable")
    parser.add_argument("--scheme", action="append", choices=list(LABELS), help="repeatable")
    parser.add_argument("--lr", action="append", type=float, help="repeatable")
    parser.add_argument("--seed", action="append", type=int, help="repeatable (default: 42)")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, help="torch's threads (default: torch's choice)")
    parser.add_argument("--fp16", action=argparse.BooleanOptionalAction, default=torch.cuda.is_available())
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--output", type=Path, help="JSON file for all results")
    parser.add_argument("--csv", type=Path, help="CSV file in the notebook's columns")
    parser.add_argument("--work-dir", type=Path, help="keep the checkpoints here (default: delete them)")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)

    hub = ("community-datasets/swedish_medical_ner", "1177")
    corpus = read_file(args.data) if args.data else load_dataset(*hub, split="train")
    outer = corpus.train_test_split(test_size=0.2, seed=67)
    inner = outer["train"].train_test_split(test_size=0.1, seed=67)
    splits = {"train": inner["train"], "validation": inner["test"], "test": outer["test"]}
    counts = {}
    for name, split in splits.items():
        entities = sum(len(spans_of(row["sentence"], row["entities"])) for row in split)
        counts[name] = {"sentences": len(split), "entities": entities}
    print(counts)

    results: list[dict[str, Any]] = []
    for name in args.model or MODELS:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        for scheme in args.scheme or LABELS:
            data = {split_name: encode(rows, tokenizer, scheme) for split_name, rows in splits.items()}
            for lr, seed in itertools.product(args.lr or LEARNING_RATES, args.seed or [42]):
                configuration = f"{name.replace('/', '_')}-{scheme}-{lr:g}-{seed}"
                kept = args.work_dir and args.work_dir / configuration
                # Each configuration saves five checkpoints of three times the size of the weights.
                with nullcontext(str(kept)) if kept else tempfile.TemporaryDirectory() as folder:
                    result = run(name, tokenizer, scheme, lr, seed, data, folder, args)
                print(name, scheme, lr, seed, result["test"])
                results.append({**result, "parts": counts})
                # after each configuration, so that a later crash loses no results
                write(results, args.output, args.csv)


if __name__ == "__main__":
    main()
