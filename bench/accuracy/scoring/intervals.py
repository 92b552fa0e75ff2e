"""The ratio of two mean KL divergences with its interval, paired by window and combined over seeds."""

from typing import Sequence

import numpy as np

DRAWS, SEED = 10000, 0


def ratio(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], draws: int = DRAWS,
          seed: int = SEED) -> tuple[float, float, float]:
    """Mean of ours over mean of theirs, and the ends of its 95% interval; both are [seeds, windows] of the same windows.

    Each draw takes windows with replacement, the same for both sides and all seeds, and seeds with replacement, each side its
    own: what moves the ratio is the text that happens to be there and the windows that calibration happened to take. A mean of n draws
    from n seeds varies by (n − 1)/n of what n seeds do, which is half with two: its distance from the mean is stretched by
    √(n/(n − 1)). Of two seeds on one side it still covers somewhat less than it says; with one it says nothing of seeds."""
    left, right = np.asarray(ours, float), np.asarray(theirs, float)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1] or 0 in left.shape or 0 in right.shape:
        raise ValueError(f"expected the same windows on both sides, but got {list(left.shape)} and {list(right.shape)}")
    random = np.random.default_rng(seed)
    windows = left.shape[1]
    weights = random.multinomial(windows, np.full(windows, 1 / windows), draws) / windows  # [draws, windows]

    def means(side: np.ndarray) -> np.ndarray:
        of_seeds = weights @ side.T  # [draws, seeds]
        taken = random.integers(0, len(side), (draws, len(side)))
        stretch = np.sqrt(len(side) / max(len(side) - 1, 1))
        mean = of_seeds.mean(1)
        return mean + stretch * (np.take_along_axis(of_seeds, taken, axis=1).mean(1) - mean)

    low, high = np.quantile(means(left) / means(right), (0.025, 0.975))
    return float(left.mean() / right.mean()), float(low), float(high)
