"""From atoms and their image to order parameters, as one page: windows, latent numbers, states; in movies what changes.

windows around atoms -> variational autoencoder -> latent numbers of each atom -> states -> tracks -> transitions
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adatom.analyse.descriptors import Descriptors, with_columns
from adatom.analyse.dynamics import analyse_tracks
from adatom.analyse.exploration import Exploration
from adatom.analyse.patches import patches_around_atoms
from adatom.analyse.states import States, find_states
from adatom.analyse.tracks import link_atoms, refine_drift, without_drift
from adatom.data import check_atoms, check_image, pixel_size_nm, spacing
from adatom.data.frame_time import frame_time_s as stated_frame_time
from adatom.data.rounding import rounded
from adatom.errors import ArgumentError, UnitError
from adatom.prepare import levelled
from adatom.prepare.drift import find_drift

if TYPE_CHECKING:
    from adatom.models.variational_autoencoder import VariationalAutoencoder

Array = NDArray[np.float64]

# A window holds the atom and the shells around it: so many distances of neighbours.
_WINDOW_SPACINGS = 3.0
# More pixels a side cost time and tell no more of so many atoms.
_MOST_PX = 32
# A network learns no more from further windows of the same kinds of atoms.
_MOST_WINDOWS = 5000
_FEWEST_WINDOWS = 20
_FEW_WINDOWS = 200
_UNSURE_ANGLE = 0.6


def explore_atoms(
    atoms: pd.DataFrame,
    image: xr.DataArray,
    *,
    of: str | None = None,
    brighter_than: float | None = None,
    window: float | None = None,
    invariances: Sequence[str] = ("rotation", "translation"),
    latent: int = 2,
    states: int | Literal["auto"] = "auto",
    standardise: bool = False,
    level: bool = True,
    model: "VariationalAutoencoder | str | Path | None" = None,
    training: dict[str, Any] | None = None,
    frame_time_s: float | None = None,
    reach: float | None = None,
    random_state: int = 0,
    checkpoint: Path | None = None,
    resume: bool = False,
    on_record: Callable[[dict[str, Any]], None] | None = None,
) -> Exploration:
    """Find what the surroundings of atoms have in common, whichever way they lie, and how they change.

    Parameters
    ----------
    atoms : an atom table, see `adatom.data.atoms`; lengths below are in its unit.
    image : (y, x) or (frame, y, x) that they were found in.
    of : look only at atoms of this species, or of this group of ``brightness``.
    brighter_than : look only at atoms whose flux is more than this many times the median: heavy dopants.
    window : side of the square around an atom; by default three times the distance of neighbours.
    invariances : what the latent numbers do not depend on, any of ``rotation``, ``translation`` and ``scale``.
    latent : number of them.
    states : number of states, or as many as valleys separate.
    level : whether tilt, steps and offsets of lines are taken out of the image first. Not of a probability map, which
        may be given in its stead: ``adatom.finder.search(image, all_maps=True).maps.sel({"class": "atom"})``.
    standardise : whether brightness and contrast of a window play no part.
    model : a trained one, or its file, instead of a training; window, invariances and latent are then its own.
    training : settings of the training that differ from the usual ones.
    frame_time_s : from one frame to the next [s], where the image does not say.
    reach : an atom goes no farther from a frame to the next; by default 0.45 of the distance of neighbours.
    random_state : of the training and the states.
    checkpoint, resume, on_record : see `VariationalAutoencoder.fit`.

    Raises
    ------
    ArgumentError : if no or few atoms can be looked at, or an argument makes no sense.
    UnitError : if atoms are in nm and the image is not calibrated.

    Notes
    -----
    Windows are cut where they were measured: drift is taken out of positions only. How many states there are is a
    guess from the same numbers that they are found in.
    """
    started = time.monotonic()
    atoms, image = check_atoms(atoms), check_image(image)
    if not set(image.dims) <= {"frame", "y", "x"}:
        raise ArgumentError(f"image: expected (y, x) or (frame, y, x), got {image.dims}. Choose a channel.")
    image = image.transpose("frame", "y", "x", missing_dims="ignore")
    chosen = _chosen(atoms, of, brighter_than)
    shown = _levelled(image) if level else image
    known, size, step = _window(atoms, image, window, model)
    windows = patches_around_atoms(shown, atoms[chosen], size, standardise=standardise, step=step)
    windows = Descriptors(
        windows.values, np.flatnonzero(chosen)[windows.rows], windows.shape, windows.step, windows.units
    )
    n = len(windows.rows)
    if n < _FEWEST_WINDOWS:
        raise ArgumentError(
            f"atoms: expected at least {_FEWEST_WINDOWS} whose window of {size:.3g} {windows.units} lies in the image, "
            f"got {n}. Give a smaller window or more atoms."
        )
    is_movie = image.sizes.get("frame", 1) > 1
    linked, drift = _linked(atoms, chosen, image, reach) if is_movie else (atoms, None)
    pictures = windows.pictures()
    if known is None:
        from adatom.models.variational_autoencoder import VariationalAutoencoder

        known = VariationalAutoencoder(
            latent=latent, invariances=tuple(invariances), training=training, random_state=random_state
        )
        some = np.sort(np.random.default_rng(random_state).permutation(n)[:_MOST_WINDOWS])
        known.fit(pictures[some], checkpoint=checkpoint, resume=resume, on_record=on_record)
    table = known.encode(pictures)
    numbers = table.select_dtypes("number")
    found = find_states(
        table[[f"z{k + 1}" for k in range(known.latent)]].to_numpy(), n=states, random_state=random_state
    )
    result = with_columns(linked, windows.rows, {str(name): numbers[name].to_numpy() for name in numbers.columns})
    result = found.on_atoms(result, windows.rows)
    result.attrs["history"] = [*linked.attrs.get("history", []), f"windows of {size:.4g} {windows.units} encoded"]
    explored = Exploration(result, shown, windows, known, found, drift=drift)
    explored.summary = {
        "n_atoms": len(atoms),
        "n_looked_at": int(chosen.sum()),
        "n_windows": n,
        "n_left_out": int(chosen.sum()) - n,
        "window": rounded(size),
        "window_px": list(windows.shape),
        "units": windows.units,
        "invariances": list(known.invariances),
        "latent": known.latent,
        "figures": dict(known.figures_),
        **_state_facts(found),
        "warnings": _doubts(table),
    }
    if drift is not None:
        explored.dynamics = analyse_tracks(result, frame_time_s=frame_time_s or stated_frame_time(image))
        explored.summary["movie"] = {**explored.dynamics.summary, "drift": rounded(float(np.abs(drift).max()))}
    explored.summary["seconds"] = round(time.monotonic() - started, 1)
    return explored


def _state_facts(found: States) -> dict[str, Any]:
    return {
        "n_states": len(found.centres),
        "states": [
            {"state": k + 1, "n": int((found.state == k + 1).sum()), "centre": [rounded(float(z)) for z in centre]}
            for k, centre in enumerate(found.centres)
        ],
        "n_gaussians": len(found.of.weights),
    }


def _doubts(table: pd.DataFrame) -> list[str]:
    """What is to be said of encoded windows."""
    warnings = []
    if len(table) < _FEW_WINDOWS:
        warnings.append(
            f"{len(table)} windows are few for a network to learn from: latent numbers may follow single ones."
        )
    if "angle_probability" in table and table["angle_probability"].median() < _UNSURE_ANGLE:
        warnings.append("Most windows look the same from several sides: their angles are one of several.")
    return warnings


def _chosen(atoms: pd.DataFrame, of: str | None, brighter_than: float | None) -> NDArray[np.bool_]:
    """Which atoms are looked at."""
    chosen = np.ones(len(atoms), dtype=bool)
    if of is not None:
        named = [atoms[name].astype(str).to_numpy() for name in ("species", "brightness") if name in atoms]
        chosen = np.logical_or.reduce([each == of for each in named])
        if not chosen.any():
            there = sorted({str(name) for each in named for name in each if name})
            raise ArgumentError(f"of: expected one of {', '.join(there) or 'no species'}, got {of!r}.")
    if brighter_than is not None:
        flux = atoms["flux"].to_numpy(float)
        if not np.isfinite(flux).any():
            raise ArgumentError("brighter_than: expected atoms with a flux, got none. Find them with adatom find.")
        with np.errstate(invalid="ignore"):
            chosen &= flux > brighter_than * np.nanmedian(flux)
    return chosen


def _levelled(image: xr.DataArray) -> xr.DataArray:
    values = np.asarray(image, dtype=float)
    flat = np.stack([levelled(frame) for frame in values.reshape(-1, *values.shape[-2:])]).reshape(values.shape)
    return image.copy(data=flat)


def _window(
    atoms: pd.DataFrame, image: xr.DataArray, window: float | None, model: "VariationalAutoencoder | str | Path | None"
) -> tuple["VariationalAutoencoder | None", float, float | None]:
    """The model if there is one, the side of a window, and the width of its pixels where that is not the image's."""
    if model is not None:
        from adatom.models import load
        from adatom.models.variational_autoencoder import VariationalAutoencoder

        known: Any = load(model) if isinstance(model, str | Path) else model
        if not isinstance(known, VariationalAutoencoder):
            raise ArgumentError(f"model: expected a VariationalAutoencoder, got a {type(known).__name__}.")
        frame = known.table_.frame
        if frame.units != atoms.attrs["units"]:
            raise UnitError(
                f"model: expected one of windows in {atoms.attrs['units']}, as the atoms are, got {frame.units}. "
                "Give the image its pixel size."
            )
        return known, (frame.shape[0] - 1) * frame.step, frame.step
    if window is None:
        near = spacing(atoms)
        if not np.isfinite(near):
            raise ArgumentError("window: expected its side, as lone atoms have no distance of neighbours, got none.")
        window = _WINDOW_SPACINGS * near
    sizes = pixel_size_nm(image) if atoms.attrs["units"] == "nm" else None
    pixel = 1.0 if sizes is None else min(sizes)
    return None, window, window / _MOST_PX if window / pixel > _MOST_PX else None


def _linked(
    atoms: pd.DataFrame, chosen: NDArray[np.bool_], image: xr.DataArray, reach: float | None
) -> tuple[pd.DataFrame, Array]:
    """The atoms with places without drift and, those that are looked at, the numbers of their tracks; and the drift."""
    drift = find_drift(image.transpose("frame", "y", "x"))
    sizes = pixel_size_nm(image)
    if sizes is not None and atoms.attrs["units"] == "px":
        drift = drift / [sizes[1], sizes[0]]
    drift = refine_drift(atoms, drift)
    table = without_drift(atoms, drift)
    track = np.full(len(table), -1)
    track[chosen] = link_atoms(table[chosen], reach=reach)["track"]
    table["track"] = track
    return table, drift
