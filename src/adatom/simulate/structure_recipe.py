"""A material that is a crystal structure, with the defects that its images may show: part of a recipe."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.spatial import cKDTree

from adatom.data.ranges import NonNegativeRange, PositiveRange, Range, Share, StrictModel
from adatom.errors import AdatomError
from adatom.simulate.columns import Columns, atomic_number, project
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.structures import (
    build_structure,
    check_structure,
    known_structure,
    read_structure,
)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$", max_length=40)]
Composition = dict[str, Annotated[int, Field(ge=0, le=20)]]


class Built(StrictModel):
    """A structure that ase builds; lengths among the arguments are in Angstrom, as ase has them."""

    builder: str = Field(description="function of ase.build, such as mx2 or fcc111")
    arguments: dict[str, Any] = Field(default_factory=dict)


class Cell(StrictModel):
    """A structure written out: what a file held, so that a recipe needs no other file."""

    name: str = ""
    cell_nm: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    periodic: tuple[bool, bool, bool] = (True, True, True)
    symbols: list[str] = Field(min_length=1)
    positions_nm: list[tuple[float, float, float]]

    @classmethod
    def read(cls, path: Path) -> "Cell":
        """What a CIF, POSCAR or extended-XYZ file holds."""
        atoms = read_structure(path)
        return cls.model_validate(
            {
                "name": path.name,
                "cell_nm": np.round(0.1 * atoms.cell.array, 7).tolist(),
                "periodic": [bool(p) for p in atoms.pbc],
                "symbols": list(atoms.symbols),
                "positions_nm": np.round(0.1 * atoms.positions, 7).tolist(),
            }
        )


class PointDefect(StrictModel):
    """What may stand on a site instead of its atoms, or between the sites.

    A vacancy of one sulphur atom of two is ``{name: V_S, site: S2, becomes: {S: 1}}``, of both ``becomes: {}``; a
    dopant ``{name: Mo_W, site: W, becomes: {Mo: 1}}``; an antisite ``{name: S2_Mo, site: Mo, becomes: {S: 2}}``; an
    adatom or interstitial ``{name: Fe_ad, at: [0.5, 0.5], becomes: {Fe: 1}}``.
    """

    name: Name
    site: Name | None = Field(default=None, description="name of the columns that may change")
    at: tuple[float, float] | None = Field(default=None, description="place in the projected cell, where no column is")
    becomes: Composition = Field(description="atoms of the column afterwards; {} for none")
    share: Share = Field(description="share of these columns that change; with `at`, of the cells")
    clustered: Share = Field(default=(0, 0), description="share of the changed columns that are next to another one")
    column_share: Share = Field(default=(1, 1), description="of a thick column, how much of it changes")
    is_class: bool = Field(default=True, description="whether these sites are a class of their own")

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if (self.site is None) == (self.at is None):
            raise ValueError("a point defect has either `site` or `at`, not both")
        if self.at is not None and not self.becomes:
            raise ValueError("a point defect with `at` becomes at least one atom")
        for symbol in self.becomes:
            _known_element(symbol)
        return self


class LineDefect(StrictModel):
    """A row of sites that all have one of the point defects: a line of vacancies, say."""

    defect: Name = Field(description="name of the point defect")
    number: NonNegativeRange = Field(description="of such rows in 100 nm^2")
    length_nm: PositiveRange


class Grains(StrictModel):
    """Grains of one crystal, whose boundaries are the lines between their centres (a Voronoi polycrystal)."""

    probability: float = Field(ge=0, le=1, description="share of the images with more than one grain")
    number: tuple[Annotated[int, Field(ge=2, le=50)], Annotated[int, Field(ge=2, le=50)]] = (2, 4)
    turn_deg: Range = Field(default=(-180, 180), description="of each grain against the first")
    mirror_probability: float = Field(default=0.0, ge=0, le=1, description="share of the grains that are mirrored")


class SecondLayer(StrictModel):
    """A second layer over the first, turned: a moire."""

    probability: float = Field(default=1.0, ge=0, le=1)
    twist_deg: Range
    stretch: PositiveRange = Field(default=(1, 1), description="of its lattice against that of the first layer")
    merge_nm: float = Field(default=0.05, ge=0, description="columns that are closer become one")


class Particles(StrictModel):
    """The crystal is there only inside particles or islands, each turned at will, on an empty ground or a film."""

    number: NonNegativeRange = Field(description="in 100 nm^2")
    radius_nm: PositiveRange
    faceting: Share = Field(default=(0.0, 1.0), description="from a disc (0) to a hexagon or square (1)")
    overlap: bool = Field(default=True, description="whether a particle may lie over another")
    domed: Share = Field(
        default=(0.0, 1.0), description="how much thinner a particle is at its edge than in its middle"
    )


class Structure(StrictModel):
    """A crystal structure as a beam along a zone axis, or a tip above, sees it."""

    kind: Literal["structure"]
    structure: str | Built | Cell = Field(description="name in the catalogue, what builds it, or what a file held")
    zone_axis: tuple[int, int, int] | None = Field(default=None, description="of the beam; by default the usual one")
    contrast_exponent: PositiveRange = Field(
        default=(1.5, 2.0), description="an atom of atomic number Z is Z^this bright"
    )
    contrast: dict[str, PositiveRange] = Field(
        default_factory=dict, description="brightness of an atom of an element instead, as a tip or light may see it"
    )
    point_defects: list[PointDefect] = Field(default_factory=list)
    line_defects: list[LineDefect] = Field(default_factory=list)
    grains: Grains | None = None
    second_layer: SecondLayer | None = None
    particles: Particles | None = None
    thickness_change: NonNegativeRange = Field(
        default=(0, 0), description="relative change of the thickness over the image, as a wedge"
    )
    tilt_deg: NonNegativeRange = Field(default=(0, 0), description="of the crystal against the beam")
    thickness_nm: PositiveRange = Field(
        default=(1, 1), description="of a crystal that is no layer; matters for its tilt"
    )
    height_spread: NonNegativeRange = Field(default=(0, 0.05), description="relative deviation of single heights")
    displacement_nm: NonNegativeRange = Field(
        default=(0, 0.005), description="deviation of single columns from their sites"
    )

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        try:
            names = self.columns.names
        except AdatomError as error:
            raise ValueError(str(error)) from error
        defects = [defect.name for defect in self.point_defects]
        if len(set(defects)) < len(defects) or set(defects) & set(names):
            raise ValueError(f"point_defects: expected names that differ from each other and from {', '.join(names)}")
        for defect in self.point_defects:
            if defect.site is not None and defect.site not in names:
                raise ValueError(f"point_defects: {defect.name} is on one of {', '.join(names)}, got {defect.site!r}")
        for line in self.line_defects:
            if line.defect not in defects:
                raise ValueError(f"line_defects: expected one of the point defects {defects}, got {line.defect!r}")
        for symbol in self.contrast:
            _known_element(symbol)
        return self

    @cached_property
    def columns(self) -> Columns:
        """What is seen of the crystal."""
        usual = known_structure(self.structure).zone_axis if isinstance(self.structure, str) else (0, 0, 1)
        return project(self._build(), self.zone_axis or usual)

    def _build(self) -> Any:
        """As `ase.Atoms`."""
        return known_structure(self.structure).build() if isinstance(self.structure, str) else _as_ase(self.structure)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the columns, and of those defects that are classes of their own."""
        own = [defect.name for defect in self.point_defects if defect.is_class]
        return tuple(dict.fromkeys([*self.columns.names, *own]))

    @cached_property
    def is_layer(self) -> bool:
        """Whether the crystal is one layer, of a thickness of its own."""
        return not bool(self._build().pbc[2])

    @cached_property
    def shortest_distance_nm(self) -> float:
        """Of two columns in projection."""
        columns = self.columns
        edges = np.linalg.norm(columns.vectors, axis=1)
        around, _ = fill_lattice(columns.vectors, columns.basis, 2.5 * float(edges.max()))
        return float(cKDTree(around).query(columns.basis @ columns.vectors, k=2)[0][:, 1].min())

    @property
    def lattice_constant_nm(self) -> float:
        """Shorter edge of the projected cell."""
        return float((self.columns.vectors[0] ** 2).sum() ** 0.5)


def _as_ase(structure: Built | Cell) -> Any:
    from ase import Atoms

    if isinstance(structure, Built):
        return build_structure(structure.builder, structure.arguments)
    for symbol in structure.symbols:
        atomic_number(symbol)
    return check_structure(
        Atoms(
            structure.symbols,
            positions=[[10 * length for length in place] for place in structure.positions_nm],
            cell=[[10 * length for length in edge] for edge in structure.cell_nm],
            pbc=structure.periodic,
        ),
        structure.name or "the recipe",
    )


def _known_element(symbol: str) -> None:
    try:
        atomic_number(symbol)
    except AdatomError as error:
        raise ValueError(str(error)) from error
