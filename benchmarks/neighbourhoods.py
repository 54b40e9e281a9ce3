"""What atoms say: strain, rings, dislocations and defects of known crystals, real images, and the speed of it.

Known: strain of a lattice without noise, coverage of its error bars, rings of graphene with known vacancies, Burgers
vectors of dislocations put in by linear elasticity. Vacancies in simulated images: graphene at 100 counts a peak, found
by the finder that ships, which knows no material; the truth is the same image with and without the missing atoms. Atoms
are up to 0.3 bonds wide (standard deviation): beyond, they run into each other, and the finder may take the gaps for
atoms; all widths up to 0.36 bonds are told beside it, with the contrast given.

Real: the cell of MoS2 at the files' own pixel size (their scan is known to be stretched, so the regular cell of the
same area is told beside it); dopant candidates of 1 % V in MoS2, with the number that 1 % would make; adatoms missing
in Si(111)-7x7; whether the experts' marks of Pt atoms lie at random; the columns of a whole Au particle, which is a
twin seen along [110]: the edges of either part's cell are as 1.155 to 1, whatever the pixel size.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import adatom as ad
from adatom.analyse.bond_order import bond_order
from adatom.analyse.dislocations import find_dislocations
from adatom.analyse.grains import find_grains
from adatom.analyse.lattice_sites import find_sites
from adatom.analyse.neighbours import bond_cutoff, find_neighbours
from adatom.analyse.rings import find_rings
from adatom.analyse.spatial_statistics import ripley_l
from adatom.analyse.strain import local_strain
from adatom.analyser import analyse_atoms
from adatom.locate import match_positions
from adatom.models.recipe import Recipe, load_recipe
from adatom.simulate import simulate_image
from benchmarks.marked_images import pt_images
from benchmarks.mos2_sites import FILES, LATTICE_CONSTANT_NM, STATED_PIXEL_NM, read_values
from benchmarks.record import FOLDER, Recorder

sys.path.insert(0, str(FOLDER.parent / "tests"))
from crystals import GRAPHENE_NM, hexagonal, honeycomb, with_dislocation

Array = NDArray[np.float64]

PEER_PYTHON = FOLDER.parent / ".peers" / "bin" / "python"
PEER_PROGRAM = FOLDER / "peers" / "atomai_graph.py"
NOISE_NM = 0.004
N_IMAGES = 24
DOSE = 100.0
AU_PARTICLE = FOLDER.parent.parent / "shared" / "data" / "vendor" / "example_Au_nanoparticle.emd"
AU_NM = 0.40782  # lattice constant of gold at room temperature
SIZES = (3_000, 10_000, 30_000, 100_000)


def known_answers(recorder: Recorder) -> None:
    crystal = honeycomb(20)
    stretch = np.array([[1.012, 0.003], [0.007, 0.991]])
    sites = find_sites(crystal @ stretch.T)
    strain = local_strain(sites, reference=find_sites(crystal).vectors)
    off = [strain.exx - 0.012, strain.eyy + 0.009, strain.exy - 0.005]
    recorder.add("neighbourhoods/strain/largest_error", float(np.nanmax(np.abs(off))), goal="<= 0.001")
    inside, reference = [], find_sites(crystal).vectors
    for seed in range(20):
        noisy = crystal + NOISE_NM * np.random.default_rng(seed).standard_normal(crystal.shape)
        found = local_strain(find_sites(noisy), np.full(crystal.shape, NOISE_NM), reference=reference)
        for name in ("exx", "eyy", "exy", "rotation"):
            score = getattr(found, name) / getattr(found, f"{name}_std")
            inside.append(np.abs(score[np.isfinite(score)]) < 1.6449)
    recorder.add("neighbourhoods/strain/coverage_of_90_percent", float(np.mean(np.concatenate(inside))))

    rng, exact = np.random.default_rng(1), 0
    perfect = find_rings(crystal, find_neighbours(crystal, bond_cutoff(crystal))).counts()[6]
    for _ in range(50):
        holes = _apart(crystal, 5, rng)
        damaged = np.delete(crystal, holes, axis=0)
        damaged += 0.1 * GRAPHENE_NM / np.sqrt(3) / 2 * rng.standard_normal(damaged.shape)
        counts = find_rings(damaged, find_neighbours(damaged, bond_cutoff(damaged))).counts()
        exact += counts == {6: perfect - 15, 12: 5}
    recorder.add("neighbourhoods/rings/share_of_flakes_counted_exactly", exact / 50, goal=">= 1")

    right, vectors = 0, 0.3 * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    for seed in range(50):
        rng = np.random.default_rng(seed)
        block = hexagonal(30, 0.3)
        core, sign = block.mean(axis=0) + rng.uniform(-0.5, 0.5, 2), rng.choice([-1, 1])
        bent = with_dislocation(block, core, 0.3 * sign) + 0.006 * rng.standard_normal(block.shape)
        found = find_dislocations(bent, vectors)
        near = np.hypot(*(found.positions - core).T) < 1.2
        right += near.sum() == 1 and np.allclose(np.abs(found.vectors[near][0]), [0.3, 0])
    recorder.add("neighbourhoods/dislocations/share_with_the_right_burgers_vector", right / 50, goal=">= 1")


def _apart(crystal: Array, n: int, rng: np.random.Generator) -> list[int]:
    """Atoms away from the edge and from each other."""
    bonds = find_neighbours(crystal, bond_cutoff(crystal))
    chosen: list[int] = []
    low, high = crystal.min(axis=0) + 0.8, crystal.max(axis=0) - 0.8
    for atom in rng.permutation(np.flatnonzero(((crystal > low) & (crystal < high)).all(axis=1))):
        # the corners of a block of rhombic cells are sharp: only atoms amid whole rings
        near = cKDTree(crystal).query_ball_point(crystal[atom], 0.5)
        if (bonds.coordination[near] == 3).all() and all(
            np.hypot(*(crystal[atom] - crystal[other])) > 0.9 for other in chosen
        ):
            chosen.append(int(atom))
        if len(chosen) == n:
            return chosen
    return chosen


def defect_recipe(vacancy: float, widest: float) -> Recipe:
    """Graphene at one dose, with nothing else wrong; atoms up to so many bonds wide."""
    recipe = load_recipe("graphene")
    content, bond = recipe.model_dump(), GRAPHENE_NM / np.sqrt(3)
    content["defects"] = {"vacancy": (vacancy, vacancy)}
    content["microscope"] |= {
        "image_size": 192,
        "peak_width_nm": (0.18 * bond, widest * bond),
        "counts_per_peak": (DOSE, DOSE),
        "counts_probability": 1.0,
        "dark_level": (0.1, 0.3),
        "noise": (0.0, 0.0),
        "row_offset_probability": 0.0,
        "background": (0.0, 0.1),
        "tilt": (0.0, 0.1),
    }
    return Recipe.model_validate(content)


def vacancies(recorder: Recorder) -> None:
    """Precision and recall of vacancies, those at the border left out."""
    _vacancies(recorder, "resolved", 0.3, "auto", ">= 0.95")
    _vacancies(recorder, "any_width", 0.36, "bright", None)


def _vacancies(
    recorder: Recorder, name: str, widest: float, contrast: Literal["auto", "bright"], goal: str | None
) -> None:
    hits = n_found = n_true = 0
    for index in range(N_IMAGES):
        whole, holed = (simulate_image(defect_recipe(share, widest), seed=11, index=index) for share in (0.0, 0.01))
        every, left = (np.column_stack([one.x, one.y]) for one in (whole, holed))
        missing = every[cKDTree(left).query(every)[0] > 1e-6]
        size, pixel = holed.image.shape[0], defect_recipe(0.01, widest).microscope.pixel_size_nm
        atoms = ad.find(ad.make_image(holed.image.astype(float), pixel_size=pixel), contrast=contrast)
        table = analyse_atoms(atoms).defects
        place = table[table["kind"] == "vacancy"][["x", "y"]].to_numpy() / pixel
        bond = float(np.median(cKDTree(every).query(every, k=2)[0][:, 1]))
        inside = [((points > 2 * bond) & (points < size - 1 - 2 * bond)).all(axis=1) for points in (place, missing)]
        match = match_positions(place[inside[0]], missing[inside[1]], tolerance=0.5 * bond)
        hits, n_found, n_true = hits + len(match.found), n_found + inside[0].sum(), n_true + inside[1].sum()
    recorder.add(f"neighbourhoods/vacancies/{name}/precision_100_counts", hits / max(1, n_found), goal=goal)
    recorder.add(f"neighbourhoods/vacancies/{name}/recall_100_counts", hits / max(1, n_true), goal=goal)
    recorder.add(f"neighbourhoods/vacancies/{name}/n", float(n_true))


def real(recorder: Recorder) -> None:
    for name in FILES:
        atoms = ad.find(ad.make_image(read_values(name), pixel_size=STATED_PIXEL_NM[name]), model="ws2_defects")
        found = analyse_atoms(atoms)
        if found.summary["lattices"]:
            facts = found.summary["lattices"][0]
            for key in ("a", "a_std", "b", "b_std", "angle_deg", "edge", "edge_std"):
                recorder.add(f"neighbourhoods/mos2_{name}/{key}", float(facts[key]))
            recorder.add(f"neighbourhoods/mos2_{name}/edge_over_known", float(facts["edge"]) / LATTICE_CONSTANT_NM)
        defects = found.summary["defects"]
        for kind in ("V_S", "V_S2", "Mo_W"):
            if kind in defects:
                recorder.add(f"neighbourhoods/mos2_{name}/n_{kind}", float(defects[kind]["n"]))
                recorder.add(f"neighbourhoods/mos2_{name}/n_{kind}_expected_real", float(defects[kind]["expected"]))
        if name == "000-2":
            metal = float(atoms["species"].isin(["W", "Mo_W"]).sum())
            recorder.add("neighbourhoods/mos2_000-2/n_dopants_at_1_percent", 0.01 * metal)

    image = ad.read(Path(ad.__file__).parent / "examples" / "image_with_defects.dat")
    found = analyse_atoms(ad.find(image, model="si111_7x7"))
    n_missing = int((found.defects["kind"] == "vacancy").sum())
    recorder.add("neighbourhoods/si111/missing_adatoms", n_missing)
    recorder.add("neighbourhoods/si111/missing_adatoms_a_cell", 12 * n_missing / (len(found.atoms) + n_missing))

    found = analyse_atoms(ad.find(ad.read(AU_PARTICLE)))
    recorder.add("neighbourhoods/au_particle/n_columns", len(found.atoms))
    for facts in found.summary["lattices"]:
        name = f"neighbourhoods/au_particle/part_{facts['grain']}"
        short, long = sorted((float(facts["a"]), float(facts["b"])))
        recorder.add(f"{name}/n_columns", float(facts["n_atoms"]))
        recorder.add(f"{name}/edges_over_known", long / short / (2 / np.sqrt(3)))
        recorder.add(f"{name}/short_edge_over_known", short / (AU_NM * np.sqrt(6) / 4))

    p_values = []
    for each in pt_images():
        step = float(each.image["x"][1] - each.image["x"][0])
        side = each.image.sizes["x"] * step
        statistic = ripley_l(each.marks * step, (-0.5 * step, -0.5 * step, side, side), longest=3.0)
        p_values.append(statistic.p_value)
    recorder.add("neighbourhoods/pt/images_where_marks_do_not_lie_at_random", float(np.mean(np.array(p_values) < 0.05)))
    recorder.add("neighbourhoods/pt/median_p_value", float(np.median(p_values)))


def speed(recorder: Recorder) -> None:
    """Neighbours, grains, lattice, strain and rings; AtomAI's graph with its rings on the same atoms."""
    seconds = []
    for n in SIZES:
        crystal = honeycomb(round(np.sqrt(n / 2)))
        crystal = crystal + NOISE_NM * np.random.default_rng(0).standard_normal(crystal.shape)
        started = time.perf_counter()
        neighbours = find_neighbours(crystal, bond_cutoff(crystal))
        find_grains(neighbours, bond_order(neighbours))
        local_strain(find_sites(crystal), np.full(crystal.shape, NOISE_NM))
        hexagons = find_rings(crystal, neighbours).counts()[6]
        seconds.append(time.perf_counter() - started)
        peer = None
        if n <= SIZES[1] and PEER_PYTHON.exists():
            with tempfile.TemporaryDirectory() as folder:
                given, results = Path(folder) / "given.npz", Path(folder) / "results.json"
                np.savez(given, positions=crystal)
                subprocess.run([PEER_PYTHON, PEER_PROGRAM, given, results], check=True)
                told = json.loads(results.read_text())
                peer = told["seconds"]
                recorder.add(f"neighbourhoods/speed/{n}_hexagons", float(hexagons), peer=float(told["hexagons"]))
        goal = "<= 30" if n == SIZES[-1] else None
        recorder.add(f"neighbourhoods/speed/{n}_seconds", seconds[-1], goal=goal, peer=peer)
    power = np.polyfit(np.log(SIZES[1:]), np.log(seconds[1:]), 1)[0]
    recorder.add("neighbourhoods/speed/power_of_atoms", float(power), goal="<= 1.2")


def run(recorder: Recorder) -> None:
    known_answers(recorder)
    recorder.save()
    vacancies(recorder)
    recorder.save()
    real(recorder)
    recorder.save()
    speed(recorder)
