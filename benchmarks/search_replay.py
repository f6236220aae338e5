# Run, from the repository root (about a minute):
#   python -m benchmarks.search_replay
#   python -m benchmarks.search_replay --at-once 8 --noise
# Record the surface anew (about twenty minutes on two cores):
#   python -m benchmarks.search_replay --record
"""TPE against random draws on a recorded surface whose optimum is known: from how many trials on does TPE pay?

The surface is the validation F1 of a dense grid of tiny encoders, the mean of two seeds, in `search_surface.csv`;
between its points it is interpolated linearly (in the logarithm of the learning rate), so that its highest point is one
of the grid. A replay draws from the same space with the sampler of `python -m tune_ner.search` and looks the figure up.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from scipy.interpolate import RegularGridInterpolator
from scipy.stats import wilcoxon

from tune_ner.config.search_space import SearchSpace
from tune_ner.tuning.experiment import prepare
from tune_ner.tuning.options import SAMPLERS
from tune_ner.tuning.samplers import optuna_sampler

SURFACE = Path(__file__).with_name("search_surface.csv")
SPACE = {
    "data": "synthetic:600",
    "model": "tiny:1x32",
    "epochs": 4,
    "word_tokenizer": "punctuation",
    "tagging_scheme": ["BIO", "BIOES"],
    "learning_rate": {"loguniform": [1e-4, 3e-2]},
    "batch_size": {"int": [4, 32]},
    "dropout": {"uniform": [0.0, 0.3]},
    "warmup": {"uniform": [0.0, 0.3]},
}
POINTS: dict[str, list[Any]] = {
    "tagging_scheme": ["BIO", "BIOES"],
    "learning_rate": [float(f"{rate:.3g}") for rate in np.geomspace(1e-4, 3e-2, 11)],
    "batch_size": [4, 8, 16, 32],
    "dropout": [0.0, 0.15, 0.3],
    "warmup": [0.0, 0.15, 0.3],
}
SEEDS = (42, 43)
COUNTS = (5, 10, 15, 20, 30, 40, 60, 80, 100)
_CHOICE, *_NUMBERS = POINTS


@dataclass(frozen=True)
class Surface:
    """Validation F1 over the space.

    Attributes:
        heights: by tagging scheme, the function of learning rate (its logarithm), batch size, dropout and warm-up.
        best: the optimum.
        noise: standard deviation of one seed's figure about the mean of many, from the differences of two.
    """

    heights: Mapping[str, RegularGridInterpolator]
    best: float
    noise: float

    @classmethod
    def read(cls, path: Path = SURFACE) -> Surface:
        """The surface in a file that `record` wrote."""
        table = pd.read_csv(path).set_index(list(POINTS)).sort_index()
        seeds = table[[_column(seed) for seed in SEEDS]]
        means = seeds.mean(axis=1)
        ends = [[math.log(rate) for rate in POINTS["learning_rate"]], *(POINTS[name] for name in _NUMBERS[1:])]
        shape = [len(values) for values in ends]
        heights = {
            scheme: RegularGridInterpolator(ends, means.loc[scheme].to_numpy().reshape(shape))
            for scheme in POINTS[_CHOICE]
        }
        spread = (seeds.iloc[:, 0] - seeds.iloc[:, 1]).to_numpy()
        return cls(heights, float(means.max()), float(np.sqrt(np.mean(spread**2) / 2)))

    def at(self, params: Mapping[str, Any]) -> float:
        """The figure of a configuration."""
        lowest, highest = (edge(POINTS["learning_rate"]) for edge in (min, max))
        rate = math.log(min(max(params["learning_rate"], lowest), highest))
        place = [rate, *(params[name] for name in _NUMBERS[1:])]
        return float(self.heights[params[_CHOICE]](place)[0])


def replay(surface: Surface, sampler: str, seed: int, trials: int, at_once: int = 1, noise: float = 0.0) -> list[float]:
    """Search the surface once.

    Args:
        surface: what is searched.
        sampler: one of `SAMPLERS`.
        seed: of the sampler and of the noise.
        trials: how many are drawn.
        at_once: how many are drawn before the first of them is told.
        noise: standard deviation of what the search sees about the surface.

    Returns:
        After each trial, the height of the surface at the point that looks best.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    axes = SearchSpace.model_validate(SPACE).search_distributions
    study = optuna.create_study(direction="maximize", sampler=optuna_sampler(sampler, seed))
    scatter = np.random.default_rng(seed)
    curve: list[float] = []
    seen, height = -math.inf, 0.0
    while len(curve) < trials:
        for trial in [study.ask(axes) for _ in range(min(at_once, trials - len(curve)))]:
            true = surface.at(trial.params)
            value = true + noise * scatter.standard_normal()
            study.tell(trial, value)
            if value > seen:
                seen, height = value, true
            curve.append(height)
    return curve


def compare(curves: Mapping[str, Sequence[Sequence[float]]], best: float) -> Iterator[dict[str, Any]]:
    """How far below the optimum each sampler is after so many trials, its seeds paired with the other's."""
    below = {name: best - np.array(runs) for name, runs in curves.items()}
    trials = below["tpe"].shape[1]
    for count in (count for count in COUNTS if count <= trials):
        tpe, random = (below[name][:, count - 1] for name in ("tpe", "random"))
        differ = np.any(tpe != random)
        yield {
            "trials": count,
            **{f"{name}, F1 below the optimum": f"{runs[:, count - 1].mean():.4f}" for name, runs in below.items()},
            "TPE ahead": f"{np.sum(tpe < random)}/{len(tpe)}",
            "p": f"{wilcoxon(tpe, random).pvalue:.3f}" if differ else "1.000",
        }


def pays_from(below: Mapping[str, np.ndarray]) -> int | None:
    """The number of trials from which on TPE is nearer to the optimum, to the end, with p < .05 of Wilcoxon's test at
    each; None where it never is.
    """
    tpe, random = below["tpe"], below["random"]
    ahead = [
        bool(np.any(tpe[:, place] != random[:, place]))
        and tpe[:, place].mean() < random[:, place].mean()
        and wilcoxon(tpe[:, place], random[:, place]).pvalue < 0.05
        for place in range(tpe.shape[1])
    ]
    behind = [place for place, good in enumerate(ahead) if not good]
    first = behind[-1] + 1 if behind else 0
    return first + 1 if first < len(ahead) else None


def as_good_as(below: Mapping[str, np.ndarray]) -> int:
    """After how many of its trials TPE is as near to the optimum on average as random draws in the end."""
    reached = below["tpe"].mean(axis=0) <= below["random"].mean(axis=0)[-1]
    return int(np.argmax(reached)) + 1 if reached.any() else 0


@lru_cache(maxsize=1)
def _experiment() -> Any:
    return prepare(SearchSpace.model_validate(SPACE))


def _trained(point: dict[str, Any]) -> float:
    from tune_ner.training.trial import TrialOptions, run_trial

    experiment = _experiment()
    space = experiment.space
    trial = experiment.trial({**{name: space.example(name) for name in space.HYPERPARAMETERS}, **point})
    options = TrialOptions(threads=1, measure_test=False)
    result = run_trial(trial, experiment.encoders[trial.model], experiment.corpus, experiment.splits[None], options)
    return max(epoch.validation_seqeval_f1 for epoch in result.epochs)


def record(path: Path, processes: int) -> None:
    """Train every point of the grid and write the surface."""
    points = [dict(zip(POINTS, values, strict=True)) for values in product(*POINTS.values())]
    each = [{**point, "seed": seed} for point in points for seed in SEEDS]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        figures = list(pool.map(_trained, each, chunksize=4))
    rows = [
        {
            **point,
            **{_column(seed): f"{figures[len(SEEDS) * number + place]:.4f}" for place, seed in enumerate(SEEDS)},
        }
        for number, point in enumerate(points)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)


def _column(seed: int) -> str:
    return f"validation_f1_seed_{seed}"


def main() -> None:
    """Print the curves, or record the surface."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="train the grid and write the surface")
    parser.add_argument("--processes", type=int, default=2, help="for --record")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=COUNTS[-1])
    parser.add_argument("--at-once", type=int, default=1, help="trials drawn before the first of them is told")
    parser.add_argument("--noise", action="store_true", help="each figure is one seed's, as in a search")
    arguments = parser.parse_args()
    if arguments.record:
        record(SURFACE, arguments.processes)
    surface = Surface.read()
    noise = surface.noise if arguments.noise else 0.0
    curves = {
        name: [
            replay(surface, name, seed, arguments.trials, arguments.at_once, noise) for seed in range(arguments.seeds)
        ]
        for name in SAMPLERS
    }
    below = {name: surface.best - np.array(runs) for name, runs in curves.items()}
    print(f"Optimum {surface.best:.4f}; one seed's figure scatters by {surface.noise:.4f} about the mean.")
    print(pd.DataFrame(compare(curves, surface.best)).to_string(index=False))
    found = pays_from(below)
    print(f"TPE is ahead for good (p < .05) from trial {found}." if found else "TPE is not ahead for good.")
    print(
        f"It is where random draws are after {arguments.trials} trials after {as_good_as(below) or 'none'} of its own."
    )


if __name__ == "__main__":
    main()
