"""What a recipe may say of the probe, where atoms are to be more than Gaussians of one width.

Ranges are drawn from evenly once an image, unless said otherwise.
"""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from adatom.data.ranges import NonNegativeRange, PositiveRange, Range, Share, StrictModel
from adatom.simulate.electrons import wavelength_nm

# Whoever asks for wider images of an atom has most likely mistaken a unit, and would wait long for them.
_WIDEST_NM = 8.0


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


def _check_reach(reach_nm: float, remedy: str) -> None:
    if reach_nm > _WIDEST_NM:
        raise ValueError(
            f"the image of an atom would reach {reach_nm:.0f} nm, expected at most {_WIDEST_NM} nm. {remedy}"
        )


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
    detector_mrad: PositiveRange | None = Field(
        default=None,
        description="inner and outer angle of the detector for multislice; null: 2.5 and 7 semi-angles in the dark "
        "field, half a semi-angle and one in the bright",
    )
    n_configurations: int = Field(
        default=8, ge=1, le=200, description="of vibrating atoms, of whose images multislice takes the mean"
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
        description="of an atom of height 1 for scattering onto the dark-field detector, or out of the bright-field "
        "one [A^2]; even in the logarithm",
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
    def _probe_is_no_haze(self) -> Self:
        _check_reach(self.reach_nm - self.way_nm, "Lower c3_um [um], defocus_nm or semi_angle_mrad.")
        return self

    def collection_mrad(self, semi_angle_mrad: float) -> tuple[float, float]:
        """Inner and outer angle of the detector."""
        if self.detector_mrad is not None:
            return self.detector_mrad
        inner, outer = (2.5, 7.0) if self.detector == "haadf" else (0.5, 1.0)
        return inner * semi_angle_mrad, outer * semi_angle_mrad

    @model_validator(mode="after")
    def _multislice_scans_evenly(self) -> Self:
        if self.engine == "multislice" and self.way_nm > 0:
            raise ValueError("drift_nm, creep_nm and flyback_nm are [0, 0] with the engine multislice, got others")
        return self

    @model_validator(mode="after")
    def _bright_field_is_bright(self) -> Self:
        if self.bright_share[0] <= 0:
            raise ValueError(f"bright_share is above 0, got {list(self.bright_share)}")
        return self


class FollowingProbe(ScanErrors):
    """A probe whose signal is followed by a loop."""

    feedback_lag_nm: NonNegativeRange = Field(
        default=(0, 0), description="way along the scan in which the feedback loop corrects an error to 1 / e"
    )
    pink_noise: NonNegativeRange = Field(
        default=(0, 0), description="standard deviation of 1/f noise, seen from line to line"
    )


class StmProbe(FollowingProbe):
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

    @property
    def reach_nm(self) -> float:
        """How far from an atom its image, or the atom itself by errors of the scan, may reach."""
        second = self.second_apex_nm[1] if self.second_apex_probability or self.tip_change_probability else 0.0
        # three standard deviations of a kernel that is nearly a Gaussian of variance distance / 2 kappa
        return 3 * ((self.tip_radius_nm[1] + self.gap_nm[1]) / 18) ** 0.5 + second + self.way_nm

    @model_validator(mode="after")
    def _tip_is_a_tip(self) -> Self:
        _check_reach(self.reach_nm - self.way_nm, "Lower tip_radius_nm, gap_nm or second_apex_nm.")
        return self

    @model_validator(mode="after")
    def _electrons_must_tunnel(self) -> Self:
        highest = max(abs(self.bias_v[0]), abs(self.bias_v[1]))
        if highest >= 2 * self.work_function_ev[0]:
            raise ValueError(
                f"bias_v stays below twice the work function ({self.work_function_ev[0]} eV), got {list(self.bias_v)}"
            )
        return self


class AfmProbe(FollowingProbe):
    """Dynamic force microscope at constant height, with a Lennard-Jones potential between apex and atoms."""

    kind: Literal["afm"]
    equilibrium_nm: PositiveRange = Field(
        default=(0.3, 0.4), description="distance of apex and atom at which their potential is lowest [nm]"
    )
    gap: PositiveRange = Field(
        default=(0.85, 1.0),
        description="between apex and an atom, in units of that distance: up to 1 atoms show by repulsion, from 1.2 "
        "by attraction, and the image is then the negative shift",
    )
    weight: tuple[PositiveRange, ...] = Field(
        default=(), description="factor on the force of each class; empty: 1 for all"
    )

    @property
    def reach_nm(self) -> float:
        """How far from an atom its image, or the atom itself by errors of the scan, may reach."""
        return 2.5 * self.equilibrium_nm[1] * self.gap[1] + self.way_nm

    @model_validator(mode="after")
    def _atoms_show_one_way(self) -> Self:
        if not (0.75 <= self.gap[0] <= self.gap[1] <= 1.0 or 1.2 <= self.gap[0] <= self.gap[1] <= 2.0):
            raise ValueError(f"gap lies within [0.75, 1] or within [1.2, 2], got {list(self.gap)}")
        _check_reach(self.reach_nm - self.way_nm, "Lower equilibrium_nm.")
        return self


class PfmProbe(StrictModel):
    """Piezoresponse force microscope, for a material of domains: the response of an up domain is 1."""

    kind: Literal["pfm"]
    signal: Literal["piezoresponse", "amplitude", "phase"] = Field(
        default="piezoresponse", description="amplitude x cosine of the phase, or one of them; the phase in units of pi"
    )
    tip_nm: PositiveRange = Field(description="standard deviation of the field under the tip [nm]")
    in_plane_response: Range = Field(
        default=(-0.2, 0.2), description="of domains polarised along the surface, to the vertical motion"
    )
    offset: Range = Field(default=(-0.2, 0.2), description="electrostatic response, the same everywhere")
    crosstalk: Range = Field(default=(0, 0), description="of the relief, a share of its height")
    lock_in_noise: NonNegativeRange = Field(
        default=(0.02, 0.1), description="standard deviation of each quadrature, before amplitude and phase"
    )
    feedback_lag_nm: NonNegativeRange = Field(
        default=(0, 0), description="way along the scan in which the lock-in forgets to 1 / e"
    )

    @property
    def reach_nm(self) -> float:
        """There are no atoms beyond the image to be seen."""
        return 0.0


Probe = Annotated[StemProbe | StmProbe | AfmProbe | PfmProbe, Field(discriminator="kind")]
