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

from tune_ner.evaluation.confidence_intervals import f1_interval, read_counts
from tune_ner.evaluation.significance import not_significantly_worse, paired_difference

Ints = npt.NDArray[np.int64]


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

    @property
    def documents(self) -> Ints:
        """The document of each sentence, shape `(sentences,)`."""
        return np.arange(self.sentences) // self.per_document


def counts(setting: Setting, systems: int, random: np.random.Generator) -> Ints:
    """Return counts `(systems, sentences, 3)` of equal systems on one simulated test set."""
    entities = random.poisson(setting.rate * random.gamma(2.0, 0.5, setting.sentences))
    sentence = np.repeat(np.arange(setting.sentences), entities)
    document = setting.documents[sentence]
    common = np.sqrt(setting.document) * random.normal(size=setting.sentences)[document]
    common = common + np.sqrt(setting.entity) * random.normal(size=len(sentence))
    own = np.sqrt(1 - setting.document - setting.entity) * random.normal(size=(systems, len(sentence)))
    quality = np.clip(setting.f1 + setting.seed_std * random.normal(size=(systems, 1)), 0.01, 0.999)
    right = common + own < ndtri(quality)
    misplaced = ~right & (random.random(right.shape) < 0.5)
    invented = random.poisson(setting.rate * (1 - quality) / 2, size=(systems, setting.sentences))
    result = np.zeros((systems, setting.sentences, 3), dtype=np.int64)
    for system in range(systems):
        for column, mask in ((0, right), (1, misplaced), (2, ~right)):
            result[system, :, column] = np.bincount(sentence[mask[system]], minlength=setting.sentences)
    result[:, :, 1] += invented
    return result


def coverage(settings: list[Setting], runs: int, test_sets: int, random: np.random.Generator) -> None:
    """Print how often the 95 % interval contains the true F1."""
    print(f"\nCoverage of f1_interval, {runs} run(s), {test_sets} test sets each (expected: 95 %)")
    print("sentences  per doc  entities   F1   doc. share  sd of seeds  covered %  too low %  too high %  mean width")
    for setting in settings:
        limits, gold = np.empty((test_sets, 2)), 0
        for number in range(test_sets):
            drawn = counts(setting, runs, random)
            interval = f1_interval(drawn, groups=setting.documents, resamples=500, seed=number)
            limits[number] = interval.low, interval.high
            gold += int(drawn[0][:, [0, 2]].sum())
        below, above = limits[:, 1] < setting.f1, limits[:, 0] > setting.f1
        print(
            f"{setting.sentences:9} {setting.per_document:8} {gold / test_sets:9.0f} {setting.f1:5.2f} "
            f"{setting.document:11.1f} {setting.seed_std:12.2f} {100 * (~below & ~above).mean():10.1f} "
            f"{100 * below.mean():10.1f} {100 * above.mean():11.1f} {(limits[:, 1] - limits[:, 0]).mean():11.3f}"
        )


def false_positives(settings: list[Setting], runs: int, test_sets: int, random: np.random.Generator) -> None:
    """Print how often two equal configurations are reported as different."""
    print(f"\nTwo equal configurations, {runs} run(s), {test_sets} test sets each (at most 5 % of equal models)")
    print("sentences  rate   F1   per doc  sd of seeds  p <= 0.05 %  interval without 0 %")
    for setting in settings:
        wrong = np.empty((test_sets, 2))
        for number in range(test_sets):
            drawn = counts(setting, 2 * runs, random)
            a, b = drawn[:runs], drawn[runs:]
            found = paired_difference(a, b, groups=setting.documents, resamples=500, seed=number)
            wrong[number] = found.p_value <= 0.05, found.low > 0 or found.high < 0
        print(
            f"{setting.sentences:9} {setting.rate:5.1f} {setting.f1:5.2f} {setting.per_document:8} "
            f"{setting.seed_std:12.2f} {100 * wrong[:, 0].mean():12.1f} {100 * wrong[:, 1].mean():21.1f}"
        )


def family_wise_errors(
    settings: list[Setting], configurations: int, runs: int, test_sets: int, random: np.random.Generator
) -> None:
    """Print how often one of many equal configurations is reported as worse than the best."""
    print(
        f"\n{configurations} equal configurations, the best chosen on the same counts, {runs} run(s), "
        f"{test_sets} test sets (at most 5 %)"
    )
    print("sentences  rate   F1   sd of seeds  any reported worse %")
    for setting in settings:
        errors = 0
        for number in range(test_sets):
            drawn = counts(setting, configurations * runs, random)
            named = {str(index): drawn[index::configurations] for index in range(configurations)}
            best = max(named, key=lambda name: read_counts(named[name]).mean_f1)
            kept = not_significantly_worse(named, best, groups=setting.documents, seed=number)
            errors += len(kept) < configurations
        print(
            f"{setting.sentences:9} {setting.rate:5.1f} {setting.f1:5.2f} {setting.seed_std:12.2f} "
            f"{100 * errors / test_sets:19.1f}"
        )


def with_seed_variance(settings: list[Setting]) -> list[Setting]:
    """Add variance between seeds to the settings with an F1 below 0.9."""
    return [replace(one, seed_std=spread) for one in settings for spread in (0.01, 0.02) if one.f1 < 0.9]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description="Measure coverage of intervals and error rates of tests.")
    parser.add_argument("--test-sets", type=int, default=1000, help="simulated test sets per line")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    options = parser.parse_args()
    random, start = np.random.default_rng(options.seed), time.perf_counter()
    f1_scores = (0.3, 0.6, 0.8, 0.9, 0.97)
    ungrouped = [Setting(n, rate, f1) for n, rate in ((75, 1.1), (100, 2.0), (250, 0.9)) for f1 in f1_scores]
    grouped = [
        Setting(n, 1.1, f1, per_document=5, document=share)
        for n in (75, 150)
        for share in (0.1, 0.3)
        for f1 in (0.6, 0.8, 0.9, 0.97)
    ]
    coverage(ungrouped + grouped, 1, options.test_sets, random)
    pairs = [Setting(n, 1.1, f1) for n in (75, 250) for f1 in (0.3, 0.8, 0.95)]
    coverage([*pairs, *with_seed_variance(pairs)], 3, options.test_sets, random)
    grouped_pair = Setting(150, 1.1, 0.8, per_document=5, document=0.2)
    for runs in (1, 2, 3, 5):
        # a test with one run compares models, and rightly finds those different that seeds made unequal
        settings = [*pairs, grouped_pair, *(with_seed_variance(pairs) if runs > 1 else [])]
        false_positives(settings, runs, 2 * options.test_sets, random)
    false_positives(with_seed_variance(pairs), 1, 2 * options.test_sets, random)
    many = [Setting(75, 1.1, 0.8), Setting(250, 0.9, 0.8), Setting(75, 1.1, 0.97)]
    family_wise_errors(many, 12, 1, options.test_sets, random)
    family_wise_errors(with_seed_variance(many), 12, 3, options.test_sets, random)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
