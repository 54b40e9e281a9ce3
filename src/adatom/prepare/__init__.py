"""Image to image: square pixels, levelling, steps, normalising, resampling, padding, and the periods of an image."""

from adatom.prepare.level import has_line_offsets, level_lines, level_plane
from adatom.prepare.levelling import Levelling
from adatom.prepare.normalise import (
    contrast_of,
    normalise,
    normalise_by,
    normalise_with_contrast,
    subtract_background,
    tame_outliers,
)
from adatom.prepare.pad import pad_to_multiple
from adatom.prepare.period import image_periods
from adatom.prepare.range import scale_to_range
from adatom.prepare.resample import mean_cell, positions_back, resample
from adatom.prepare.resample_window import resample_window, source_pixels
from adatom.prepare.sample import is_large, telling_parts
from adatom.prepare.square import SquareImage, levelled
from adatom.prepare.terraces import flatten_terraces
from adatom.prepare.unmeasured import blank_padding

__all__ = [
    "Levelling",
    "SquareImage",
    "blank_padding",
    "contrast_of",
    "flatten_terraces",
    "has_line_offsets",
    "image_periods",
    "is_large",
    "level_lines",
    "level_plane",
    "levelled",
    "mean_cell",
    "normalise",
    "normalise_by",
    "normalise_with_contrast",
    "pad_to_multiple",
    "positions_back",
    "resample",
    "resample_window",
    "scale_to_range",
    "source_pixels",
    "subtract_background",
    "tame_outliers",
    "telling_parts",
]
