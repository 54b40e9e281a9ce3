"""The slow engine behind the surface of the fast one: what is said without it, and the same image where it is there."""

import importlib.util

import numpy as np
import pytest

from adatom.errors import ArgumentError
from adatom.models.recipe import Recipe
from adatom.simulate import simulate_image
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.multislice import multislice_image, with_multislice
from adatom.simulate.placing import place_atoms
from adatom.simulate.probe_recipe import StemProbe
from adatom.simulate.stem import Lens, draw_stem

has_abtem = importlib.util.find_spec("abtem") is not None
STEM = {
    "kind": "stem",
    "engine": "multislice",
    "voltage_kv": (60, 60),
    "semi_angle_mrad": (30, 30),
    "source_nm": (0.03, 0.03),
    "n_configurations": 1,
}
PX_PER_NM = 40.0


def one_gold_atom(pixel: float):
    """`ase.Atoms` with an atom at a pixel (x, y) of an image."""
    from ase import Atoms

    at = 10 * pixel / PX_PER_NM
    return Atoms("Au", positions=[[at, at, 0.0]])


def test_a_material_without_structure_is_told(tiny_recipe):
    content = tiny_recipe.model_dump()
    content["microscope"] |= {"probe": STEM}
    with pytest.raises(ArgumentError, match="engine: expected a material with a structure"):
        simulate_image(Recipe.model_validate(content), seed=0, index=0)


def test_errors_of_the_scan_would_leave_the_structure_behind():
    with pytest.raises(ValueError, match="drift_nm"):
        StemProbe(**STEM, drift_nm=(0, 0.1))


@pytest.mark.skipif(has_abtem, reason="abTEM is installed")
def test_a_missing_library_is_told_with_its_remedy():
    with pytest.raises(ArgumentError, match=r"pip install 'adatom\[multislice\]'"):
        multislice_image(one_gold_atom(8), Lens(60, 30), (70, 200), size=16, pixel_size_nm=0.025)


@pytest.mark.skipif(not has_abtem, reason="needs abTEM")
def test_a_single_atom_looks_as_the_fast_engine_has_it():
    lens = Lens(60, 30, source_nm=0.03, atom_width_nm=0.012)
    slow = multislice_image(one_gold_atom(8.3), lens, (70, 200), size=16, pixel_size_nm=1 / PX_PER_NM)
    fast = place_atoms(np.array([8.3]), np.array([8.3]), np.ones(1), 16, lens.image_of_one(1 / PX_PER_NM))
    scale = (fast * slow).sum() / (fast**2).sum()
    assert ((slow - scale * fast) ** 2).sum() < 0.01 * ((slow - slow.mean()) ** 2).sum()


@pytest.mark.skipif(not has_abtem, reason="needs abTEM")
@pytest.mark.parametrize("detector", ["haadf", "abf"])
def test_both_detectors_show_the_atom_where_it_is(tiny_recipe, detector):
    probe = StemProbe(**STEM, detector=detector)
    rng = np.random.default_rng(0)
    optics = with_multislice(draw_stem(probe, tiny_recipe.microscope, PX_PER_NM, rng), probe)
    none = np.zeros(0)
    specimen = Specimen(none, none, none.astype(int), none, PX_PER_NM, structure=one_gold_atom(9))
    image, _ = optics.take(specimen, 20, np.zeros(20))
    seen = optics.detect(image, np.zeros((20, 20)), 1.0, 1.0, rng)
    seen = seen if detector == "haadf" else -seen
    assert np.unravel_index(seen.argmax(), seen.shape) == (9, 9)
