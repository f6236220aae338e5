"""The model card of the exported model, a `README.md` with metadata for the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tune_ner.config.hyperparameters import is_off
from tune_ner.data.corpus import SplitName
from tune_ner.evaluation.seqeval_metrics import TypeMetrics
from tune_ner.results.audits import shared_findings, shared_summaries
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.summary import describe_data, describe_split
from tune_ner.training.model_export import InferenceConfig
from tune_ner.training.result import TrialResult
from tune_ner.utils.tables import escape_markdown, markdown_table

CARD_FILE = "README.md"

_TEMPLATE = Path(__file__).with_name("model_card.md.j2")
_UNKNOWN = "unknown, please fill in"
_MOST_NAMED = 10
_REVISION = re.compile(r"[0-9a-f]{40}")
_SPLITS: tuple[SplitName, ...] = ("validation", "test")


def model_card(results: Results) -> str | None:
    """Return the card as Markdown; None if the run exported no model.

    Raises:
        ModelError: the inference config in `best/` is corrupt.
    """
    models = results.run_dir.models
    record = next((record for record in results.records if record.trial_id == models.exported), None)
    if record is None or record.result is None:
        return None
    inference_config = InferenceConfig.read(models.best)
    # imported here because it is slow to load
    from huggingface_hub import ModelCard, ModelCardData

    values: dict[str, Any] = _metrics(results, record, record.result) | _losses(record.result)
    card = ModelCard.from_template(
        ModelCardData(**_metadata(results, record)),
        str(_TEMPLATE),
        md=escape_markdown,
        title=record.config.titled(results.varied),
        run=results.name,
        record=record,
        config=record.config,
        # the labels of later subwords are trained only if every subword has one
        strategy="simple" if record.config.subword_labels == "all" else "first",
        caveats=results.caveats,
        retrained=inference_config.retraining_differences if inference_config else None,
        data=_facts(_data(results, record, record.result)),
        summaries=[summary for _, summary in shared_summaries(results.audits)],
        findings=shared_findings(results.audits),
        training=_facts(_training(record, record.result)),
        **values,
    )
    return f"{str(card).rstrip()}\n"


def _metadata(results: Results, record: TrialRecord) -> dict[str, Any]:
    """Return the front matter; the language and the license are unknown."""
    config, space = record.config, results.space
    metadata: dict[str, Any] = {
        "library_name": "tune-ner" if config.is_baseline else "transformers",
        "pipeline_tag": "token-classification",
        "tags": ["token-classification", "named-entity-recognition", "tune-ner"],
    }
    if _REVISION.fullmatch(config.model_fingerprint):
        metadata["base_model"] = config.model
    data = space.data.path if space and space.data else ""
    if data.startswith("hub:"):
        metadata["datasets"] = [data.split(":")[1]]
    if record.result:
        metadata["model_name"] = results.name
        metadata["eval_results"] = _model_index(results, record.result)
    return metadata


def _model_index(results: Results, result: TrialResult) -> list[Any]:
    """Return the test metrics as entries of the front matter's `model-index`, which the Hub shows."""
    from huggingface_hub import EvalResult

    path = results.space.data.path if results.space and results.space.data else "unknown"
    name = path.split(":")[1] if path.startswith("hub:") else Path(path).stem
    test = result.metrics["test"].spans
    return [
        EvalResult(
            task_type="token-classification",
            dataset_type=name,
            dataset_name=name,
            dataset_split="test",
            metric_type=metric,
            metric_name=f"span {metric}",
            metric_value=round(getattr(test, metric), 4),
        )
        for metric in ("precision", "recall", "f1")
    ]


def _metrics(results: Results, record: TrialRecord, result: TrialResult) -> dict[str, Any]:
    overall = [
        {**_row("split", name, result.metrics[name].spans), "95 % interval": _interval(results, record, name)}
        for name in _SPLITS
    ]
    test = result.metrics["test"]
    kinds: Mapping[str, TypeMetrics] = {
        **test.spans.per_type,
        "entities that occur in train": test.seen,
        "other entities": test.unseen,
    }
    return {
        "entity_types": ", ".join(test.spans.per_type),
        "overall": markdown_table(pd.DataFrame(overall)),
        "details": markdown_table(pd.DataFrame([_row("entities", name, each) for name, each in kinds.items()])),
        "sentences": [*_leaderboard_sentences(results, record), *results.warnings],
        "seen_recall": test.seen.recall,
        "unseen_recall": test.unseen.recall,
    }


def _row(heading: str, name: str, metrics: Any) -> dict[str, str]:
    scores = {title: f"{getattr(metrics, title.lower()):.3f}" for title in ("precision", "recall", "F1")}
    return {heading: name, **scores, "support": f"{metrics.support:,}"}


def _interval(results: Results, record: TrialRecord, split_name: SplitName) -> str:
    interval = results.cache.interval([record], split_name)
    return f"{interval.low:.3f}–{interval.high:.3f}"


def _leaderboard_sentences(results: Results, record: TrialRecord) -> list[str]:
    best, *others = results.entries
    if record.trial_id not in best.ranked.completed:
        return []
    tied = [entry.configuration.titled(results.varied, replicate=False) for entry in others if entry.tied]
    if not tied:
        return results.summary
    more = f"; and {len(tied) - _MOST_NAMED} more" if len(tied) > _MOST_NAMED else ""
    return [*results.summary, f"Not significantly worse on validation: {'; '.join(tied[:_MOST_NAMED])}{more}."]


def _facts(facts: Mapping[str, object]) -> str:
    return "\n".join(f"- **{name}:** {escape_markdown(str(value))}" for name, value in facts.items())


def _data(results: Results, record: TrialRecord, result: TrialResult) -> dict[str, object]:
    sizes = ", ".join(f"{split_name} {account['sentences']:,}" for split_name, account in result.encoding.items())
    fold = record.config.fold
    return {
        "data": describe_data(results.space),
        "license of the data": _UNKNOWN,
        "language": _UNKNOWN,
        **({"split": describe_split(results.space.split)} if results.space else {}),
        **({} if fold is None else {"fold": fold}),
        "sentences": sizes,
        "fingerprint": record.config.data_fingerprint,
    }


def _training(record: TrialRecord, result: TrialResult) -> dict[str, object]:
    has_effect = record.config.has_effect
    config = record.config.model_dump(exclude={"data_fingerprint"}, exclude_none=True)
    shown = {name: value for name, value in config.items() if value != "" and not is_off(name, value)}
    return {
        **{name: value for name, value in shown.items() if has_effect(name)},
        **({"dropout": "the encoder's default"} if has_effect("dropout") and "dropout" not in config else {}),
        "epochs trained": f"{len(result.epochs)}; the model of epoch {result.best_epoch} was kept",
        "precision used": result.precision_used,
        "parameters": f"{result.parameters:,}",
        "hardware": f"{result.device}, {result.threads} CPU thread{'' if result.threads == 1 else 's'}",
        "seconds": f"{record.seconds:.0f}",
        "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
    }


def _losses(result: TrialResult) -> dict[str, int]:
    account = result.encoding["test"]
    return {"lost": account["entities_cut"] + sum(account["problems"].values()), "test_entities": account["entities"]}
