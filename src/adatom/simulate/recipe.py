"""What a simulated image may look like: every range stands in a recipe, nowhere else.

A recipe is one YAML file read by these models; unknown keys are errors. A range ``[low, high]`` is drawn from evenly,
once an image, unless its description says otherwise. Heights are in units of the atoms' own height (corrugation 1).
"""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from adatom.data.ranges import NonNegativeRange, PositiveRange, Range, Share, StrictModel
from adatom.simulate.arrangements import ARRANGEMENTS
from adatom.simulate.domain_recipe import Domains
from adatom.simulate.particle_recipe import Nanoparticles
from adatom.simulate.probe_recipe import PfmProbe, Probe
from adatom.simulate.structure_recipe import Structure


class HexagonalTwoAtoms(StrictModel):
    """Honeycomb with two kinds of atoms, A and B, one on each sublattice."""

    kind: Literal["hexagonal_two_atoms"]
    lattice_constant_nm: float = Field(gt=0, description="edge of the cell; the bond is 1 / sqrt(3) of it")
    classes: tuple[str, str] = ("A", "B")
    height_b: PositiveRange = Field(description="height of B where A has 1")
    height_spread: NonNegativeRange = Field(description="relative standard deviation of single heights")
    displacement_nm: NonNegativeRange = Field(description="standard deviation of single atoms from their sites")


class Si111(StrictModel):
    """The adatoms of Si(111)-7x7, twelve a cell (DAS model, Takayanagi et al. 1985, 10.1116/1.573160)."""

    kind: Literal["si111_7x7"]
    lattice_constant_nm: float = Field(gt=0, description="edge of the 7x7 cell")
    classes: tuple[str] = ("adatom",)
    height_corner: PositiveRange = Field(description="height of corner adatoms where centre adatoms have 1")
    height_faulted: PositiveRange = Field(description="height of the faulted half where the other has 1")
    height_spread: NonNegativeRange = Field(description="relative standard deviation of single heights")
    displacement_nm: NonNegativeRange = Field(description="standard deviation of single atoms from their sites")


class AnyAtoms(StrictModel):
    """Atoms in any arrangement of `adatom.simulate.arrangements`: for a finder that knows no material."""

    kind: Literal["any_atoms"]
    classes: tuple[str] = ("atom",)
    arrangements: dict[str, Annotated[float, Field(ge=0)]] = Field(
        min_length=1, description="how often each arrangement is drawn, as weights"
    )
    spacing_nm: PositiveRange = Field(description="shortest distance of neighbours; even in the logarithm")
    peak_width: PositiveRange = Field(
        description="standard deviation of an atom's image in units of that distance; within the microscope's limits"
    )
    height_spread: NonNegativeRange = Field(description="relative standard deviation of single heights")
    displacement_nm: NonNegativeRange = Field(description="standard deviation of single atoms from their sites")
    grains_probability: float = Field(ge=0, le=1, description="share of the images with two to four grains")
    drift: NonNegativeRange = Field(description="uneven drift in units of the shortest distance")

    @field_validator("arrangements")
    @classmethod
    def _arrangements_are_known(cls, weights: dict[str, float]) -> dict[str, float]:
        unknown = [name for name in weights if name not in ARRANGEMENTS]
        if unknown:
            raise ValueError(f"expected some of {', '.join(ARRANGEMENTS)}, got {unknown[0]}")
        if sum(weights.values()) <= 0:
            raise ValueError("expected a positive weight for at least one arrangement, got none")
        return weights

    @property
    def lattice_constant_nm(self) -> None:
        """None: these atoms have no common lattice."""
        return None


class SingleAtoms(StrictModel):
    """Single heavy atoms anywhere on a support, some of them in pairs."""

    kind: Literal["single_atoms"]
    classes: tuple[str] = ("atom",)
    density_per_nm2: PositiveRange = Field(
        description="atoms on 1 nm^2 but for partners in pairs; even in the logarithm"
    )
    pair_share: Share = Field(description="share of them that have a partner")
    pair_distance_nm: PositiveRange
    height_spread: NonNegativeRange = Field(description="relative standard deviation of single heights")
    width_spread: NonNegativeRange = Field(
        description="relative standard deviation of single widths, of atoms above and below the focus"
    )

    @property
    def displacement_nm(self) -> tuple[float, float]:
        """None: these atoms have no sites."""
        return (0.0, 0.0)

    @property
    def lattice_constant_nm(self) -> None:
        """None: nor a lattice."""
        return None


Material = Annotated[
    HexagonalTwoAtoms | Si111 | AnyAtoms | SingleAtoms | Structure | Domains | Nanoparticles,
    Field(discriminator="kind"),
]
# Materials whose images show regions, and no atoms.
OF_REGIONS = (Domains, Nanoparticles)


class Defects(StrictModel):
    """What is wrong with the crystal. Shares are of all sites."""

    vacancy: Share = Field(default=(0, 0), description="share of missing atoms")
    vacancy_cluster: NonNegativeRange = Field(
        default=(0, 0), description="number of groups of missing atoms in 100 nm^2"
    )
    vacancy_cluster_radius_nm: PositiveRange = (0.2, 0.5)
    substitution: Share = Field(
        default=(0, 0), description="share of sites that hold the other species, or an odd height if only one"
    )
    substitution_height: PositiveRange = Field(
        default=(1, 1), description="factor on the height where there is only one species"
    )
    island: Share = Field(
        default=(0, 0), description="share of the image under islands and contamination, where no atom is resolved"
    )
    island_probability: float = Field(default=1, ge=0, le=1, description="share of the images with islands at all")
    island_size_nm: PositiveRange = Field(default=(0.5, 2), description="correlation length of their outline")
    island_height: PositiveRange = (0.5, 5)
    island_roughness: NonNegativeRange = Field(default=(0.1, 1), description="standard deviation of their bumps")
    adsorbate: NonNegativeRange = Field(
        default=(0, 0), description="number of bright clumps in 100 nm^2, covering what is below"
    )
    adsorbate_height: PositiveRange = (1.5, 4)
    adsorbate_radius_nm: PositiveRange = (0.1, 0.3)
    step_probability: float = Field(default=0, ge=0, le=1, description="share of the images with a step edge")
    step_height: PositiveRange = (1, 4)
    bare_probability: float = Field(default=0, ge=0, le=1, description="share of the images that atoms fill in part")
    bare_height: Range = Field(default=(0, 0), description="height of what is bare, against the crystal's ground")
    support: NonNegativeRange = Field(default=(0, 0), description="standard deviation of an amorphous support")
    support_size_nm: PositiveRange = Field(default=(0.1, 0.1), description="correlation length of the support")


class Film(StrictModel):
    """An amorphous film that the atoms lie on. Ranges in its spectrum and level are even in the logarithm."""

    level: PositiveRange = Field(description="mean signal of the film, in heights of an atom")
    roughness_nm2: PositiveRange = Field(
        description="spectral density of the relative thickness at a wavelength of 2 nm, by the field's area"
    )
    roughness_exponent: PositiveRange = Field(description="power of the wavelength with which that density grows")
    grain_nm2: PositiveRange = Field(
        description="spectral density that the film's own atoms add: 1 / (atoms on 1 nm^2), were they laid at random"
    )
    edge_probability: float = Field(ge=0, le=1, description="share of the images in which the film ends")
    edge_width_nm: PositiveRange = Field(description="length over which it thins out, even in the logarithm")


class Microscope(StrictModel):
    """How the specimen is imaged."""

    pixel_size_nm: float = Field(gt=0, description="the working scale of a model trained on this recipe")
    scale_from: Literal["calibration", "spacing", "atoms"] = Field(
        default="calibration", description="what brings an image to that scale: `spacing` where nm are only nominal"
    )
    probe: Probe | None = Field(
        default=None,
        description="what takes the image of atoms by its physics, instead of Gaussians of `peak_width_nm` (which is "
        "then not used)",
    )
    image_size: int = Field(default=128, ge=32, le=1024, description="pixels a side")
    scale: PositiveRange = Field(
        default=(0.9, 1.1), description="factor on all lengths: wrong calibration and wrong estimates"
    )
    rotation_deg: Range = Field(default=(0, 360), description="angle of the lattice's first vector with the scan lines")
    strain: Range = Field(default=(-0.02, 0.02), description="relative stretch along each axis, drift included")
    shear: Range = Field(default=(-0.02, 0.02), description="shear, drift included")
    stretch: Range = Field(default=(0, 0), description="stretch along x and as much less along y, beside the strain")
    peak_width_nm: PositiveRange = Field(default=(0.03, 0.05), description="standard deviation of an atom's image")
    ellipticity: PositiveRange = Field(
        default=(1, 1.2), description="ratio of the widths along two perpendicular directions"
    )
    ellipticity_deg: Range | None = Field(
        default=None, description="angle of the wider direction with the scan lines; null: any"
    )
    noise: NonNegativeRange = Field(
        default=(0, 0), description="standard deviation of white noise; even in the logarithm"
    )
    noise_correlation_px: NonNegativeRange = (0, 0)
    noise_lag: Share = Field(
        default=(0, 0), description="share of a pixel's noise that the next one along the scan line repeats"
    )
    counts_per_peak: PositiveRange | None = Field(
        default=None, description="dose for Poisson noise, even in the logarithm; or null"
    )
    coarse_probability: float = Field(default=0, ge=0, le=1, description="share measured with coarser pixels, enlarged")
    coarseness: PositiveRange = Field(default=(1, 1), description="size of such a pixel in pixels of the image")
    counts_probability: float = Field(default=1, ge=0, le=1, description="share of the images with such noise")
    dark_level: PositiveRange = Field(default=(0.2, 0.2), description="counts between atoms, in peaks, where counted")
    beam_flicker: NonNegativeRange = Field(
        default=(0, 0), description="relative standard deviation of the beam current from line to line, where counted"
    )
    halo: NonNegativeRange = Field(default=(0, 0), description="weight of the probe's wide tails")
    row_offset: NonNegativeRange = Field(default=(0, 0), description="standard deviation of the lines' offsets")
    row_offset_probability: float = Field(default=0, ge=0, le=1, description="share of the images with such offsets")
    row_shift_nm: NonNegativeRange = Field(
        default=(0, 0), description="standard deviation of the lines' sideways jitter"
    )
    streaks: NonNegativeRange = Field(default=(0, 0), description="number of streaks along the scan in 100 lines")
    tilt: NonNegativeRange = Field(default=(0, 0), description="rise over the image")
    background: NonNegativeRange = Field(default=(0, 0), description="standard deviation of a smooth background")
    background_size_nm: PositiveRange = (0.5, 2)
    waves_probability: float = Field(default=0, ge=0, le=1, description="share of the images with a periodic hum")
    waves: NonNegativeRange = Field(default=(0, 0), description="amplitude of that hum")
    tip_change_probability: float = Field(default=0, ge=0, le=1, description="share where contrast jumps at a line")
    gamma: PositiveRange = Field(default=(1, 1), description="exponent of a crooked grey scale, on half of the images")
    saturated_probability: float = Field(default=0, ge=0, le=1, description="share whose brightest pixels are cut")
    border_probability: float = Field(
        default=0, ge=0, le=1, description="share of the images with an unmeasured border"
    )
    border_px: NonNegativeRange = Field(
        default=(0, 0), description="width of that border on each of the lower and right sides"
    )

    @property
    def reach_nm(self) -> float:
        """How far from the image an atom may lie that is seen in it."""
        return 4 * max(self.peak_width_nm) if self.probe is None else self.probe.reach_nm

    @model_validator(mode="after")
    def _a_probe_brings_its_own_dose(self) -> Self:
        if self.probe is not None and self.counts_per_peak is not None:
            raise ValueError(f"counts_per_peak is null beside a probe, got {list(self.counts_per_peak)}")
        return self

    @model_validator(mode="after")
    def _border_leaves_an_image(self) -> Self:
        if self.border_px[1] >= self.image_size:
            raise ValueError(f"border_px is below image_size ({self.image_size}), got {list(self.border_px)}")
        return self


class Labels(StrictModel):
    """How known atoms become the class map that a network learns."""

    radius_nm: float = Field(
        gt=0,
        description="radius of the disc of each atom, well below half the bond; or half the width of a boundary",
    )
    claims_px: int = Field(
        default=1, ge=1, le=4, description="pixels around an atom that may claim it, where its place is uncertain"
    )


class ImageRecipe(StrictModel):
    """Everything that the generator of images needs."""

    material: Material
    defects: Defects = Defects()
    microscope: Microscope
    labels: Labels
    film: Film | None = Field(default=None, description="what the atoms lie on, where that is no crystal")

    @model_validator(mode="after")
    def _dopants_of_a_structure_have_names(self) -> Self:
        if isinstance(self.material, Structure) and self.defects.substitution[1] > 0:
            raise ValueError("substitution is [0, 0] for a structure, whose dopants stand in its point_defects")
        return self

    @model_validator(mode="after")
    def _regions_have_no_atoms_to_lose(self) -> Self:
        named = ("vacancy", "vacancy_cluster", "substitution")
        wrong = [name for name in named if isinstance(self.material, OF_REGIONS) and getattr(self.defects, name)[1] > 0]
        if wrong:
            raise ValueError(f"{wrong[0]} is [0, 0] for a material of {self.material.kind}, which shows no atoms")
        return self

    @model_validator(mode="after")
    def _probe_suits_the_material(self) -> Self:
        probe = self.microscope.probe
        if probe is not None and isinstance(self.material, SingleAtoms) and self.material.width_spread[1] > 0:
            raise ValueError(f"width_spread is [0, 0] beside a probe, got {list(self.material.width_spread)}")
        if isinstance(probe, PfmProbe) != isinstance(self.material, Domains):
            raise ValueError("a probe of the kind pfm goes with a material of the kind domains, and with no other")
        if isinstance(self.material, Nanoparticles) and probe is not None:
            raise ValueError("probe is null for a material of nanoparticles, whose images are blurred by peak_width_nm")
        for name in ("weight_filled", "weight_empty", "weight"):
            weights = getattr(probe, name, ())
            if len(weights) not in (0, len(self.material.classes)):
                raise ValueError(
                    f"{name} has one range for each of {', '.join(self.material.classes)}, got {len(weights)}"
                )
        return self
