"""The main job, as one page: an image in, atoms out.

read -> prepare -> predict -> locate -> refine -> lattice. The module is called `finder` because `adatom.find` is the
verb itself: a module of that name would take its place on import.
"""

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from adatom.analyse import Lattice, find_bright_lattice, find_species_lattice, read_lattice_constant
from adatom.analyse.lattice_facts import judge_lattice, undistorted
from adatom.analyse.odd_atoms import judge_sublattices
from adatom.data import check_image, make_atoms, nearest_distances, pixel_size_nm, spacing
from adatom.data.rounding import rounded
from adatom.errors import ArgumentError, ShapeError
from adatom.locate import Peaks, combine_positions, find_blobs, refine_positions
from adatom.locate.brightness import BrightnessGroups, split_by_flux
from adatom.locate.peaks import suppress_close
from adatom.models.choice import LEAST_SUPPORT, UNFAMILIAR, Contrast, ModelAtScale, Sight, choose_model, recognise
from adatom.prepare import SquareImage, image_periods, positions_back

if TYPE_CHECKING:
    from adatom.models.image_model import ImageModel

Array = NDArray[np.float64]
Method = Literal["network", "classical"]
CONTRASTS: tuple[Contrast, ...] = ("auto", "bright", "dark")

# Nothing smaller shows an atom and what is around it [px].
_SMALLEST_SIDE = 4
# No two columns of atoms are closer in any projection that a microscope resolves.
_CLOSEST_NM = 0.04


@dataclass
class Finding:
    """What was found in an image, and how.

    Attributes
    ----------
    image : what was searched.
    atoms : the atom table, see `adatom.data.atoms`.
    maps : probability maps of the (first) frame, or None for the classical method.
    summary : the content of ``summary.json``.
    """

    image: xr.DataArray
    atoms: pd.DataFrame
    maps: xr.DataArray | None
    summary: dict[str, Any] = field(default_factory=dict)


def find(
    image: xr.DataArray,
    *,
    model: "ImageModel | str | Path | None" = None,
    method: Method = "network",
    spacing_nm: float | None = None,
    min_distance_nm: float | None = None,
    min_probability: float | None = None,
    refine: bool = True,
    lattice_constant_nm: float | str | None = None,
    undistort: bool = False,
    contrast: Contrast = "auto",
) -> pd.DataFrame:
    """Find the atoms of an image.

    Parameters
    ----------
    image : (y, x) or (frame, y, x).
    model : a model, its file, or the name of one that ships; by default the one that knows no material.
    method : ``network``, or ``classical`` for blobs by the Laplacian of a Gaussian.
    spacing_nm : typical distance of nearest neighbours [nm], where the image's own estimate is not to be trusted.
    min_distance_nm : of two atoms closer than this [nm] the less probable is left out; by default half the typical
        distance of neighbours.
    min_probability : less probable atoms are left out; by default the model's own limit, one half for a localizer.
    refine : fit each atom in the measured image (columns ``refined``, whether that went well, and ``snr``, the
        signal-to-noise ratio of its peak); without it positions and their error bars are the network's.
    lattice_constant_nm : known edge of the cell [nm], or the name of a material in
        `adatom.analyse.LATTICE_CONSTANTS_NM`; gives the pixel size that the lattice demands.
    undistort : add columns ``x_undistorted``, ``y_undistorted``: positions after the affine map that makes a hexagonal
        or square lattice regular, that is, without uniform drift and scan distortion; in nm where the pixel size is
        known, that of the lattice constant before the file's.
    contrast : ``bright`` or ``dark`` atoms; ``auto`` lets the image say, and prefers bright ones.

    Returns
    -------
    One row an atom, see `adatom.data.atoms`; ``attrs["summary"]`` holds what else is known of them.

    Raises
    ------
    ShapeError, UnitError, ArgumentError : on bad input, saying what is wrong.
    """
    finding = search(
        image,
        model=model,
        method=method,
        spacing_nm=spacing_nm,
        min_distance_nm=min_distance_nm,
        min_probability=min_probability,
        refine=refine,
        lattice_constant_nm=lattice_constant_nm,
        undistort=undistort,
        contrast=contrast,
    )
    finding.atoms.attrs["summary"] = finding.summary
    return finding.atoms


def search(
    image: xr.DataArray,
    *,
    model: "ImageModel | str | Path | None" = None,
    method: Method = "network",
    spacing_nm: float | None = None,
    min_distance_nm: float | None = None,
    min_probability: float | None = None,
    refine: bool = True,
    lattice_constant_nm: float | str | None = None,
    undistort: bool = False,
    contrast: Contrast = "auto",
) -> Finding:
    """As `find`, with the maps and the summary beside the atoms."""
    started = time.monotonic()
    image = check_image(image)
    if image.dims not in (("y", "x"), ("frame", "y", "x")):
        raise ShapeError(f"image: expected (y, x) or (frame, y, x), got {image.dims}. Choose a channel or a frame.")
    if method not in ("network", "classical"):
        raise ArgumentError(f"method: expected network or classical, got {method!r}.")
    if contrast not in CONTRASTS:
        raise ArgumentError(f"contrast: expected one of {', '.join(CONTRASTS)}, got {contrast!r}.")
    if min_probability is not None and not 0 <= min_probability <= 1:
        raise ArgumentError(f"min_probability: expected a number from 0 to 1, got {min_probability}.")
    stated_edge = None if lattice_constant_nm is None else read_lattice_constant(lattice_constant_nm)
    for name, value in {"spacing_nm": spacing_nm, "min_distance_nm": min_distance_nm}.items():
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ArgumentError(f"{name}: expected a positive length in nm, got {value}.")

    still = image if image.ndim == 2 else image.isel(frame=0)
    if min(still.shape) < _SMALLEST_SIDE:
        raise ShapeError(f"image: expected at least {_SMALLEST_SIDE} pixels a side, got shape {still.shape}.")
    if not np.isfinite(image).any():
        raise ArgumentError("image: expected measured values, got none that is a number. Choose another channel.")
    square = SquareImage.of(still)
    warnings: list[str] = []
    spacing_px, min_distance_px = (square.px_of(length) for length in (spacing_nm, min_distance_nm))
    eyes: ModelAtScale | _Classical
    if square.is_blank:
        eyes = _Classical(spacing_px or 10.0)
        warnings.append("The image is constant: there is nothing to find.")
    elif method == "classical":
        sign = -1 if contrast == "dark" else 1
        eyes = _Classical(spacing_px or _classical_spacing(square.values, warnings), sign)
    else:
        eyes = choose_model(
            still,
            square.values,
            square_factor=square.factor[1],
            model=model,
            spacing_px=spacing_px,
            contrast=contrast,
        )
        if eyes.is_of_lone_atoms:
            warnings.append(
                f"Nothing here stands on a lattice that would confirm it (support {eyes.support:.2f} of 1): atoms are "
                f"lone ones by their looks, as {eyes.name} knows them. Look at the overlay before you trust them."
            )
        elif eyes.support < LEAST_SUPPORT:
            warnings.append(
                f"The model {eyes.name} explains this image poorly (support {eyes.support:.2f} of 1): "
                "do not trust these atoms without looking at the overlay."
            )

    scout = eyes  # the one that looked first, and knows what images are like
    seen = _see_all(image, square, eyes, min_probability, min_distance_px, refine)
    if model is None and isinstance(eyes, ModelAtScale) and eyes.sign > 0 and seen.lattice is not None:
        expert = recognise(seen.lattice, seen.spacing_px, square.values, 0.8 * eyes.support)
        if expert is not None:
            eyes = expert
            seen = _see_all(image, square, eyes, min_probability, min_distance_px, refine)
    columns, maps, lattice = seen.columns, seen.maps, seen.lattice
    if eyes.sign < 0 and contrast == "auto":
        warnings.append(
            "Atoms are taken to be dark, as the grey values say. If they are bright, give --contrast bright."
        )
    lattice_facts = judge_lattice(
        lattice, stated_edge or eyes.lattice_constant_nm, square.pixel_nm, stated_edge is not None, warnings
    )
    added = {name: columns.pop(name) for name in ("refined", "snr", "species_probability")}
    several = isinstance(eyes, ModelAtScale) and len(eyes.model.classes_) > 1
    doubt = added["species_probability"]
    if not several or (len(doubt) and np.isnan(doubt).all()):
        del added["species_probability"]  # of one species there is none, and a segmenter does not tell
    if undistort:
        added |= undistorted(columns, lattice, lattice_facts, square.pixel_nm, warnings)
    unfamiliarity = scout.unfamiliarity(square.values) if isinstance(scout, ModelAtScale) else None
    if unfamiliarity is not None and unfamiliarity > UNFAMILIAR:
        warnings.append(
            f"This image looks unlike those that the model {scout.name} was trained on (unfamiliarity "
            f"{unfamiliarity:.2f} of 1): its probabilities and error bars may not hold here. Look at the overlay."
        )
    groups, sublattices = None, None
    if refine and len(set(columns["species"])) == 1:
        groups = split_by_flux(columns["flux"])
        if groups is not None:
            added["brightness"] = np.array([*groups.names, ""], dtype=object)[groups.group]
        if image.ndim == 2:
            odd, sublattices = judge_sublattices(columns | {"refined": added["refined"]})
            added |= odd
    if square.pixel_nm is None:
        warnings.insert(
            0,
            "The file states no pixel size: positions are in px. Give --pixel-size NM (pixel_size= in adatom.read).",
        )
    atoms = make_atoms(
        _in_image_units(columns, still, square),
        units="px" if square.pixel_nm is None else "nm",
        image_shape=(still.sizes["y"], still.sizes["x"]),
        pixel_size=pixel_size_nm(still),
        history=[*image.attrs.get("history", []), f"atoms found by {eyes.name}"],
    )
    for name, values in added.items():
        atoms[name] = values
    distance_px = seen.spacing_px
    if square.pixel_nm and distance_px * square.pixel_nm < _CLOSEST_NM:
        warnings.append(
            f"Neighbours are {distance_px * square.pixel_nm:.2g} nm apart if the stated pixel size of "
            f"{square.pixel_nm:.3g} nm is right: no atoms are so close. Give --pixel-size NM."
        )
    return Finding(
        image=image,
        atoms=atoms,
        maps=maps,
        summary={
            "n_atoms": len(atoms),
            "species": {str(name): int(n) for name, n in atoms["species"].value_counts().items()},
            "spacing_nm": rounded(distance_px * square.pixel_nm) if square.pixel_nm else None,
            "spacing_px": rounded(distance_px),
            "units": atoms.attrs["units"],
            "pixel_size": _one_or_two(atoms.attrs["pixel_size"]),
            "model": eyes.name,
            "model_sha256": eyes.sha256,
            "support": rounded(eyes.support),
            "working_factor": rounded(eyes.factor),
            "unfamiliarity": rounded(unfamiliarity),
            "brightness": _brightness_facts(groups),
            "sublattices": sublattices,
            "scan_jitter_px": rounded(seen.jitter_px / square.factor[1]) if refine else None,
            "contrast": "dark" if eyes.sign < 0 else "bright",
            "warnings": warnings,
            "seconds": round(time.monotonic() - started, 3),
            "lattice": lattice_facts,
        },
    )


# -------------------------------------------------------------------------------------------------- without a network


@dataclass(frozen=True)
class _Classical:
    """Blobs of one size."""

    spacing_px: float
    sign: int = 1
    name: str = "classical (Laplacian of a Gaussian)"
    sha256: None = None
    support: float = float("nan")
    factor: float = 1.0
    lattice_constant_nm: None = None
    empty_classes: tuple[str, ...] = ()

    def see(self, values: Array, min_probability: float | None, min_distance_px: float | None) -> Sight:
        del min_probability, min_distance_px  # no probabilities, only ranks; what is too close goes after the fit
        return Sight(find_blobs(self.sign * values, spacing_px=self.spacing_px), ["atom"])


_NOTHING = Peaks.at(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0))


def _classical_spacing(values: Array, warnings: list[str]) -> float:
    periods = image_periods(values)
    if periods:
        return float(periods[0][0] * 2 / np.sqrt(3))  # rows of a hexagonal lattice are closer than its atoms
    warnings.append("The image shows no period: an atomic spacing of 10 px was assumed. Give --spacing NM.")
    return 10.0


# -------------------------------------------------------------------------------------------------- atoms


@dataclass(frozen=True)
class _Seen:
    """What was found in all frames: columns in square pixels, scan jitter; and of the first frame maps and lattice."""

    columns: dict[str, Array]
    maps: xr.DataArray | None
    lattice: Lattice | None
    jitter_px: float

    @cached_property
    def spacing_px(self) -> float:
        return spacing(self.columns)


def _see_all(
    image: xr.DataArray,
    square: SquareImage,
    eyes: "ModelAtScale | _Classical",
    min_probability: float | None,
    min_distance_px: float | None,
    refine: bool,
) -> _Seen:
    """Look at each frame, and at the lattice of the first; `square` is the first frame."""
    frames = [image] if image.ndim == 2 else [image.isel(frame=k) for k in range(image.sizes["frame"])]
    tables, jitters, maps = [], [], None
    for number, frame in enumerate(frames):
        part = square if number == 0 else SquareImage.of(frame)
        sight = Sight(_NOTHING, ["atom"]) if part.is_blank else eyes.see(part.values, min_probability, min_distance_px)
        # resampled pixels have lost their own noise
        taken_out = frame.to_numpy() - part.values if part.values.shape == frame.shape else None
        table, jitter_px = _locate(part.values, eyes, sight, number, refine, min_distance_px, taken_out)
        tables.append(table)
        jitters.append(jitter_px)
        if number == 0 and sight.maps is not None and isinstance(eyes, ModelAtScale):
            factor = (sight.maps.factor[0] * square.factor[0], sight.maps.factor[1] * square.factor[1])
            maps = eyes.model.maps_as_image(sight.maps, frame, factor)
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    x, y, species, flux = (tables[0][name] for name in ("x", "y", "species", "flux"))
    one_kind = isinstance(eyes, ModelAtScale) and eyes.model.finds_scale
    lattice = find_bright_lattice(x, y, flux) if one_kind else find_species_lattice(x, y, species)
    return _Seen(columns, maps, lattice, float(np.sqrt(np.mean(np.square(jitters)))))


def _locate(
    values: Array,
    eyes: ModelAtScale | _Classical,
    sight: Sight,
    frame: int,
    refine: bool,
    min_distance_px: float | None,
    taken_out: Array | None,
) -> tuple[dict[str, Array], float]:
    """Columns of a frame's atoms, positions in square pixels, and how far its scan lines are shifted at random [px].

    `taken_out` (y, x) is what levelling took out of the frame.
    """
    peaks, names = sight.peaks, sight.names
    x, y = peaks.x, peaks.y
    x_std, y_std, flux = peaks.x_std, peaks.y_std, peaks.flux
    empty, refined, jitter_px = np.zeros(len(x), dtype=bool), np.zeros(len(x), dtype=bool), 0.0
    snr = np.full(len(x), np.nan)
    # at a site that is known to be empty there is no peak to be fitted
    peaked = ~np.isin(np.array(names, dtype=object)[peaks.species], eyes.empty_classes)
    if refine and peaked.any():
        apart_px = np.median(nearest_distances(np.column_stack([x, y]))) if len(x) >= 20 else eyes.spacing_px
        apart_px = float(np.clip(apart_px, 0.7 * eyes.spacing_px, 1.5 * eyes.spacing_px))
        fitted = refine_positions(
            eyes.sign * values,
            x[peaked],
            y[peaked],
            spacing_px=apart_px,
            taken_out=None if taken_out is None else eyes.sign * taken_out,
        )
        jitter_px = fitted.jitter_px
        seen = (x[peaked], y[peaked], x_std[peaked], y_std[peaked])
        if isinstance(eyes, ModelAtScale):
            near_border = _distance_to_border(values, *seen[:2]) < 0.3 * apart_px
            settled = combine_positions(*seen, fitted, spacing_px=apart_px, at_border=near_border)
        else:
            settled = (fitted.x, fitted.y, fitted.x_std, fitted.y_std, fitted.converged)
        x, y, x_std, y_std, refined, flux, empty, snr = (
            _where(peaked, mine, others)
            for mine, others in zip(
                (*settled, eyes.sign * fitted.flux, fitted.empty, fitted.snr),
                (x, y, x_std, y_std, refined, np.zeros(len(x)), empty, snr),
                strict=True,
            )
        )
    rows, columns = values.shape
    inside = (x >= -0.5) & (x < columns - 0.5) & (y >= -0.5) & (y < rows - 0.5)
    row, column = np.clip(np.round(y), 0, rows - 1).astype(int), np.clip(np.round(x), 0, columns - 1).astype(int)
    inside &= np.isfinite(values[row, column])
    apart = np.zeros(len(x), dtype=bool)
    least = 0.5 * eyes.spacing_px if min_distance_px is None else min_distance_px
    apart[suppress_close(np.column_stack([x, y]), peaks.probability, least)] = True
    kept = inside & apart & ~empty
    table = {
        "frame": np.full(int(kept.sum()), frame),
        "x": x[kept],
        "y": y[kept],
        "x_std": x_std[kept],
        "y_std": y_std[kept],
        "species": np.array(names, dtype=object)[peaks.species[kept]],
        "probability": peaks.probability[kept],
        "flux": flux[kept],
        "refined": refined[kept],
        "snr": snr[kept],
        "species_probability": peaks.species_probability[kept],
    }
    return table, jitter_px


def _where(mask: NDArray[np.bool_], mine: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """`mine` (m,) where the mask (n,) is true, `others` (n,) elsewhere."""
    joined = others.copy()
    joined[mask] = mine
    return joined


def _distance_to_border(values: Array, x: Array, y: Array) -> Array:
    """How far each atom is from the end of what was measured [px]; 0 beyond it."""
    rows, columns = values.shape
    known = np.isfinite(values)
    if known.all():
        return np.minimum.reduce([x, y, columns - 1 - x, rows - 1 - y])
    inset = ndimage.distance_transform_edt(np.pad(known, 1)) - 1  # a pixel beside the end has 0
    row, column = np.clip(np.round(y), -1, rows).astype(int) + 1, np.clip(np.round(x), -1, columns).astype(int) + 1
    distance: Array = inset[row, column]
    return distance


def _in_image_units(columns: dict[str, Array], still: xr.DataArray, square: SquareImage) -> dict[str, Array]:
    """Positions from square pixels to the image's own unit; the centre of its first pixel is (0, 0)."""
    size = pixel_size_nm(still) or (1.0, 1.0)
    result = dict(columns)
    for axis, name in enumerate(("y", "x")):
        result[name] = positions_back(columns[name], square.factor[axis]) * size[axis]
        result[f"{name}_std"] = columns[f"{name}_std"] / square.factor[axis] * size[axis]
    return result


def _brightness_facts(groups: BrightnessGroups | None) -> dict[str, Any] | None:
    """Groups of atoms by flux as the summary has them."""
    if groups is None:
        return None
    rows = zip(groups.names, groups.flux, groups.spread, strict=True)
    return {
        "groups": {
            name: {"n": int((groups.group == k).sum()), "flux": rounded(flux), "spread": rounded(spread)}
            for k, (name, flux, spread) in enumerate(rows)
        },
        "error_rate": rounded(groups.error_rate),
    }


def _one_or_two(size: tuple[float, float] | None) -> float | list[float] | None:
    if size is None:
        return None
    return float(f"{size[1]:.8g}") if abs(size[0] / size[1] - 1) < 1e-3 else [float(f"{s:.8g}") for s in size]
