"""The main job, as one page: an image in, atoms out.

read -> prepare -> predict -> locate -> refine -> lattice. The module is called `finder` because `adatom.find` is the
verb itself: a module of that name would take its place on import.
"""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adatom.analyse import Lattice, read_lattice_constant
from adatom.analyse.lattice_facts import judge_lattice, undistorted
from adatom.analyse.odd_atoms import judge_sublattices
from adatom.data import ATOM_COLUMNS, check_image, make_atoms, pixel_size_nm
from adatom.data.rounding import rounded
from adatom.errors import ArgumentError, ShapeError
from adatom.locate.brightness import BrightnessGroups, split_by_flux
from adatom.models.atom_table import in_units
from adatom.models.choice import LEAST_SUPPORT, UNFAMILIAR, Contrast, choose_model, recognise
from adatom.models.seeing import Classical, classical_spacing, see_all
from adatom.models.sight import ModelAtScale
from adatom.prepare import SquareImage, positions_back

if TYPE_CHECKING:
    from adatom.models.ensemble import Ensemble
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
    maps : probability maps of the (first) frame, or where asked for of all frames, or None for the classical method.
    eyes : what looked.
    doubts : their uncertainties, where the model is an ensemble; see `adatom.models.ensemble`.
    lattice : of the atoms of the (first) frame, in square pixels.
    summary : the content of ``summary.json``.
    """

    image: xr.DataArray
    atoms: pd.DataFrame
    maps: xr.DataArray | None
    eyes: ModelAtScale | Classical
    summary: dict[str, Any] = field(default_factory=dict)
    doubts: xr.Dataset | None = None
    lattice: Lattice | None = None


def find(
    image: xr.DataArray,
    *,
    model: "ImageModel | Ensemble | str | Path | None" = None,
    method: Method = "network",
    spacing_nm: float | None = None,
    min_distance_nm: float | None = None,
    min_probability: float | None = None,
    refine: bool = True,
    lattice_constant_nm: float | str | None = None,
    undistort: bool = False,
    contrast: Contrast = "auto",
    coverage: float | None = None,
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
    coverage : adds the column ``species_set``, the species that an atom may be, such as ``S2|V_S``: on images like
        those of the training the right one is among them for this share of the atoms (`adatom.models.conformal`).

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
        coverage=coverage,
    )
    finding.atoms.attrs["summary"] = finding.summary
    return finding.atoms


def search(
    image: xr.DataArray,
    *,
    model: "ImageModel | Ensemble | str | Path | None" = None,
    method: Method = "network",
    spacing_nm: float | None = None,
    min_distance_nm: float | None = None,
    min_probability: float | None = None,
    refine: bool = True,
    lattice_constant_nm: float | str | None = None,
    undistort: bool = False,
    contrast: Contrast = "auto",
    coverage: float | None = None,
    all_maps: bool = False,
    chosen: ModelAtScale | None = None,
) -> Finding:
    """As `find`, with the maps and the summary beside the atoms; with `all_maps` those of all frames of a movie, and
    with `chosen` by eyes that were chosen before, by more than this image.
    """
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

    if coverage is not None and (not 0 < coverage < 1 or method == "classical"):
        raise ArgumentError(f"coverage: expected a number between 0 and 1, for the network, got {coverage}.")

    still = image if image.ndim == 2 else image.isel(frame=0)
    if min(still.shape) < _SMALLEST_SIDE:
        raise ShapeError(f"image: expected at least {_SMALLEST_SIDE} pixels a side, got shape {still.shape}.")
    if not np.isfinite(image).any():
        raise ArgumentError("image: expected measured values, got none that is a number. Choose another channel.")
    square = SquareImage.of(still)
    warnings: list[str] = []
    spacing_px, min_distance_px = (square.px_of(length) for length in (spacing_nm, min_distance_nm))
    eyes: ModelAtScale | Classical
    if square.is_blank:
        eyes = Classical(spacing_px or 10.0)
        warnings.append("The image is constant: there is nothing to find.")
    elif method == "classical":
        sign = -1 if contrast == "dark" else 1
        eyes = Classical(spacing_px or classical_spacing(square.values, warnings), sign)
    else:
        eyes = chosen or choose_model(
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
    if isinstance(eyes, ModelAtScale):
        eyes = replace(eyes, coverage=coverage)
    seen = see_all(image, square, eyes, min_probability, min_distance_px, refine, all_maps)
    if model is None and isinstance(eyes, ModelAtScale) and eyes.sign > 0 and seen.lattice is not None:
        expert = recognise(seen.lattice, seen.spacing_px, square.values, 0.8 * eyes.support)
        if expert is not None:
            eyes = replace(expert, coverage=coverage)
            seen = see_all(image, square, eyes, min_probability, min_distance_px, refine, all_maps)
    columns, maps, lattice = seen.columns, seen.maps, seen.lattice
    if eyes.sign < 0 and contrast == "auto":
        warnings.append(
            "Atoms are taken to be dark, as the grey values say. If they are bright, give --contrast bright."
        )
    lattice_facts = judge_lattice(
        lattice, stated_edge or eyes.lattice_constant_nm, square.pixel_nm, stated_edge is not None, warnings
    )
    added = beside_schema(columns, eyes)
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
    atoms = atom_table(
        columns,
        added,
        pixel_size=pixel_size_nm(still),
        image_shape=(still.sizes["y"], still.sizes["x"]),
        factor=square.factor,
        history=[*image.attrs.get("history", []), f"atoms found by {eyes.name}"],
    )
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
        eyes=eyes,
        doubts=seen.doubts,
        lattice=lattice,
        summary={
            "n_atoms": len(atoms),
            "species": {str(name): int(n) for name, n in atoms["species"].value_counts().items()},
            "spacing_nm": rounded(distance_px * square.pixel_nm) if square.pixel_nm else None,
            "spacing_px": rounded(distance_px),
            "units": atoms.attrs["units"],
            "pixel_size": _one_or_two(atoms.attrs["pixel_size"]),
            "image_shape": list(atoms.attrs["image_shape"]),
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


def beside_schema(columns: dict[str, Array], eyes: ModelAtScale | Classical) -> dict[str, Array]:
    """Take from `columns` those that are not of the schema of atom tables, and give them."""
    added = {name: columns.pop(name) for name in list(columns) if name not in ATOM_COLUMNS}
    several = isinstance(eyes, ModelAtScale) and len(eyes.model.classes_) > 1
    doubt = added["species_probability"]
    if not several or (len(doubt) and np.isnan(doubt).all()):
        del added["species_probability"]  # of one species there is none, and a segmenter does not tell
    return added


def atom_table(
    columns: dict[str, Array],
    added: dict[str, Array],
    *,
    pixel_size: tuple[float, float] | None,
    image_shape: tuple[int, int],
    factor: tuple[float, float],
    history: list[str],
) -> pd.DataFrame:
    """Atoms of an image, from square pixels to the image's own unit; the centre of its first pixel is (0, 0).

    Parameters
    ----------
    columns, added : those of the schema, and others.
    pixel_size, image_shape, history : of the image, see `adatom.data.atoms`.
    factor : square pixels a pixel of the image, along (y, x).
    """
    size, steps, placed = pixel_size or (1.0, 1.0), {}, dict(columns)
    for axis, name in enumerate(("y", "x")):
        steps[name] = size[axis] / factor[axis]
        placed[name] = positions_back(columns[name], factor[axis]) * size[axis]
        placed[f"{name}_std"] = columns[f"{name}_std"] * steps[name]
    atoms = make_atoms(
        placed,
        units="px" if pixel_size is None else "nm",
        image_shape=image_shape,
        pixel_size=pixel_size,
        history=history,
    )
    for name, values in in_units(added, steps).items():
        atoms[name] = values
    return atoms


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
