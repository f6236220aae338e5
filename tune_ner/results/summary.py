"""Plain sentences about a run: its data and search space, its best configuration, trials without a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from tune_ner.audit.baselines import EVALUATED_SPLITS
from tune_ner.config.hyperparameters import NumberDistribution, format_distribution, is_off
from tune_ner.config.search_space import SearchSpace, SplitSettings
from tune_ner.data.corpus import SPLIT_NAMES
from tune_ner.evaluation.ranking import expected_best
from tune_ner.results.audits import Audits, best_baseline, shared_findings
from tune_ner.results.effects import SIGNIFICANT
from tune_ner.results.leaderboard import LeaderboardEntry
from tune_ner.results.prediction_cache import PredictionCache
from tune_ner.results.ranking import MOST_COMPARED, Ranking
from tune_ner.results.records import Status, TrialRecord
from tune_ner.results.selection import (
    MAIN_HYPERPARAMETERS,
    hyperparameter_values,
    varied_hyperparameters,
)
from tune_ner.utils.text import format_value, plural, signed

_MOST_VALUES = 8
_FEWEST_FOR_BUDGET = 4
_PROBLEMS = {
    "outside_text": "outside their text",
    "empty": "empty",
    "no_word": "without a word",
    "off_boundary": "not on word boundaries",
    "overlap": "overlapping a later entity",
    "merged": "merged with a neighbor by the tagging scheme",
}


def describe_run(space: SearchSpace | None, records: Sequence[TrialRecord]) -> dict[str, str]:
    """Return the data, the trials by status, and the hyperparameters of a run, each as a short text."""
    if space is None:
        names = (*MAIN_HYPERPARAMETERS, "seed") if records else ()
        values = {name: _listed(hyperparameter_values(records, name)) for name in names}
        return {"data": describe_data(None), "trials": _count_statuses(space, records), **values}
    return {
        "data": describe_data(space),
        "split": describe_split(space.split),
        "trials": _count_statuses(space, records),
        **describe_space(space),
    }


def describe_data(space: SearchSpace | None) -> str:
    """Return the data source and the treatment of annotation markup: `corpus.jsonl, markup strip`."""
    if space is None:
        return "unknown"
    reading = [f"{name} {value}" for name, value in (space.data.reading if space.data else {}).items()]
    return ", ".join([space.data.path if space.data else "in memory", *reading, f"markup {space.markup}"])


def describe_split(split: SplitSettings) -> str:
    """Return how the sentences were split: `random: test 0.2, validation 0.1, seed 67`."""
    if split.folds:
        return f"{split.folds} folds ({split.method}), seed {split.seed}"
    return f"{split.method}: test {split.test_size:g}, validation {split.validation_size:g}, seed {split.seed}"


def describe_space(space: SearchSpace) -> dict[str, str]:
    """Return the values of each hyperparameter that varies, and in one text called `fixed` those of the others.

    Those without effect are left out.
    """
    values = {name: _listed(found) for name, found in space.hyperparameters.items()}
    fixed = [name for name, found in space.hyperparameters.items() if isinstance(found, list) and len(found) == 1]
    varied = {name: shown for name, shown in values.items() if name not in fixed}
    shown = [name for name in fixed if not is_off(name, getattr(space, name)[0])]
    return {**varied, "fixed": ", ".join(f"{name} {values[name]}" for name in shown)}


def planned_trials(space: SearchSpace | None, records: Sequence[TrialRecord]) -> int:
    """Return the number of trials of a grid; for a search or an unknown search space, the number of records."""
    if space is None or space.distributions:
        return len(records)
    return len(space.grid_points())


def _count_statuses(space: SearchSpace | None, records: Sequence[TrialRecord]) -> str:
    counts = {status: sum(record.status == status for record in records) for status in get_args(Status)}
    counts["not run"] = max(0, planned_trials(space, records) - len(records))
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"


def _listed(values: list[Any] | NumberDistribution) -> str:
    if not isinstance(values, list):
        return format_distribution(values)
    shown = ", ".join(map(format_value, values[:_MOST_VALUES]))
    return shown if len(values) <= _MOST_VALUES else f"{shown}, … ({len(values)})"


def summarize_leaderboard(
    entries: Sequence[LeaderboardEntry],
    records: Sequence[TrialRecord],
    cache: PredictionCache,
    *,
    is_brief: bool = False,
) -> list[str]:
    """Describe the best configuration and how certain its first place is; empty without a completed trial.

    A brief summary leaves out the correction for the choice, detectable differences and the expected best.
    """
    if not entries:
        return []
    best, *others = entries
    ranking = None if is_brief else Ranking(cache, [entry.records for entry in entries])
    sentences = [
        f"Best configuration on the validation set: {best_title(entries, records)}, {_score(best)}validation span F1 "
        f"{best.validation.estimate:.3f} (95 % interval {best.validation.low:.3f} to {best.validation.high:.3f}), test "
        f"span F1 {best.test.estimate:.3f} ({best.test.low:.3f} to {best.test.high:.3f}).",
        *(_selection_bias(ranking, records) if ranking else ()),
    ]
    not_compared = sum(entry.tied is None for entry in others)
    if compared := len(others) - not_compared:
        sentences.append(_describe_ties(sum(bool(entry.tied) for entry in others), compared, bool(not_compared)))
    if not_compared:
        sentences.append(
            f"{plural(not_compared, 'configuration')} could not be compared with the best: ranked below the first "
            f"{MOST_COMPARED}, or too few seeds and folds in common."
        )
    if ranking:
        sentences += [*_detectable_differences(ranking), *_expected_best(entries, records)]
    if len(best.records) == 1 and not cache.has_repeated_seeds:
        sentences.append(cache.seed_deviation.sentence)
    if len({record.config.fold for record in best.records}) > 1:
        sentences.append(
            "The folds share training sentences, so their scores depend on each other, and intervals over folds are "
            "somewhat too narrow (Bengio and Grandvalet 2004)."
        )
    return sentences


def _describe_ties(tied: int, compared: int, more: bool) -> str:
    """Describe how many of the configurations that were compared with the best are tied with it."""
    method = "than the best on the validation set (paired randomization test, Holm's correction)."
    if compared == 1:
        only = "The other configuration that was compared" if more else "The other configuration"
        return f"{only} is {'not ' if tied else ''}significantly worse {method}"
    others = f"the other {compared} configurations{' that were compared' if more else ''}"
    return (
        f"{tied} of {others} {'is' if tied == 1 else 'are'} not significantly worse {method} With 95 % confidence the "
        "truly best one is among the tied; not every one that is as good need be."
    )


def _selection_bias(ranking: Ranking, records: Sequence[TrialRecord]) -> list[str]:
    """Describe the validation F1 of the best without the optimism of choosing it; empty without a choice."""
    corrected = ranking.corrected_f1()
    if corrected is None:
        return []
    unseen = []
    if not ranking.covers_epochs and any(record.result and len(record.curve) > 1 for record in records):
        unseen.append("of the best epoch")
    if any(record.phase == "search" and record.is_trained for record in records):
        unseen.append("of the configurations of the search that were retrained")
    if any(record.status == "pruned" for record in records):
        unseen.append("against pruned configurations")
    epochs = " and their epochs" if ranking.covers_epochs else ""
    among = f"{len(ranking.places)} configurations{epochs}" if len(ranking.places) > 1 else "its epochs"
    uncovered = f"; it does not cover the choice {' and '.join(unseen)}" if unseen else ""
    return [
        f"Corrected for the choice among {among}, its validation F1 is {corrected:.3f} "
        f"(bootstrap bias correction{uncovered})."
    ]


def _detectable_differences(ranking: Ranking) -> list[str]:
    if len(ranking.places) < 2:
        return []
    found = {split_name: ranking.detectable(split_name) for split_name in EVALUATED_SPLITS}
    if not all(single for single, _ in found.values()):  # too few sentences to estimate a variance
        return []
    many = len(ranking.places) > 2
    listed = ", ".join(
        f"{single:.3f} on {split_name}"
        + (f" ({among_all:.3f} in {len(ranking.places) - 1} comparisons)" if many else "")
        for split_name, (single, among_all) in found.items()
    )
    return [f"Smallest difference to the best that a test would find in 80 % of cases: {listed}."]


def budget_scores(entries: Sequence[LeaderboardEntry], records: Sequence[TrialRecord]) -> list[float]:
    """Return the validation scores of the configurations that were drawn: of a search's trials, or of the grid."""
    searched = [r.best_score or 0.0 for r in records if r.phase == "search" and r.status == "completed"]
    return searched or [entry.ranked.mean_score for entry in entries]


def _expected_best(entries: Sequence[LeaderboardEntry], records: Sequence[TrialRecord]) -> list[str]:
    """Describe how good the best of fewer configurations would be; empty for a few."""
    scores = budget_scores(entries, records)
    if len(scores) < _FEWEST_FOR_BUDGET:
        return []
    expected = expected_best(scores)
    sizes = sorted({1, 2, len(scores) // 2, len(scores)})
    listed = ", ".join(f"{expected[size - 1]:.3f} of {size}" for size in sizes)
    return [f"Expected best validation F1 of fewer configurations, drawn at random from these: {listed}."]


def best_title(entries: Sequence[LeaderboardEntry], records: Sequence[TrialRecord]) -> str:
    """Return the title of the best configuration, such as `tiny:1x32 · BIO · lr 0.001`."""
    return entries[0].configuration.titled(varied_hyperparameters(records), replicate=False)


def _score(entry: LeaderboardEntry) -> str:
    metric = entry.configuration.selection_metric
    return "" if metric == "span_f1" else f"validation seqeval F1 {entry.ranked.mean_score:.3f}, "


def notes(records: Sequence[TrialRecord]) -> list[str]:
    """Describe pruned trials, entities lost in encoding, and changes of the batching."""
    return [*_pruned(records), *_encoding_losses(records), *_batching_changes(records)]


def failures(records: Sequence[TrialRecord]) -> list[str]:
    """Return one sentence per failed or diverged trial with its error."""
    varied = varied_hyperparameters(records)
    return [f"{record.config.titled(varied)} {record.status}: {record.error}" for record in records if record.error]


def _pruned(records: Sequence[TrialRecord]) -> list[str]:
    epochs = sorted(len(record.curve) for record in records if record.status == "pruned")
    if not epochs:
        return []
    after = plural(epochs[0], "epoch") if epochs[0] == epochs[-1] else f"{epochs[0]} to {epochs[-1]} epochs"
    return [
        f"{len(epochs)} of {plural(len(records), 'trial')} {'was' if len(epochs) == 1 else 'were'} pruned after "
        f"{after}. Pruned trials have no test metrics and are not included in any mean or comparison."
    ]


def _encoding_losses(records: Sequence[TrialRecord]) -> list[str]:
    """Describe each way in which encoding loses entities, once for equal encodings."""
    sentences: dict[str, None] = {}
    for record in records:
        if record.result:
            config = record.config
            encoding = f"{config.model}, {config.tagging_scheme}, word tokenizer {config.word_tokenizer}"
            for loss in _losses(record.result.encoding, config.max_length):
                sentences[f"{encoding}: {loss}"] = None
    return list(sentences)


def _losses(encoding: dict[Any, dict[str, Any]], max_length: int) -> list[str]:
    splits = [encoding[split_name] for split_name in SPLIT_NAMES]
    counts = {f"truncated at {max_length} subwords or without a subword": [s["entities_cut"] for s in splits]}
    counts |= {reason: [s["problems"].get(problem, 0) for s in splits] for problem, reason in _PROBLEMS.items()}
    total = sum(split["entities"] for split in splits)
    return [
        f"{sum(lost):,} of {plural(total, 'entity')} lost in encoding, {reason} "
        f"({', '.join(f'{name} {count}' for name, count in zip(SPLIT_NAMES, lost, strict=True))})."
        for reason, lost in counts.items()
        if sum(lost)
    ]


def _batching_changes(records: Sequence[TrialRecord]) -> list[str]:
    """Describe changes of the batching, once per encoder and reason."""
    sentences: dict[str, None] = {}
    for record in records:
        result = record.result
        if result and result.note:
            sentences[f"{record.config.model}: {result.note}."] = None
        if result and result.accumulated_steps > 1:
            sentences[
                f"{record.config.model}: batches of {record.config.batch_size} did not fit into GPU memory and were "
                f"computed in {result.accumulated_steps} gradient accumulation steps."
            ] = None
    return list(sentences)


def leaderboard_warnings(entries: Sequence[LeaderboardEntry], cache: PredictionCache) -> list[str]:
    """Return sentences on how far the leaderboard can be trusted; empty without a completed trial."""
    if not entries:
        return []
    warnings = (
        _selection_metric(entries),
        _shared_first_place(entries),
        _fewer_trials(entries),
        _validation_too_small(entries[:MOST_COMPARED], cache),
        _untrained(entries),
        _baseline(entries, cache),
    )
    return [sentence for sentence in warnings if sentence]


def caveats(entries: Sequence[LeaderboardEntry], audits: Audits) -> list[str]:
    """Return the reasons not to rely on the results: audit errors, and a best model that is of no use."""
    errors = [finding for finding in shared_findings(audits) if finding.severity == "error"]
    sentences = [f"The data has an audit error: {finding.title}. {finding.suggestion}" for finding in errors]
    baseline = best_baseline(audits)
    if not entries:
        return sentences
    best = entries[0].test.estimate
    if not best:
        sentences.append("The best configuration found no entity of the test split: its span F1 is 0.000.")
    elif entries[0].configuration.is_baseline and not all(entry.configuration.is_baseline for entry in entries):
        name = entries[0].configuration.model
        sentences.append(f"No model with an encoder is better on validation than {name}, which has none.")
    elif baseline is not None and best <= baseline.f1:
        sentences.append(
            f"The best configuration is not better than the best baseline ({baseline.name}): test span F1 {best:.3f} "
            f"and {baseline.f1:.3f}."
        )
    return sentences


def _selection_metric(entries: Sequence[LeaderboardEntry]) -> str:
    metric = entries[0].configuration.selection_metric
    if metric == "span_f1":
        return ""
    return f"Configurations are ranked by validation_{metric}; intervals and ties are those of exact spans (span_f1)."


def _shared_first_place(entries: Sequence[LeaderboardEntry]) -> str:
    best = entries[0].ranked
    tied = sum(
        item.ranked.mean_score == best.mean_score and bool(item.ranked.pruned) == bool(best.pruned) for item in entries
    )
    if tied < 2:
        return ""
    return (
        f"{tied} configurations share the highest validation F1, {best.mean_score:.3f}; the one with the lowest "
        "validation loss is ranked first."
    )


def _fewer_trials(entries: Sequence[LeaderboardEntry]) -> str:
    own, most = len(entries[0].records), max(len(entry.records) for entry in entries)
    if own == most:
        return ""
    return (
        f"The best configuration has {plural(own, 'completed trial')} and others have up to {most}, so its score with "
        "other seeds or folds is less certain."
    )


def _validation_too_small(entries: Sequence[LeaderboardEntry], cache: PredictionCache) -> str:
    """With n sentences that can be exchanged, no p-value of a randomization test is below 2 / 2^n."""
    if len(entries) < 2 or any(entry.tied is False for entry in entries):
        return ""
    sentences = _sentences_with_entities(entries, cache)
    if 2.0 ** (1 - sentences) * (len(entries) - 1) <= SIGNIFICANT:
        return ""
    return (
        f"The validation set has {plural(sentences, 'sentence')} with gold or predicted entities, too few to find a "
        f"significant difference between the best and any other of {len(entries)} configurations."
    )


def _sentences_with_entities(entries: Sequence[LeaderboardEntry], cache: PredictionCache) -> int:
    """Return the number of validation sentences, of all folds, with a gold or predicted entity."""
    found: set[int] = set()
    for entry in entries:
        for counts, ids in zip(*cache.replicate_counts(entry.records, "validation"), strict=True):
            found |= set(ids[np.any(counts, axis=(0, 2))].tolist())
    return len(found)


def _untrained(entries: Sequence[LeaderboardEntry]) -> str:
    records = [record for entry in entries for record in entry.records]
    empty = sum(not record.best_score for record in records)
    if not empty:
        return ""
    return (
        f"{empty} of {plural(len(records), 'trial')} found no entity in the validation set in any epoch; train longer "
        "or increase the learning rate."
    )


def _baseline(entries: Sequence[LeaderboardEntry], cache: PredictionCache) -> str:
    baseline, best = best_baseline(cache.audits), entries[0].test.estimate
    if baseline is None or best <= baseline.f1:  # the latter is a caveat
        return ""
    improvement = cache.improvement(entries[0].records)
    interval = f" (95 % interval {signed(improvement.low)} to {signed(improvement.high)})" if improvement else ""
    return (
        f"The best baseline ({baseline.name}) reaches test span F1 {baseline.f1:.3f}; the best configuration is "
        f"{best - baseline.f1:.3f} above it{interval}."
    )
