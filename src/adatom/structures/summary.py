"""What stands beside a structure's file: what was done, measured and warned of."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adatom import __version__
from adatom.data.atomic_file import write_atomically, write_json
from adatom.data.rounding import rounded
from adatom.structures.bonds import measure_bonds, pixel_size_warning
from adatom.structures.build import ANGSTROM
from adatom.structures.depths import crystal_of
from adatom.structures.relaxation import Relaxation

if TYPE_CHECKING:
    from ase import Atoms

    from adatom.structures.against_image import Comparison


def beside(out: Path) -> tuple[Path, Path, Path]:
    """The files beside a structure's: NAME_structure.json, NAME_against_image.png, NAME_contradicted.csv."""
    name = out.stem if out.suffix else out.name
    json_file, picture, table = (
        out.with_name(name + end) for end in ("_structure.json", "_against_image.png", "_contradicted.csv")
    )
    return json_file, picture, table


def write_beside(
    out: Path,
    structure: "Atoms",
    relaxation: Relaxation | None,
    comparison: "Comparison | None",
    relaxed_comparison: "Comparison | None" = None,
    *,
    command: str = "",
) -> tuple[dict[str, Any], list[Path]]:
    """Write ``NAME_structure.json`` and, of a comparison with an image, a picture and a table, see `beside`.

    Parameters
    ----------
    comparison, relaxed_comparison : with the image, of the structure before and after it was relaxed.

    Returns
    -------
    The content of the JSON file, and the files, all beside `out`.
    """
    facts = summarise(structure, relaxation, comparison)
    if relaxed_comparison is not None:
        facts["image"]["r2_relaxed"] = rounded(relaxed_comparison.r2)
    page, picture, table = beside(out)
    written: list[Path] = []
    if comparison is not None:
        from adatom.report.beside_image import draw_beside_image
        from adatom.report.canvas import figure_png

        text = (
            f"R² {comparison.r2:.3f} around the atoms of {comparison.r2_possible:.3f} that are not noise (each with "
            f"its own brightness {comparison.r2_free:.3f}), χ² {comparison.chi2:.3g} per pixel, "
            f"{len(comparison.contradicted)} places contradicted."
        )
        figure = draw_beside_image(
            comparison.measured,
            comparison.simulated,
            comparison.residual,
            comparison.contradicted,
            pixel_nm=comparison.pixel_nm,
            text=text,
        )
        write_atomically(picture, figure_png(figure))
        write_atomically(table, comparison.contradicted.to_csv(index=False))
        written = [picture, table]
    record = {"command": command, "adatom": __version__, "file": out.name, **facts}
    write_json(page, record)
    return record, [*written, page]


def summarise(
    structure: "Atoms", relaxation: Relaxation | None = None, comparison: "Comparison | None" = None
) -> dict[str, Any]:
    """Everything there is to say of a structure that was made of an atom table, as JSON holds it."""
    # distances are those that were seen, before anything moved
    seen = structure if relaxation is None else _before(structure, relaxation)
    name, crystal = crystal_of(structure.info["template"] or None)
    bonds = measure_bonds(seen, crystal, name)
    warning = pixel_size_warning(bonds)
    return {
        "n_atoms": len(structure),
        "elements": dict(sorted(Counter(structure.symbols).items())),
        "columns": structure.info["columns"],
        "n_empty_columns": structure.info["n_empty"],
        "heights": structure.info["heights"],
        "cell_nm": [rounded(float(edge)) for edge in np.diag(structure.cell.array) / ANGSTROM],
        "axes": "x as in the image, y up (the image's y points down), z towards the viewer",
        "left_nm": structure.info["left_nm"],
        "bottom_nm": structure.info["bottom_nm"],
        "bonds": [_rounded(bond.facts()) for bond in bonds],
        "relaxation": None if relaxation is None else _rounded(relaxation.facts()),
        "image": None if comparison is None else comparison.facts(),
        "warnings": [*structure.info["warnings"], *([warning] if warning else [])],
    }


def _before(structure: "Atoms", relaxation: Relaxation) -> "Atoms":
    seen = structure.copy()
    seen.set_constraint()
    seen.positions = structure.positions - relaxation.moved
    return seen


def _rounded(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: rounded(value) if isinstance(value, float) else value for name, value in facts.items()}
