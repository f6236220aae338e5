# Run, from the repository root (about a quarter of an hour on one busy core):
#   python benchmarks/calibration.py
"""Coverage of the confidence intervals and error rates of the tests of `tune_ner.evaluation`, by simulation.

A simulated configuration finds each entity with the probability `F1`. The outcome depends on a normal variable with a
share common to the document (`document`), a share common to all configurations and seeds (`entity`: some entities are
hard for every model), and an independent share. Half of the errors are a missed entity with a wrong span in its place,
half a missed entity only; as many spurious spans are predicted as the latter, so that precision, recall and F1 are
equal in expectation. The number of entities per sentence follows a gamma-Poisson mixture.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from tune_ner.evaluation.confidence_intervals import f1_interval
from tune_ner.evaluation.ranking import bias_corrected_f1
from tune_ner.evaluation.samples import read_counts
from tune_ner.evaluation.seed_variance import (
    ASSUMED_DEVIATION,
    NO_SEED_VARIANCE,
    SeedVariance,
    pooled_seed_variances,
)
from tune_ner.evaluation.significance import not_significantly_worse, paired_difference

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HEADING = "sentences  per doc   rate    F1  doc. share  entity share  sd of seeds"


@dataclass(frozen=True)
class Setting:
    """Parameters of simulated test sets; `seed_std` is the standard deviation of F1 between trained models."""

    sentences: int
    rate: float
    f1: float
    per_document: int = 1
    document: float = 0.0
    entity: float = 0.5
    seed_std: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.sentences:9}  {self.per_document:7}  {self.rate:5.1f}  {self.f1:4.2f}  {self.document:10.1f}  "
            f"{self.entity:12.2f}  {self.seed_std:11.2f}"
        )

    @property
    def documents(self) -> Ints:
        """The document of each sentence, shape `(sentences,)`."""
        return np.arange(self.sentences) // self.per_document


def counts(setting: Setting, systems: int, random: np.random.Generator, f1_scores: Floats | None = None) -> Ints:
    """Return counts `(systems, sentences, 3)` of systems on one simulated test set, by default with equal true F1."""
    entities = random.poisson(setting.rate * random.gamma(2.0, 0.5, setting.sentences))
    sentence = np.repeat(np.arange(setting.sentences), entities)
    document = setting.documents[sentence]
    common = np.sqrt(setting.document) * random.normal(size=setting.sentences)[document]
    common = common + np.sqrt(setting.entity) * random.normal(size=len(sentence))
    own = np.sqrt(1 - setting.document - setting.entity) * random.normal(size=(systems, len(sentence)))
    true = np.full(systems, setting.f1) if f1_scores is None else f1_scores
    quality = np.clip(true[:, np.newaxis] + setting.seed_std * random.normal(size=(systems, 1)), 0.01, 0.999)
    right = common + own < ndtri(quality)
    misplaced = ~right & (random.random(right.shape) < 0.5)
    invented = random.poisson(setting.rate * (1 - quality) / 2, size=(systems, setting.sentences))
    result = np.zeros((systems, setting.sentences, 3), dtype=np.int64)
    for system in range(systems):
        for column, mask in ((0, right), (1, misplaced), (2, ~right)):
            result[system, :, column] = np.bincount(sentence[mask[system]], minlength=setting.sentences)
    result[:, :, 1] += invented
    return result


def grid(setting: Setting, configurations: int, runs: int, random: np.random.Generator) -> list[Ints]:
    """Return the counts of equal configurations on one simulated test set, each of shape `(runs, sentences, 3)`."""
    drawn = counts(setting, configurations * runs, random)
    return [drawn[index::configurations] for index in range(configurations)]


def coverage(
    settings: list[Setting], configurations: int, runs: int, test_sets: int, random: np.random.Generator
) -> None:
    """Print how often the 95 % interval of a configuration contains the true F1.

    The variance between seeds is estimated from all configurations; with one run it is `ASSUMED_DEVIATION`, and the
    last column is the coverage without it.
    """
    print(f"\nCoverage of f1_interval, {configurations} configuration(s), {runs} run(s), {test_sets} test sets each")
    print(f"{HEADING}  covered %  too low %  too high %  mean width  models only %")
    for setting in settings:
        limits, of_models = np.empty((test_sets, 2)), np.empty((test_sets, 2))
        for number in range(test_sets):
            drawn = grid(setting, configurations, runs, random)
            samples = [read_counts(each, setting.documents) for each in drawn]
            seeds = pooled_seed_variances(samples)[0]
            if runs == 1:
                seeds = SeedVariance.known(ASSUMED_DEVIATION**2)
            for found, variance in ((limits, seeds), (of_models, NO_SEED_VARIANCE)):
                interval = f1_interval(drawn[0], groups=setting.documents, seeds=variance, resamples=500, seed=number)
                found[number] = interval.low, interval.high
        below, above = limits[:, 1] < setting.f1, limits[:, 0] > setting.f1
        inside = (of_models[:, 0] <= setting.f1) & (setting.f1 <= of_models[:, 1])
        print(
            f"{setting}  {100 * (~below & ~above).mean():9.1f}  {100 * below.mean():9.1f}  {100 * above.mean():10.1f}  "
            f"{(limits[:, 1] - limits[:, 0]).mean():10.3f}  {100 * inside.mean():13.1f}",
            flush=True,
        )


def false_positives(
    settings: list[Setting], runs: int, assumed: float, test_sets: int, random: np.random.Generator
) -> None:
    """Print how often two equal configurations are reported as different."""
    print(
        f"\nTwo equal configurations, {runs} run(s), assumed deviation between seeds {assumed}, {test_sets} test sets "
        "each (at most 5 %)"
    )
    print(f"{HEADING}  p <= 0.05 %  interval without 0 %")
    for setting in settings:
        wrong = np.empty((test_sets, 2))
        for number in range(test_sets):
            a, b = grid(setting, 2, runs, random)
            found = paired_difference(
                a, b, groups=setting.documents, assumed_deviation=assumed, resamples=500, seed=number
            )
            wrong[number] = found.p_value <= 0.05, found.low > 0 or found.high < 0
        print(f"{setting}  {100 * wrong[:, 0].mean():11.1f}  {100 * wrong[:, 1].mean():20.1f}", flush=True)


def ties(
    settings: list[Setting], configurations: int, runs: int, assumed: float, test_sets: int, random: np.random.Generator
) -> None:
    """Print how often the truly best configuration is kept as not significantly worse, and how many are.

    The best is chosen on the same counts. All configurations are equal, or all but the first are worse by 0.02.
    """
    print(
        f"\n{configurations} configurations, {runs} run(s), assumed deviation between seeds {assumed}, {test_sets} "
        "test sets each: the truly best one kept (at least 95 %)"
    )
    print(f"{HEADING}  others  best kept %  kept of {configurations}  corrected F1 - true F1")
    for setting in settings:
        for worse in (0.0, 0.02):
            kept_best = 0
            kept, bias = np.empty(test_sets), np.empty(test_sets)
            for number in range(test_sets):
                f1_scores = np.full(configurations, setting.f1 - worse)
                f1_scores[0] = setting.f1
                drawn = counts(setting, configurations * runs, random, np.tile(f1_scores, runs))
                named = {str(index): drawn[index::configurations] for index in range(configurations)}
                samples = {name: read_counts(each, setting.documents) for name, each in named.items()}
                best = max(samples, key=lambda name: samples[name].mean_f1)
                found = not_significantly_worse(
                    named, best, groups=setting.documents, assumed_deviation=assumed, resamples=2_000, seed=number
                )
                kept_best += "0" in found
                kept[number] = len(found)
                groups = None if setting.documents is None else [setting.documents] * runs
                single = [read_counts([run[np.newaxis] for run in each], groups) for each in named.values()]
                corrected = bias_corrected_f1(single, resamples=200, seed=number)
                bias[number] = (corrected or 0.0) - f1_scores[int(best)]
            print(
                f"{setting}  {-worse:6.2f}  {100 * kept_best / test_sets:11.1f}  {kept.mean():10.1f}  "
                f"{bias.mean():22.4f}",
                flush=True,
            )


def selection(
    settings: list[Setting], configurations: int, runs: int, epochs: int, test_sets: int, random: np.random.Generator
) -> None:
    """Print how optimistic the validation F1 of the best configuration is, and what the bias correction leaves of it.

    All configurations and epochs are equal. Each run is measured with its best epoch.
    """
    print(
        f"\n{configurations} configurations, {runs} run(s), {epochs} epochs, {test_sets} test sets each: validation F1 "
        f"of the best minus true F1\n{HEADING}  selected  corrected  of configurations only"
    )
    for setting in settings:
        bias = np.empty((test_sets, 3))
        for number in range(test_sets):
            drawn = counts(setting, configurations * runs * epochs, random)
            trials = drawn.reshape(configurations, runs, epochs, setting.sentences, 3)
            groups = [setting.documents] * runs
            samples = [read_counts(list(trial), groups) for trial in trials]
            best = [[run[np.argmax(read_counts(run).f1_scores)][np.newaxis] for run in trial] for trial in trials]
            selected = [read_counts(each, groups) for each in best]
            bias[number] = (
                max(sample.mean_f1 for sample in selected),
                bias_corrected_f1(samples, resamples=200, seed=number) or 0.0,
                bias_corrected_f1(selected, resamples=200, seed=number) or 0.0,
            )
        bias -= setting.f1
        print(f"{setting}  {bias[:, 0].mean():8.4f}  {bias[:, 1].mean():9.4f}  {bias[:, 2].mean():22.4f}", flush=True)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description="Measure coverage of intervals and error rates of tests.")
    parser.add_argument("--test-sets", type=int, default=1000, help="simulated test sets per line")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    options = parser.parse_args()
    random, start, size = np.random.default_rng(options.seed), time.perf_counter(), options.test_sets
    single = [Setting(n, rate, f1) for n, rate in ((75, 1.1), (250, 0.9)) for f1 in (0.3, 0.8, 0.9, 0.97)]
    in_documents = [
        Setting(n, 1.1, f1, per_document=per_document, document=0.3, entity=0.3)
        for n, per_document in ((150, 6), (150, 15))
        for f1 in (0.6, 0.8, 0.95)
    ]
    coverage([*single, *in_documents], 1, 1, size, random)
    # entity share 0.9: models agree as on the 1177 corpus, with a residual correlation of about 0.8
    base = [Setting(75, 1.1, 0.8), Setting(250, 0.9, 0.8), Setting(250, 0.9, 0.8, entity=0.9)]
    base.append(Setting(150, 1.1, 0.8, per_document=6, document=0.3, entity=0.3))
    with_seeds = [replace(one, seed_std=deviation) for one in base for deviation in (0.01, 0.02, 0.03)]
    coverage(with_seeds, 1, 1, size, random)
    for runs in (2, 3):
        coverage([*base, *with_seeds], 12, runs, size, random)
    for assumed in (0.0, ASSUMED_DEVIATION):
        false_positives([*base, *with_seeds], 1, assumed, size, random)
    for runs in (2, 3):
        false_positives([*base, *with_seeds], runs, 0.0, size, random)
    ties([*base, *(one for one in with_seeds if one.seed_std == 0.02)], 12, 1, ASSUMED_DEVIATION, size // 2, random)
    ties([*base, *(one for one in with_seeds if one.seed_std == 0.02)], 12, 3, 0.0, size // 2, random)
    for runs in (1, 3):
        selection(base, 12, runs, 8, size // 5, random)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
