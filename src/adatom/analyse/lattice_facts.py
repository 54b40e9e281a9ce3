"""What the lattice of the found atoms says of an image: as a summary has it, and as positions without distortion."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.analyse.lattice import Lattice
from adatom.data.rounding import rounded

Array = NDArray[np.float64]

# A stated pixel size that differs more than this from what the lattice demands is contradicted.
_PIXEL_SIZE_TOLERANCE = 0.04


def judge_lattice(
    lattice: Lattice | None, known_edge_nm: float | None, pixel_nm: float | None, stated: bool, warnings: list[str]
) -> dict[str, Any] | None:
    """The lattice as the summary has it; warns where it contradicts the stated pixel size."""
    if lattice is None:
        if stated:
            warnings.append("The atoms show no lattice: the lattice constant was not used.")
        return None
    demanded = known_edge_nm / lattice.edge if known_edge_nm else None
    if demanded and pixel_nm and abs(pixel_nm / demanded - 1) > _PIXEL_SIZE_TOLERANCE:
        percent = 100 * (pixel_nm / demanded - 1)
        warnings.append(
            f"The stated pixel size is {pixel_nm:.5g} nm, but a lattice constant of {known_edge_nm:g} nm "
            f"demands {demanded:.5g} nm: the pixel size is off by {percent:+.0f} %."
        )
    a, b = lattice.lengths
    return {
        "a_px": rounded(a),
        "b_px": rounded(b),
        "angle_deg": rounded(lattice.angle_deg),
        "stretch": rounded(lattice.stretch),
        "edge_px": rounded(lattice.edge),
        "coincidence": rounded(lattice.coincidence),
        "pixel_size": rounded(demanded) if demanded else None,
    }


def undistorted(
    columns: dict[str, Array],
    lattice: Lattice | None,
    facts: dict[str, Any] | None,
    pixel_nm: float | None,
    warnings: list[str],
) -> dict[str, Array]:
    """Positions on the regular lattice; notes the matrix in `facts`."""
    matrix = None if lattice is None else lattice.undistorting()
    if matrix is None or facts is None:
        warnings.append("The atoms show no hexagonal or square lattice: their positions were not undistorted.")
        return {}
    facts["undistorting"] = [[rounded(float(value)) for value in row] for row in matrix]
    pixel = facts["pixel_size"] or pixel_nm or 1.0
    regular = np.column_stack([columns["x"], columns["y"]]) @ matrix * pixel
    return {"x_undistorted": regular[:, 0], "y_undistorted": regular[:, 1]}
