# Run, from the repository root (about a quarter of an hour on one busy core):
#   python benchmarks/calibration.py
"""How often the intervals and tests of `tune_ner.evaluation` are right, on test parts made up with known figures.

A made-up configuration finds each entity with the probability `F1`. What decides it is a normal variable
with a share common to the document (`document`), a share common to all configurations and seeds (`entity`:
some entities are hard for every model), and the rest its own. Half of the errors are a missed entity with a
wrong span in its place, half a missed entity; as many spans of nothing are predicted as the latter, so that
precision, recall and F1 are the same in expectation. The number of entities varies between sentences as in
a gamma-Poisson mixture.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from tune_ner.evaluation.confidence_intervals import f1_interval, indistinguishable, paired_difference, replicate_spread

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Setting:
    """What test parts to make up; `seed_spread` is the standard deviation of F1 between trained models."""

    sentences: int
    rate: float
    f1: float
    per_document: int = 1
    document: float = 0.0
    entity: float = 0.5
    seed_spread: float = 0.0

    @property
    def documents(self) -> Ints:
        """The document of each sentence, shape `(sentences,)`."""
        return np.arange(self.sentences) // self.per_document


def counts(setting: Setting, systems: int, random: np.random.Generator) -> Ints:
    """Counts `(systems, sentences, 3)` of as many systems of one quality on one made-up test part."""
    entities = random.poisson(setting.rate * random.gamma(2.0, 0.5, setting.sentences))
    sentence = np.repeat(np.arange(setting.sentences), entities)
    document = setting.documents[sentence]
    common = np.sqrt(setting.document) * random.normal(size=setting.sentences)[document]
    common = common + np.sqrt(setting.entity) * random.normal(size=len(sentence))
    own = np.sqrt(1 - setting.document - setting.entity) * random.normal(size=(systems, len(sentence)))
    quality = np.clip(setting.f1 + setting.seed_spread * random.normal(size=(systems, 1)), 0.01, 0.999)
    right = common + own < ndtri(quality)
    misplaced = ~right & (random.random(right.shape) < 0.5)
    invented = random.poisson(setting.rate * (1 - quality) / 2, size=(systems, setting.sentences))
    result = np.zeros((systems, setting.sentences, 3), dtype=np.int64)
    for system in range(systems):
        for column, mask in ((0, right), (1, misplaced), (2, ~right)):
            result[system, :, column] = np.bincount(sentence[mask[system]], minlength=setting.sentences)
    result[:, :, 1] += invented
    return result


def coverage(settings: list[Setting], replicates: int, parts: int, random: np.random.Generator) -> None:
    """Print how often the interval of 95 % holds the true F1."""
    print(f"\nCoverage of f1_interval, {replicates} replicate(s), {parts} test parts each (expected: 95 %)")
    print("sentences  per doc  entities   F1   doc. share  sd of seeds  covered %  too low %  too high %  mean width")
    for setting in settings:
        limits, gold = np.empty((parts, 2)), 0
        for split_name in range(parts):
            drawn = counts(setting, replicates, random)
            interval = f1_interval(drawn, groups=setting.documents, resamples=500, seed=split_name)
            limits[split_name] = interval.low, interval.high
            gold += int(drawn[0][:, [0, 2]].sum())
        below, above = limits[:, 1] < setting.f1, limits[:, 0] > setting.f1
        print(
            f"{setting.sentences:9} {setting.per_document:8} {gold / parts:9.0f} {setting.f1:5.2f} "
            f"{setting.document:11.1f} {setting.seed_spread:12.2f} {100 * (~below & ~above).mean():10.1f} "
            f"{100 * below.mean():10.1f} {100 * above.mean():11.1f} {(limits[:, 1] - limits[:, 0]).mean():11.3f}"
        )


def false_alarms(settings: list[Setting], replicates: int, parts: int, random: np.random.Generator) -> None:
    """Print how often two configurations of one quality are called different."""
    print(
        f"\nTwo equal configurations, {replicates} replicate(s), {parts} test parts each (at most 5 % of equal models)"
    )
    print("sentences  rate   F1   per doc  sd of seeds  p <= 0.05 %  interval without 0 %")
    for setting in settings:
        wrong = np.empty((parts, 2))
        for split_name in range(parts):
            drawn = counts(setting, 2 * replicates, random)
            a, b = drawn[:replicates], drawn[replicates:]
            found = paired_difference(a, b, groups=setting.documents, resamples=500, seed=split_name)
            wrong[split_name] = found.p_value <= 0.05, found.low > 0 or found.high < 0
        print(
            f"{setting.sentences:9} {setting.rate:5.1f} {setting.f1:5.2f} {setting.per_document:8} "
            f"{setting.seed_spread:12.2f} {100 * wrong[:, 0].mean():12.1f} {100 * wrong[:, 1].mean():21.1f}"
        )


def families(
    settings: list[Setting], configurations: int, replicates: int, parts: int, random: np.random.Generator
) -> None:
    """Print how often one of many equal configurations is called worse than the one that looks best."""
    print(
        f"\n{configurations} equal configurations, the best by the same counts, {replicates} replicate(s), "
        f"{parts} test parts (at most 5 %)"
    )
    print("sentences  rate   F1   sd of seeds  any called worse %")
    for setting in settings:
        alarms = 0
        for split_name in range(parts):
            drawn = counts(setting, configurations * replicates, random)
            named = {str(index): drawn[index::configurations] for index in range(configurations)}
            best = max(named, key=lambda name: replicate_spread(named[name]).mean)
            kept = indistinguishable(named, best, groups=setting.documents, seed=split_name)
            alarms += len(kept) < configurations
        print(
            f"{setting.sentences:9} {setting.rate:5.1f} {setting.f1:5.2f} {setting.seed_spread:12.2f} "
            f"{100 * alarms / parts:19.1f}"
        )


def retrained(settings: list[Setting]) -> list[Setting]:
    """The settings of which each seed gives a model of another quality; near 1 there is little room for that."""
    return [replace(one, seed_spread=spread) for one in settings for spread in (0.01, 0.02) if one.f1 < 0.9]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description="How often the intervals and tests are right.")
    parser.add_argument("--parts", type=int, default=1000, help="made-up test parts for each line")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    options = parser.parse_args()
    random, start = np.random.default_rng(options.seed), time.perf_counter()
    figures = (0.3, 0.6, 0.8, 0.9, 0.97)
    alone = [Setting(n, rate, f1) for n, rate in ((75, 1.1), (100, 2.0), (250, 0.9)) for f1 in figures]
    grouped = [
        Setting(n, 1.1, f1, per_document=5, document=share)
        for n in (75, 150)
        for share in (0.1, 0.3)
        for f1 in (0.6, 0.8, 0.9, 0.97)
    ]
    coverage(alone + grouped, 1, options.parts, random)
    pairs = [Setting(n, 1.1, f1) for n in (75, 250) for f1 in (0.3, 0.8, 0.95)]
    coverage([*pairs, *retrained(pairs)], 3, options.parts, random)
    grouped_pair = Setting(150, 1.1, 0.8, per_document=5, document=0.2)
    for replicates in (1, 2, 3, 5):
        # with one replicate the tests are about models, and rightly tell apart those that seeds made unequal
        told = [*pairs, grouped_pair] if replicates == 1 else [*pairs, grouped_pair, *retrained(pairs)]
        false_alarms(told, replicates, 2 * options.parts, random)
    false_alarms(retrained(pairs), 1, 2 * options.parts, random)
    many = [Setting(75, 1.1, 0.8), Setting(250, 0.9, 0.8), Setting(75, 1.1, 0.97)]
    families(many, 12, 1, options.parts, random)
    families(retrained(many), 12, 3, options.parts, random)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
