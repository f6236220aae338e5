"""Intervals and tests: against scipy where it has the same thing, against simulation, and at the edges."""

from itertools import product
from math import comb, isfinite, sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from tune_ner.data.corpus import Span
from tune_ner.evaluation.confidence_intervals import (
    f1_interval,
    half_width,
    holm,
    indistinguishable,
    paired_difference,
    replicate_spread,
)
from tune_ner.evaluation.significance import moderated
from tune_ner.evaluation.span_metrics import sentence_counts

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
RIGHT, MISSED, WRONG = (1, 0, 0), (0, 0, 1), (0, 1, 1)

shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.just(3))
counts = arrays.arrays(np.int64, shapes, elements=st.integers(0, 3))


def f1(split_name: Ints) -> float:
    right, wrong, missed = split_name.reshape(-1, 3).sum(axis=0)
    return float(2 * right / (2 * right + wrong + missed))


def simulated(random: np.random.Generator, sentences: int, quality: float | Floats, systems: int = 1) -> Ints:
    """Counts of systems, all of one quality or each of its own, `(systems, sentences, 3)`; half the errors
    replace the entity."""
    quality = np.broadcast_to(np.reshape(quality, (-1, 1)), (systems, 1))
    entities = random.poisson(1.2, sentences)
    right = random.binomial(entities, quality, (systems, sentences))
    wrong = random.binomial(entities - right, 0.5) + random.poisson(1.2 * (1 - quality) / 2, right.shape)
    return np.stack([right, wrong, entities - right], axis=2)


# ---- the interval


def test_interval_where_entities_are_independent_is_wilsons() -> None:
    # one entity a sentence, found and typed or taken for another: F1 is then a binomial share
    split_name = np.array([RIGHT] * 300 + [WRONG] * 100)
    ours = f1_interval(split_name, resamples=20_000)
    theirs = stats.binomtest(300, 400).proportion_ci(0.95, method="wilson")
    assert ours.estimate == pytest.approx(0.75)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=2e-3)


@pytest.mark.parametrize(("row", "right"), [(RIGHT, 40), (WRONG, 0), (MISSED, 0)])
def test_where_every_draw_gives_the_same_figure_the_interval_is_wilsons_for_the_entities(
    row: tuple[int, int, int], right: int
) -> None:
    interval = f1_interval(np.array([row] * 40))
    theirs = stats.binomtest(right, 40).proportion_ci(0.95, method="wilson")
    assert interval.estimate == right / 40
    assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high))


def test_seeds_that_saw_the_same_sentences_are_not_more_entities() -> None:
    once = np.array([RIGHT] * 20)
    assert f1_interval(np.stack([once] * 5)) == f1_interval(once)
    mixed = np.array([RIGHT] * 20 + [MISSED] * 10)
    assert f1_interval(np.stack([mixed] * 5)) == f1_interval(mixed)


def test_folds_with_sentences_of_their_own_are_more_entities() -> None:
    fold = np.array([RIGHT] * 20 + [MISSED] * 10)
    alone, folds = f1_interval(fold), f1_interval([fold] * 4)
    assert folds.estimate == alone.estimate
    ratio = (alone.high - alone.low) / (folds.high - folds.low)
    assert ratio == pytest.approx(sqrt(4), rel=0.15)
    assert f1_interval([fold[:20]] * 4).low == pytest.approx(f1_interval(np.array([RIGHT] * 80)).low)


def test_folds_with_seeds_and_of_different_sizes() -> None:
    random = np.random.default_rng(3)
    folds = [simulated(random, size, 0.8, systems=3) for size in (40, 60)]
    expected = np.mean([f1(replicate) for fold in folds for replicate in fold])
    assert f1_interval(folds).estimate == pytest.approx(expected)


def test_sentences_of_one_document_are_drawn_together() -> None:
    # ten documents, each all right or all wrong: ten observations, however many sentences
    split_name = np.array(([RIGHT] * 10 + [WRONG] * 10) * 5)
    ids = np.repeat(np.arange(10), 10)
    together, apart = f1_interval(split_name, groups=ids), f1_interval(split_name)
    assert together.high - together.low > 2 * (apart.high - apart.low)
    once = f1_interval(split_name[::10])
    assert (together.low, together.high) == pytest.approx((once.low, once.high))


def test_a_document_shared_between_replicates_is_drawn_for_both() -> None:
    random = np.random.default_rng(4)
    stacked = simulated(random, 60, 0.8, systems=2)
    ids = np.arange(60)
    listed = f1_interval([stacked[0], stacked[1]], groups=[ids, ids])
    assert listed == f1_interval(stacked, groups=ids)


def test_draws_follow_the_seed() -> None:
    split_name = simulated(np.random.default_rng(5), 50, 0.8)
    assert f1_interval(split_name, seed=1) == f1_interval(split_name, seed=1)
    assert f1_interval(split_name, seed=1) != f1_interval(split_name, seed=2)


def test_a_higher_level_is_a_wider_interval() -> None:
    split_name = simulated(np.random.default_rng(6), 50, 0.8)
    low, high = f1_interval(split_name, level=0.8), f1_interval(split_name, level=0.99)
    assert high.low < low.low < low.estimate < low.high < high.high


@pytest.mark.parametrize("quality", [0.5, 0.8, 0.95])
def test_interval_of_95_percent_holds_the_true_figure_95_times_in_100(quality: float) -> None:
    random = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        interval = f1_interval(simulated(random, 80, quality), resamples=200)
        held += interval.low <= quality <= interval.high
    assert 0.92 <= held / 400 <= 0.98  # 95 %, give or take 3 standard errors


@given(counts)
@settings(max_examples=60, deadline=None)
def test_an_interval_is_always_a_range_of_shares_around_the_figure(split_name: Ints) -> None:
    interval = f1_interval(split_name, resamples=50)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.low < interval.high
    assert interval.estimate == pytest.approx(np.mean([f1(one) if one.any() else 0.0 for one in split_name]))


def test_without_gold_entities_nothing_is_known() -> None:
    for row in ((0, 0, 0), (0, 2, 0)):
        interval = f1_interval(np.array([row] * 5))
        assert (interval.low, interval.high, interval.estimate) == (0.0, 1.0, 0.0)


def test_counts_of_spans_can_be_given_as_they_are() -> None:
    gold = [[Span(0, 3, "DRUG")], [Span(4, 6, "BODY")], []]
    interval = f1_interval(sentence_counts(gold, [gold[0], [], [Span(0, 1, "BODY")]]))
    assert interval.estimate == pytest.approx(0.5)


# ---- two configurations


def test_p_value_is_that_of_every_exchange_of_documents() -> None:
    random = np.random.default_rng(8)
    a, b = simulated(random, 10, 0.9)[0], simulated(random, 10, 0.4)[0]
    b[:, 2] = np.maximum(0, a[:, 0] + a[:, 2] - b[:, 0])
    observed = abs(f1(a) - f1(b))
    exact = np.mean(
        [
            abs(f1(np.where(swap, b, a)) - f1(np.where(swap, a, b))) >= observed - 1e-9
            for swap in (np.array(coins)[:, np.newaxis] for coins in product([True, False], repeat=10))
        ]
    )
    assert 0 < exact < 0.5
    assert paired_difference(a, b, resamples=40_000).p_value == pytest.approx(exact, abs=0.01)


def test_p_value_is_that_of_scipys_permutation_test() -> None:
    # one entity a sentence, found or taken for another: F1 is the mean over sentences, as scipy's statistic
    random = np.random.default_rng(9)
    one, other = random.random(60) < 0.85, random.random(60) < 0.7
    a, b = (np.array([RIGHT if hit else WRONG for hit in hits]) for hits in (one, other))
    theirs = stats.permutation_test(
        (one.astype(float), other.astype(float)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=40_000,
        rng=np.random.default_rng(0),
    )
    ours = paired_difference(a, b, resamples=40_000)
    assert ours.difference == pytest.approx(theirs.statistic)
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.01)


def test_a_plain_difference_is_found_and_has_a_sign() -> None:
    random = np.random.default_rng(10)
    good, poor = simulated(random, 150, 0.9, 1), simulated(random, 150, 0.5, 1)
    forward, backward = paired_difference(good, poor), paired_difference(poor, good)
    assert forward.p_value == pytest.approx(1 / 10_001)
    assert 0 < forward.low < forward.difference < forward.high < 1
    assert (backward.difference, backward.p_value) == pytest.approx((-forward.difference, forward.p_value))
    assert (backward.low, backward.high) == pytest.approx((-forward.high, -forward.low))


def test_a_pair_tells_more_than_two_intervals() -> None:
    # both fail on the same thirty sentences, one of them on eight more
    a = np.array([RIGHT] * 70 + [WRONG] * 30)
    b = np.array([RIGHT] * 62 + [WRONG] * 38)
    assert f1_interval(a).low < f1_interval(b).high
    difference = paired_difference(a, b)
    assert difference.p_value < 0.02
    assert difference.low > 0


def test_exchanging_documents_is_coarser_than_exchanging_sentences() -> None:
    a, b = np.array([RIGHT] * 30), np.array([RIGHT] * 15 + [WRONG] * 15)
    assert paired_difference(a, b).p_value < 0.001
    # three documents can be exchanged in eight ways, and all-or-nothing is two of them
    ids = np.repeat([0, 1, 2], 10)
    assert paired_difference(a, b, groups=ids).p_value == pytest.approx(2 / 4, abs=0.02)


def test_equal_configurations_do_not_differ_but_a_small_part_cannot_rule_it_out() -> None:
    split_name = np.array([RIGHT] * 10)
    difference = paired_difference(split_name, split_name)
    assert (difference.difference, difference.p_value) == (0.0, 1.0)
    assert difference.low == pytest.approx(-difference.high)
    assert difference.high == pytest.approx(1 - f1_interval(split_name).low)


def test_equal_configurations_are_called_different_5_times_in_100() -> None:
    random = np.random.default_rng(11)
    alarms = uncovered = 0
    for _ in range(400):
        a, b = simulated(random, 80, 0.8, systems=2)
        difference = paired_difference(a, b, resamples=300)
        alarms += difference.p_value <= 0.05
        uncovered += not difference.low <= 0 <= difference.high
    assert 0.015 <= alarms / 400 <= 0.085
    assert 0.015 <= uncovered / 400 <= 0.085


@given(st.data(), shapes)
@settings(max_examples=60, deadline=None)
def test_a_difference_is_always_within_its_limits(data: st.DataObject, shape: tuple[int, ...]) -> None:
    a, b = (data.draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 3))) for _ in "ab")
    found = paired_difference(a, b, resamples=50)
    assert all(map(isfinite, (found.difference, found.low, found.high, found.p_value)))
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert 1 / 51 <= found.p_value <= 1


# ---- many configurations


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, 0.005], family=4) == pytest.approx([0.03, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(ValueError, match="a family of 1 cannot hold 2"):
        holm([0.1, 0.2], family=1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_as_holms_procedure_does(p_values: list[float], alpha: float) -> None:
    rejected: set[int] = set()
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        # Holm's rule as he states it: stop at the first that is too large
        if (len(p_values) - rank) * p_values[index] > alpha:
            break
        rejected.add(int(index))
    assert {index for index, p in enumerate(holm(p_values)) if p <= alpha} == rejected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferronis(p_values: list[float]) -> None:
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1.0, len(p_values) * p)


def test_the_plainly_worse_are_left_out_and_the_order_is_kept() -> None:
    random = np.random.default_rng(12)
    good, poor = simulated(random, 150, 0.9, systems=3), simulated(random, 150, 0.4, systems=2)
    named = {"poor": poor[:1], "a": good[:1], "b": good[1:2], "poorer": poor[1:], "c": good[2:]}
    assert indistinguishable(named, "a") == ["a", "b", "c"]
    assert indistinguishable(named, "poor") == list(named), "none is worse than the worst"
    assert indistinguishable({"only": poor}, "only") == ["only"]


def test_a_difference_that_is_significant_alone_is_not_among_many() -> None:
    a = np.array([RIGHT] * 70 + [WRONG] * 30)
    b = np.array([RIGHT] * 62 + [WRONG] * 38)
    assert indistinguishable({"a": a, "b": b}, "a") == ["a"]
    family = {"a": a, **{f"b{index}": b for index in range(11)}}
    assert paired_difference(a, b).p_value * comb(12, 2) > 0.05
    assert indistinguishable(family, "a") == list(family)


def test_of_twelve_equal_configurations_the_luckiest_is_rarely_called_best() -> None:
    random = np.random.default_rng(13)
    alarms = uncorrected = 0
    for _ in range(100):
        drawn = simulated(random, 80, 0.8, systems=12)
        named = {str(index): split_name for index, split_name in enumerate(drawn)}
        best = max(named, key=lambda name: f1(named[name]))
        alarms += len(indistinguishable(named, best, resamples=4000)) < 12
        worst = min(named, key=lambda name: f1(named[name]))
        uncorrected += paired_difference(named[best], named[worst], resamples=200).p_value <= 0.05
    assert alarms <= 10
    assert uncorrected > 30, "without a correction chance would look like a finding"


def test_unknown_best_and_unequal_shapes_are_refused() -> None:
    split_name = np.array([[RIGHT] * 4])
    with pytest.raises(ValueError, match="'c' is not among the configurations: a, b"):
        indistinguishable({"a": split_name, "b": split_name}, "c")
    with pytest.raises(ValueError, match="b has counts of the shape"):
        paired_difference(split_name, split_name[:, :3])
    with pytest.raises(ValueError, match="the same replicates on the same sentences"):
        indistinguishable({"a": split_name, "b": np.concatenate([split_name, split_name])}, "a")


# ---- before any training, and beside the intervals


def test_half_width_is_wilsons() -> None:
    for right, entities in ((80, 100), (3, 4), (970, 1000)):
        limits = stats.binomtest(right, entities).proportion_ci(0.95, method="wilson")
        assert half_width(entities, right / entities) == pytest.approx((limits.high - limits.low) / 2)


@given(st.integers(0, 5000), st.floats(0, 1))
def test_more_entities_give_a_narrower_interval(entities: int, share: float) -> None:
    assert 0 < half_width(entities + 1, share) < half_width(entities, share) <= 1


def test_half_width_without_entities_is_everything() -> None:
    assert half_width(0) == 1.0
    with pytest.raises(ValueError, match="got entities=-1"):
        half_width(-1)
    with pytest.raises(ValueError, match=r"f1=1\.5"):
        half_width(5, 1.5)


def test_spread_of_replicates() -> None:
    random = np.random.default_rng(14)
    seeds = simulated(random, 50, 0.8, systems=4)
    figures = [f1(seed) for seed in seeds]
    spread = replicate_spread(seeds)
    assert spread.mean == pytest.approx(np.mean(figures))
    assert spread.std == pytest.approx(np.std(figures, ddof=1))
    assert replicate_spread(seeds[:1]).std is None


# ---- seeds as a source of chance


def test_seeds_of_different_quality_widen_the_interval() -> None:
    random = np.random.default_rng(15)
    alike = f1_interval(simulated(random, 400, 0.8, 3))
    apart = f1_interval(simulated(random, 400, np.array([0.7, 0.8, 0.9]), 3))
    assert apart.high - apart.low > 3 * (alike.high - alike.low)


@pytest.mark.parametrize("seeds", [3, 5])
def test_equal_configurations_whose_seeds_differ_are_called_different_5_times_in_100(seeds: int) -> None:
    random = np.random.default_rng(16)
    alarms = of_models = 0
    for _ in range(300):
        models = simulated(random, 150, random.normal(0.8, 0.03, 2 * seeds), 2 * seeds)
        alarms += paired_difference(models[:seeds], models[seeds:], resamples=300).p_value <= 0.05
        of_models += paired_difference(models[0], models[1], resamples=300).p_value <= 0.05
    assert alarms / 300 <= 0.085
    assert of_models / 300 >= 0.1  # what would be promised with one seed


def test_matched_replicates_are_compared_cell_by_cell() -> None:
    # learning rates that matter more than anything else are no noise of the difference between two schemes
    random = np.random.default_rng(17)
    models = simulated(random, 300, np.array([0.5, 0.7, 0.9, 0.35, 0.55, 0.75]), 6)
    one, other = models[:3, np.newaxis], models[3:, np.newaxis]
    found = paired_difference(list(one), list(other), groups=[np.arange(300)] * 3)
    assert found.low > 0.02
    assert found.p_value <= 0.05
    as_if_seeds = paired_difference(models[:3], models[3:])
    assert as_if_seeds.p_value > 0.05


def test_variances_that_scatter_like_one_become_that_one() -> None:
    random = np.random.default_rng(18)
    variances, freedom = moderated(np.array([1.0, 1.1, 0.9, 1.0]), 2)
    assert variances == pytest.approx([1.0] * 4)
    assert freedom == 8
    # variances whose own scatter is that of a prior with 8 degrees of freedom are drawn together as it says
    truth = 8 / random.chisquare(8, 4000)
    drawn, freedom = moderated(truth * random.chisquare(4, 4000) / 4, 4)
    assert freedom == pytest.approx(12, abs=1)
    assert np.log(drawn).std() < np.log(truth).std()


@example(np.array([5e-324, 0.0]), 1)
@given(arrays.arrays(np.float64, st.integers(1, 8), elements=st.floats(0, 1)), st.integers(1, 9))
def test_moderated_variances_stay_finite_and_within_what_was_seen(variances: Floats, freedom: int) -> None:
    drawn, total = moderated(variances, freedom)
    assert np.isfinite(drawn).all()
    assert (drawn >= 0).all()
    assert freedom <= total <= freedom * len(variances)


# ---- what is refused


@pytest.mark.parametrize(
    ("replicates", "groups", "message"),
    [
        (np.zeros((2, 4), int), None, "must have the shape"),
        (np.zeros((1, 0, 3), int), None, "must have the shape"),
        (np.zeros((0, 4, 3), int), None, "must have the shape"),
        (np.array([(-1, 0, 0)]), None, "must not be negative, but one is -1"),
        ([], None, "there is no replicate"),
        (np.array([RIGHT] * 3), [0, 1], "groups must have one id a sentence"),
        ([np.array([RIGHT] * 3)] * 2, [[0, 1, 2]], "groups must have one id a sentence"),
    ],
)
def test_counts_that_cannot_be_read_are_refused(replicates: Ints, groups: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        f1_interval(replicates, groups=groups)


@pytest.mark.parametrize(("level", "resamples"), [(0.0, 10), (1.0, 10), (95.0, 10), (0.95, 0)])
def test_impossible_levels_and_numbers_of_draws_are_refused(level: float, resamples: int) -> None:
    with pytest.raises(ValueError, match=r"expected 0 < level < 1 and resamples >= 1"):
        f1_interval(np.array([RIGHT]), level=level, resamples=resamples)
