"""What a recipe may say of the probe, where atoms are to be more than Gaussians of one width.

Ranges are drawn from evenly once an image, unless said otherwise.
"""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from adatom.data.ranges import NonNegativeRange, PositiveRange, Range, Share, StrictModel
from adatom.simulate.electrons import wavelength_nm


class ScanErrors(StrictModel):
    """Slow errors of the scan: they move atoms in the image, and their known positions with them."""

    drift_nm: NonNegativeRange = Field(default=(0, 0), description="way of the specimen during the image")
    creep_nm: NonNegativeRange = Field(
        default=(0, 0), description="way that the piezo still creeps after the start, as the logarithm of time"
    )
    flyback_nm: NonNegativeRange = Field(
        default=(0, 0), description="how far the scan lags at the start of a line, after flying back"
    )
    flyback_length_nm: PositiveRange = Field(default=(0.5, 0.5), description="length on which that lag decays")

    @model_validator(mode="after")
    def _lines_run_forward(self) -> Self:
        if self.flyback_nm[1] >= self.flyback_length_nm[0]:
            raise ValueError(
                f"flyback_nm stays below flyback_length_nm ({self.flyback_length_nm[0]}), or lines would begin "
                f"backwards, got {list(self.flyback_nm)}"
            )
        return self

    @property
    def way_nm(self) -> float:
        """How far these errors may move an atom."""
        return self.drift_nm[1] + self.creep_nm[1] + self.flyback_nm[1]


class StemProbe(ScanErrors):
    """Scanning transmission electron microscope: each atom is an image of the probe, weighted by its height."""

    kind: Literal["stem"]
    detector: Literal["haadf", "abf"] = Field(
        default="haadf", description="bright atoms on a dark ground, or taken from a bright field"
    )
    engine: Literal["convolution", "multislice"] = Field(
        default="convolution",
        description="`multislice` (abTEM, extra `multislice`) for materials that have a structure in three dimensions",
    )
    voltage_kv: PositiveRange = Field(description="acceleration voltage [kV]")
    semi_angle_mrad: PositiveRange = Field(description="convergence semi-angle [mrad]")
    defocus_nm: Range = Field(default=(0, 0), description="positive for underfocus [nm]")
    c3_um: Range = Field(default=(0, 0), description="spherical aberration [um]; 1000 um are 1 mm")
    astigmatism_nm: NonNegativeRange = Field(default=(0, 0), description="twofold, in a random direction [nm]")
    source_nm: NonNegativeRange = Field(description="standard deviation of the source's Gaussian image [nm]")
    atom_width_nm: NonNegativeRange = Field(
        default=(0.006, 0.012), description="standard deviation of what scatters in a column: vibration and size [nm]"
    )
    cross_section_a2: PositiveRange = Field(
        default=(0.005, 0.05),
        description="of an atom of height 1 for scattering onto the dark-field detector, or out of the bright-field one "
        "[A^2]; even in the logarithm",
    )
    dose_e_per_a2: PositiveRange | None = Field(
        default=None, description="electrons on 1 A^2, for Poisson noise; even in the logarithm; or null"
    )
    bright_share: Share = Field(
        default=(0.6, 0.8), description="of the beam on the bright-field detector where there is no atom"
    )

    @property
    def reach_nm(self) -> float:
        """How far from an atom its image, or the atom itself by errors of the scan, may reach."""
        angles = [1e-3 * angle for angle in self.semi_angle_mrad]
        defocus = max(abs(self.defocus_nm[0]), abs(self.defocus_nm[1])) + self.astigmatism_nm[1]
        c3_nm = 1e3 * max(abs(self.c3_um[0]), abs(self.c3_um[1]))
        rings = 3 * 0.61 * wavelength_nm(self.voltage_kv[0]) / angles[0]  # beyond them is less than 1 % of the peak
        blur = 3 * float(np.hypot(self.source_nm[1], self.atom_width_nm[1]))
        return rings + blur + defocus * angles[1] + c3_nm * angles[1] ** 3 + self.way_nm

    @model_validator(mode="after")
    def _bright_field_is_bright(self) -> Self:
        if self.bright_share[0] <= 0:
            raise ValueError(f"bright_share is above 0, got {list(self.bright_share)}")
        return self


class StmProbe(ScanErrors):
    """Scanning tunnelling microscope at constant current, with s waves of tip and atoms (Tersoff & Hamann 1985)."""

    kind: Literal["stm"]
    work_function_ev: PositiveRange = Field(default=(4.0, 5.5), description="mean of tip and sample [eV]")
    bias_v: Range = Field(default=(-2.0, 2.0), description="of the sample: below 0, its filled states are seen [V]")
    weight_filled: tuple[PositiveRange, ...] = Field(
        default=(), description="factor on the density of states of each class at a bias below 0; empty: 1 for all"
    )
    weight_empty: tuple[PositiveRange, ...] = Field(default=(), description="the same at a bias above 0")
    tip_radius_nm: PositiveRange = Field(description="radius of the tip's apex [nm]")
    gap_nm: PositiveRange = Field(default=(0.4, 0.7), description="between the apex and an atom of height 1 [nm]")
    ground: PositiveRange = Field(
        default=(0.01, 0.3),
        description="density of states beside the atoms where that above one of height 1 is 1; even in the logarithm",
    )
    second_apex_probability: float = Field(default=0, ge=0, le=1, description="share of the images with a double tip")
    second_apex_nm: PositiveRange = Field(default=(0.2, 0.8), description="its distance, in a random direction")
    second_apex_height_nm: NonNegativeRange = Field(default=(0.0, 0.1), description="how much it is farther away")
    tip_change_probability: float = Field(
        default=0, ge=0, le=1, description="share of the images in which another tip takes over at a line"
    )
    feedback_lag_nm: NonNegativeRange = Field(
        default=(0, 0), description="way along the scan in which the feedback loop corrects an error to 1 / e"
    )
    pink_noise: NonNegativeRange = Field(
        default=(0, 0), description="standard deviation of 1/f noise, seen from line to line"
    )

    @property
    def reach_nm(self) -> float:
        """How far from an atom its image, or the atom itself by errors of the scan, may reach."""
        second = self.second_apex_nm[1] if self.second_apex_probability or self.tip_change_probability else 0.0
        # three standard deviations of a kernel that is nearly a Gaussian of variance distance / 2 kappa
        return 3 * ((self.tip_radius_nm[1] + self.gap_nm[1]) / 18) ** 0.5 + second + self.way_nm

    @model_validator(mode="after")
    def _electrons_must_tunnel(self) -> Self:
        highest = max(abs(self.bias_v[0]), abs(self.bias_v[1]))
        if highest >= 2 * self.work_function_ev[0]:
            raise ValueError(
                f"bias_v stays below twice the work function ({self.work_function_ev[0]} eV), got {list(self.bias_v)}"
            )
        return self


Probe = Annotated[StemProbe | StmProbe, Field(discriminator="kind")]
