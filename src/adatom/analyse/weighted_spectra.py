"""Spectra weighted by what their noise allows, and their principal components, one block of pixels after the other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.analyse.decomposition import significant_components
from adatom.analyse.spectrum_blocks import NEGATIVE, SpectrumBlocks
from adatom.errors import ArgumentError

Array = NDArray[np.float64]

_MOST_CHANNELS = 8192  # whose covariance fits in memory


@dataclass(frozen=True)
class Weights:
    """Roots of the means that values are divided by: (pixel,) and (channel,); of counts what is below 0 is cut."""

    pixel: Array
    channel: Array
    are_counts: bool

    def apply(self, pixels: NDArray[np.int64], spectra: Array) -> Array:
        """Weighted spectra (pixel, channel) of these pixels."""
        values = np.maximum(spectra, 0.0) if self.are_counts else spectra
        return values / (self.pixel[pixels, None] * self.channel)


@dataclass(frozen=True)
class Principal:
    """Principal components of the weighted spectra: directions (rank, channel), and scores (pixel, rank) on demand."""

    mean: Array
    directions: Array
    variance: Array
    n_significant: int

    def scores(self, blocks: SpectrumBlocks, weights: Weights, n: int) -> Array:
        """The first n scores (pixel, n) of all pixels."""
        parts = [(weights.apply(pixels, values) - self.mean) @ self.directions[:n].T for pixels, values in blocks]
        return np.concatenate(parts)


def weigh(blocks: SpectrumBlocks, *, needs_counts: bool, weighted: bool) -> Weights:
    """Weights for the noise of counting, or none.

    Raises
    ------
    ArgumentError : if counts are needed, and more than 5 % of the values' sum is below 0.
    """
    of_pixel, of_channel = np.zeros(blocks.n_used), np.zeros(blocks.n_channels)
    below, size = 0.0, 0.0
    for pixels, values in blocks:
        below += float(-np.minimum(values, 0).sum())
        size += float(np.abs(values).sum())
        if weighted:
            counts = np.maximum(values, 0)
            of_pixel[pixels] = counts.mean(axis=1)
            of_channel += counts.sum(axis=0) / blocks.n_used
    if needs_counts and below > NEGATIVE * max(size, 1e-300):
        raise ArgumentError(
            f"image: expected values that are not negative, got {100 * below / size:.0f} % below 0. Take method "
            "pca, ica or vca without weighting, or subtract less."
        )
    if not weighted:
        return Weights(np.ones(blocks.n_used), np.ones(blocks.n_channels), needs_counts)
    # where nothing is counted there is no noise known either: such channels count as one of the weakest
    floors = [max(float(means[means > 0].min(initial=np.inf)), 0.0) for means in (of_pixel, of_channel)]
    pixel, channel = (
        np.sqrt(np.where(means > 0, means, floor if np.isfinite(floor) else 1.0))
        for means, floor in zip((of_pixel, of_channel), floors, strict=True)
    )
    return Weights(pixel, channel * np.sqrt(1 / max(float((channel**2).mean()), 1e-300)), True)


def principal_components(blocks: SpectrumBlocks, weights: Weights) -> Principal:
    """By the covariance of the channels, summed block by block; of counts no mean is taken out."""
    if blocks.n_channels > _MOST_CHANNELS:
        raise ArgumentError(
            f"image: expected up to {_MOST_CHANNELS} channels, got {blocks.n_channels}. Bin them first."
        )
    n, channels = blocks.n_used, blocks.n_channels
    mean = np.zeros(channels)
    if not weights.are_counts:
        mean = sum((weights.apply(pixels, values).sum(axis=0) for pixels, values in blocks), mean) / n
    covariance = np.zeros((channels, channels))
    for pixels, values in blocks:
        away = weights.apply(pixels, values) - mean
        covariance += away.T @ away
    variance, directions = np.linalg.eigh(covariance)
    variance, directions = np.maximum(variance[::-1], 0.0), directions[:, ::-1].T
    rank = min(n, channels)
    significant = significant_components(np.sqrt(variance[:rank]), (n, channels))
    return Principal(mean, directions[:rank], variance[:rank], significant)
