"""A structure let go: atoms move until no force is left, and what that says of where they were seen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError
from adatom.structures.build import ANGSTROM
from adatom.structures.calculators import make_calculator

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]

HOLD_NM = 0.3  # atoms so near the border of the image miss neighbours that the image does not show
_MOST_ATOMS = 20_000
_BEYOND = 2.0  # standard deviations
# Share of errors of two coordinates, normally distributed, that are within so many standard deviations.
EXPECTED_WITHIN = float(1 - np.exp(-0.5 * _BEYOND**2))


@dataclass(frozen=True)
class Relaxation:
    """What a relaxation did.

    Attributes
    ----------
    structure : the atoms of the lowest energy, with an array ``moved`` (n, 3) [Angstrom].
    calculator : its name.
    energy_before, energy_after : [eV].
    n_steps : taken.
    largest_force : on an atom that is free, at the end [eV/Angstrom].
    converged : whether that is below the limit.
    stopped : why it ended before; "" if it did not.
    fixed : (n,) bool, atoms that were held.
    """

    structure: "Atoms"
    calculator: str
    energy_before: float
    energy_after: float
    n_steps: int
    largest_force: float
    converged: bool
    stopped: str
    fixed: NDArray[np.bool_]

    @property
    def moved(self) -> Array:
        """How far (n, 3) each atom went [Angstrom]."""
        moved: Array = self.structure.arrays["moved"]
        return moved

    @property
    def stretch(self) -> float:
        """By how much the free atoms moved apart on the whole: the factor that fits best, 1 if they did not."""
        before, after = self._about_middle()
        size = float((before**2).sum())
        return float((before * after).sum()) / size if size > 0 else 1.0

    @property
    def moved_beyond_stretch(self) -> Array:
        """How far (n, 2) each atom went along the surface, but for the stretch of the whole; NaN where held."""
        before, after = self._about_middle()
        moved = np.full((len(self.fixed), 2), np.nan)
        moved[~self.fixed] = after - self.stretch * before
        return moved

    def _about_middle(self) -> tuple[Array, Array]:
        """Places (n, 2) of the free atoms before and after, against their mean."""
        after = self.structure.positions[~self.fixed, :2]
        before = after - self.moved[~self.fixed, :2]
        return before - before.mean(axis=0), after - after.mean(axis=0)

    def in_deviations(self, moved: Array) -> Array:
        """Such lengths (n,) of vectors (n, 2) in the standard deviations of each atom; free atoms that have some."""
        std = self.structure.arrays.get("position_std", np.full(moved.shape, np.nan))
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.sqrt(((moved / std) ** 2).sum(axis=1))
        return np.asarray(far[~self.fixed & np.isfinite(far)])

    def facts(self) -> dict[str, Any]:
        """For a summary: lengths in nm."""
        free = ~self.fixed
        along = np.hypot(*self.moved[free, :2].T) / ANGSTROM
        away = np.linalg.norm(self.moved[free], axis=1) / ANGSTROM
        in_all, beyond = (self.in_deviations(way) for way in (self.moved[:, :2], self.moved_beyond_stretch))
        rest = np.hypot(*self.moved_beyond_stretch[free].T) / ANGSTROM
        return {
            "calculator": self.calculator,
            "energy_before_ev": self.energy_before,
            "energy_after_ev": self.energy_after,
            "n_steps": self.n_steps,
            "largest_force_ev_per_angstrom": self.largest_force,
            "converged": self.converged,
            "stopped": self.stopped,
            "n_fixed": int(self.fixed.sum()),
            "n_free": int(free.sum()),
            "moved_max_nm": float(away.max()),
            "moved_rms_nm": float(np.sqrt((away**2).mean())),
            "moved_along_surface_rms_nm": float(np.sqrt((along**2).mean())),
            "stretch": self.stretch,
            "moved_beyond_stretch_rms_nm": float(np.sqrt((rest**2).mean())),
            "n_with_error_bar": len(in_all),
            "within_2_std": _share_within(in_all),
            "within_2_std_beyond_stretch": _share_within(beyond),
            "within_2_std_expected": EXPECTED_WITHIN,
        }


def relax(
    structure: "Atoms",
    calculator: str | Any = "tersoff",
    *,
    max_force: float = 0.02,
    max_steps: int = 500,
    hold_nm: float = HOLD_NM,
    on_step: Callable[[int, str], None] | None = None,
) -> Relaxation:
    """Move atoms to where the forces on them vanish.

    Parameters
    ----------
    structure : is left as it is.
    calculator : name, see `adatom.structures.calculators.make_calculator`, or a calculator of ase.
    max_force : on an atom, at which it ends [eV/Angstrom].
    hold_nm : atoms nearer than this to the border of the image stay where they were found [nm]: beyond it neighbours
        are missing that are not missing in the specimen. 0 holds none.
    on_step : told the number of steps, and the force that is left.

    Returns
    -------
    The best structure so far where Ctrl-C, the number of steps or a calculator that fails ended it early.

    Raises
    ------
    ArgumentError : if the calculator or a setting makes no sense, all atoms would be held, or no first energy comes.

    Notes
    -----
    Fast inertial relaxation: E. Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006), 10.1103/PhysRevLett.97.170201. Atoms
    that all lie in one plane stay there, as no force pulls them out of it.
    """
    if not 0 < max_force < np.inf or max_steps < 1 or not 0 <= hold_nm < np.inf:
        raise ArgumentError(
            f"relax: expected a positive force, at least one step and a length from 0 up, got {max_force}, "
            f"{max_steps}, {hold_nm}."
        )
    if len(structure) > _MOST_ATOMS:
        raise ArgumentError(
            f"relax: expected at most {_MOST_ATOMS} atoms, got {len(structure)}. Relax a part of them, or write the "
            "file and relax it with a program made for that."
        )
    name = calculator if isinstance(calculator, str) else type(calculator).__name__
    engine = make_calculator(calculator, set(structure.symbols)) if isinstance(calculator, str) else calculator
    fixed = structure.arrays.get("to_border", np.full(len(structure), np.inf)) < ANGSTROM * hold_nm
    if fixed.all():
        raise ArgumentError(
            f"hold: expected atoms further than {hold_nm} nm from the border of the image, got none. Give --hold NM."
        )
    return _run(structure, engine, name, fixed, max_force, max_steps, on_step)


def _run(
    structure: "Atoms",
    engine: Any,
    name: str,
    fixed: NDArray[np.bool_],
    max_force: float,
    max_steps: int,
    on_step: Callable[[int, str], None] | None,
) -> Relaxation:
    from ase.constraints import FixAtoms
    from ase.optimize import FIRE

    moving = structure.copy()
    moving.set_constraint(FixAtoms(mask=fixed))
    moving.calc = engine
    before = _energy(moving, name)
    best, best_energy, best_force = moving.positions.copy(), before, _largest_force(moving)
    n_steps, converged, stopped = 0, best_force <= max_force, ""
    optimizer = FIRE(moving, logfile=None)
    try:
        # the first state that it gives is the one before any step
        for number, done in enumerate(optimizer.irun(fmax=max_force, steps=max_steps)):
            energy, force = float(moving.get_potential_energy()), _largest_force(moving)
            if not np.isfinite([energy, force]).all():
                stopped = f"{name} gave no finite energy"
                break
            n_steps, converged = number, bool(done)
            if energy <= best_energy or done:
                best, best_energy, best_force = moving.positions.copy(), energy, force
            if on_step is not None:
                on_step(number, f"force {force:.3f} eV/A")
            if done:
                break
    except KeyboardInterrupt:
        stopped = "interrupted"
    except Exception as error:  # each calculator has its own ways to fail; what was reached is kept
        stopped = f"{name} failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    relaxed = structure.copy()
    relaxed.positions = best
    relaxed.set_constraint(FixAtoms(mask=fixed) if fixed.any() else None)
    relaxed.set_array("moved", best - structure.positions)
    relaxed.set_array("fixed", fixed)
    return Relaxation(
        relaxed, name, before, best_energy, n_steps, best_force, converged and not stopped, stopped, fixed
    )


def _energy(atoms: "Atoms", name: str) -> float:
    try:
        energy = float(atoms.get_potential_energy())
    except Exception as error:  # as above
        reason = " ".join(str(error).split())[:200]
        raise ArgumentError(f"calculator: {name} gave no energy ({type(error).__name__}: {reason}).") from error
    if not np.isfinite(energy):
        raise ArgumentError(f"calculator: expected a finite energy of {name}, got {energy}. Look at the structure.")
    return energy


def _share_within(deviations: Array) -> float | None:
    return float((deviations <= _BEYOND).mean()) if deviations.size else None


def _largest_force(atoms: "Atoms") -> float:
    return float(np.sqrt((atoms.get_forces() ** 2).sum(axis=1).max()))
