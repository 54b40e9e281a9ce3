"""Atoms that a model sees in the frames of an image, as a table."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adatom.data import make_atoms, pixel_size_nm
from adatom.locate import Peaks

Array = NDArray[np.float64]


def table_of_frames(see: Callable[[Array], Peaks], image: xr.DataArray, names: list[str], step: str) -> pd.DataFrame:
    """Look at each frame of an image (y, x) or (frame, y, x).

    Parameters
    ----------
    see : takes values (y, x), gives atoms in its pixels; those outside are left out.
    names : of the species.
    step : what the table's history says of it.

    Returns
    -------
    One row an atom, see `adatom.data.atoms`; positions in the image's unit. Where there are several species,
    ``species_probability`` says how sure an atom's is; ``doubts`` of the atoms become columns.
    """
    frames = [image] if image.ndim == 2 else [image.isel(frame=k) for k in range(image.sizes["frame"])]
    rows, columns = frames[0].shape
    step_y, step_x = pixel_size_nm(image) or (1.0, 1.0)
    steps = {"x": step_x, "y": step_y}
    tables, beside = [], []
    for number, frame in enumerate(frames):
        peaks = see(frame.to_numpy()).within(np.ones((rows, columns), dtype=bool))
        tables.append(
            {
                "frame": np.full(len(peaks.x), number),
                "x": peaks.x * step_x,
                "y": peaks.y * step_y,
                "x_std": peaks.x_std * step_x,
                "y_std": peaks.y_std * step_y,
                "species": np.array(names, dtype=object)[peaks.species],
                "probability": peaks.probability,
                "flux": peaks.flux,
            }
        )
        of_species = {"species_probability": peaks.species_probability} if len(names) > 1 else {}
        beside.append(of_species | in_units(peaks.doubts(), steps))
    atoms = make_atoms(
        {name: np.concatenate([table[name] for table in tables]) for name in tables[0]},
        units="px" if pixel_size_nm(image) is None else "nm",
        image_shape=(rows, columns),
        pixel_size=pixel_size_nm(image),
        history=[*image.attrs.get("history", []), step],
    )
    for name in beside[0]:
        atoms[name] = np.concatenate([table[name] for table in beside])
    return atoms


def in_units(doubts: dict[str, Array], step: dict[str, float]) -> dict[str, Array]:
    """Columns of doubt with lengths in another unit than pixels, of which `step` units along x and y make one."""
    return {
        name: values * step[name[0]] if name.startswith(("x_std", "y_std")) else values
        for name, values in doubts.items()
    }
