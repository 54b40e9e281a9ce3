"""What is measured of each particle: place, size, shape, height, neighbours.

=================== ==============================================================================================
frame, particle     number of the frame, and of the particle in it from 1, as in the instance mask
x, y                centre of mass in the table's unit; x along columns, y along rows downwards
area, diameter      area, and diameter of a disc of that area
major, minor        axes of the ellipse with the same second moments
orientation_deg     of the major axis, from x towards y, -90 to 90
circularity         4 pi area / perimeter^2: 1 for a disc, less for all else
signal              mean height above the ground around it, in the image's own unit
height, volume      of heights in nm above the ground around it: their 99th percentile, and their sum [nm, nm^3]; NaN
                    where the image's values are no lengths
nearest_distance    from centre to centre of the nearest other particle
touches_border      whether the border of the image, or what was not measured, cuts it
frame_weight        how many particles it stands for, as larger ones are cut more often: 0 if cut
probability         mean probability of its pixels, NaN without a network
=================== ==============================================================================================
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import perimeter_crofton, regionprops

from adatom.data.atoms import nearest_distances
from adatom.errors import ShapeError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

PARTICLE_COLUMNS = (
    "frame",
    "particle",
    "x",
    "y",
    "area",
    "diameter",
    "major",
    "minor",
    "orientation_deg",
    "circularity",
    "signal",
    "height",
    "volume",
    "nearest_distance",
    "touches_border",
    "frame_weight",
    "probability",
)
# The ground around a particle is looked for this many of its radii beyond its edge, ...
_AROUND = 1.0
# ... a pixel away from it and from all others, where the edge's blur still reaches.
_BLUR_PX = 2


def measure_particles(
    values: Array,
    instances: NDArray[np.integer],
    *,
    pixel: float = 1.0,
    height_nm: float | None = None,
    probability: Array | None = None,
    frame: int = 0,
) -> pd.DataFrame:
    """Measure the particles of one image on square pixels.

    Parameters
    ----------
    values : (y, x), NaN where nothing was measured.
    instances : (y, x) number of the particle that a pixel belongs to, from 1; 0 for none.
    pixel : size of a pixel, in the unit that lengths are to have.
    height_nm : what one unit of the values is [nm], where they are heights.
    probability : (number of particles,).
    frame : number of the frame.

    Returns
    -------
    One row a particle, in the order of their numbers.

    Raises
    ------
    ShapeError : if image and mask are not of one shape.

    Notes
    -----
    Particles that the border cuts have no true size. Those left are too small on average, as larger ones are cut more
    often: `frame_weight` undoes that, the area of the image over the part of it in which a particle of this width and
    height is not cut (Miles 1974; Lantuejoul 1978; see Baddeley & Jensen, Stereology for Statisticians, 2004).
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape != instances.shape:
        raise ShapeError(f"instances: expected a mask of shape {values.shape}, got {instances.shape}.")
    known = np.isfinite(values)
    inner = ndimage.binary_erosion(known, np.ones((3, 3)), border_value=False)
    ground = known & ~ndimage.binary_dilation(instances > 0, iterations=_BLUR_PX)
    far_ground = float(np.median(values[ground])) if ground.any() else float(np.min(values[known], initial=np.inf))
    rows = []
    for region in regionprops(np.asarray(instances)):
        mask: Mask = region.image
        top, left, bottom, right = region.bbox
        cut = not bool(inner[top:bottom, left:right][mask].all())
        level = _ground_around(values, ground, region.bbox, region.equivalent_diameter_area, far_ground)
        above = values[top:bottom, left:right][mask] - level
        above = above[np.isfinite(above)]
        perimeter = float(perimeter_crofton(np.pad(mask, 1), directions=4))
        free = (values.shape[0] - 2 - (bottom - top) + 1, values.shape[1] - 2 - (right - left) + 1)
        rows.append(
            {
                "frame": frame,
                "particle": region.label,
                "x": region.centroid[1] * pixel,
                "y": region.centroid[0] * pixel,
                "area": region.area * pixel**2,
                "diameter": region.equivalent_diameter_area * pixel,
                "major": region.axis_major_length * pixel,
                "minor": region.axis_minor_length * pixel,
                "orientation_deg": _orientation_deg(region.orientation),
                "circularity": min(4 * np.pi * region.area / perimeter**2, 1.0) if perimeter > 0 else np.nan,
                "signal": float(above.mean()) if above.size else np.nan,
                "height": float(np.percentile(above, 99)) * height_nm if height_nm and above.size else np.nan,
                "volume": float(above.sum()) * height_nm * pixel**2 if height_nm and above.size else np.nan,
                "nearest_distance": np.nan,
                "touches_border": cut,
                "frame_weight": 0.0 if cut else _weight(values.shape, free),
                "probability": np.nan if probability is None else float(probability[region.label - 1]),
            }
        )
    table = pd.DataFrame(rows, columns=list(PARTICLE_COLUMNS))
    if len(table) > 1:
        table["nearest_distance"] = nearest_distances(table[["x", "y"]].to_numpy(float))
    return table.astype({"frame": np.int64, "particle": np.int64, "touches_border": bool})


def _orientation_deg(from_rows: float) -> float:
    """Of scikit-image's angle between the rows' axis and the major one [radians]: the angle from x towards y."""
    angle = 90.0 - np.degrees(from_rows)
    return float((angle + 90.0) % 180.0 - 90.0)


def _weight(shape: tuple[int, ...], free: tuple[int, int]) -> float:
    """Places that a particle may have over those where it is whole; of an image hardly larger, at most its sides."""
    return float(np.prod([side / max(room, 1) for side, room in zip(shape, free, strict=True)]))


def _ground_around(
    values: Array, ground: Mask, box: tuple[int, int, int, int], diameter: float, far_ground: float
) -> float:
    """Median of the ground near a particle, or of all ground where there is none near."""
    reach = int(np.ceil(_BLUR_PX + 0.5 * _AROUND * diameter))
    window = tuple(slice(max(0, first - reach), last + reach) for first, last in ((box[0], box[2]), (box[1], box[3])))
    near = values[window][ground[window]]
    return float(np.median(near)) if near.size >= 8 else far_ground
