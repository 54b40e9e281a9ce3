"""The finder that ships on real MoS2, with no setting but the pixel size that the file states.

The sites are those of `benchmarks.mos2_sites`: guided by the lattice, looked at, and made without any result of
`adatom.find`. A find is right within 0.4 Mo-S2 distances (0.073 nm, 4 to 6 px) of a site, one to one, the closest
first: nearer than halfway to the next site. (Maxima of the noisy images scatter by 0.7 to 1.4 px.) A find is judged
where the nearest site is. Lengths come from the sites' own lattice, for which 0.316 nm is known.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import adatom as ad
from adatom.locate import match_positions
from benchmarks.mos2_sites import FILES, FOLDER, LATTICE_CONSTANT_NM, LEFT_OUT, STATED_PIXEL_NM, guided_sites
from benchmarks.mos2_sites import read_values as read_mos2
from benchmarks.record import Recorder

Array = NDArray[np.float64]

TOLERANCE = 0.4  # Mo-S2 distances
CLOSE = 0.3  # lattice constants
GOALS = {
    "000-2": {"mo_recall": ">= 0.97", "s2_recall": ">= 0.9", "off_site_share": "<= 0.04"},
    "002-5": {"mo_recall": ">= 0.92", "off_site_share": "<= 0.1"},
    "dm3": {"mo_recall": ">= 0.97", "s2_recall": ">= 0.9", "off_site_share": "<= 0.04"},
}


def judge(found: Array, sites: pd.DataFrame, edge: float) -> dict[str, float]:
    """Counts and shares of finds (n, 2) [px]; `edge` is the lattice constant [px]."""
    known = sites[["x", "y"]].to_numpy()
    judged = (sites["kind"] == "judged").to_numpy()
    match = match_positions(found, known, tolerance=TOLERANCE * edge / np.sqrt(3))
    seen = np.zeros(len(known), dtype=bool)
    seen[match.known] = True
    nearest = cKDTree(known).query(found)[1] if len(found) else np.zeros(0, dtype=int)
    wrong = np.ones(len(found), dtype=bool)
    wrong[match.found] = False
    counted = judged[nearest]
    result = {"n_judged": float(counted.sum()), "off_site": float((wrong & counted).sum())}
    for site in ("Mo", "S2"):
        mine = judged & (sites["site"] == site).to_numpy()
        result |= {f"{site.lower()}_sites": float(mine.sum()), f"{site.lower()}_found": float((mine & seen).sum())}
        result[f"{site.lower()}_recall"] = float(seen[mine].mean())
    result["off_site_share"] = result["off_site"] / max(1.0, result["n_judged"])
    result["pairs_closer_than_0.3a"] = float(len(cKDTree(found).query_pairs(CLOSE * edge))) if len(found) else 0.0
    right = judged[match.known]
    result["rms_px"] = float(np.sqrt((match.distance[right] ** 2).mean())) if right.any() else float("nan")
    return result


def run(recorder: Recorder) -> None:
    """Sites, then calibration, for each image."""
    for name in FILES:
        values = read_mos2(name)
        sites = guided_sites(values, LEFT_OUT[name])
        table = pd.read_csv(FOLDER / f"mos2_sites_{name}.csv")
        stated, true = STATED_PIXEL_NM[name], LATTICE_CONSTANT_NM / sites.edge
        image = ad.make_image(values, pixel_size=stated)
        _record_sites(recorder, name, ad.find(image), table, stated=stated, edge=sites.edge)

        summary = ad.find(image, lattice_constant_nm=LATTICE_CONSTANT_NM).attrs["summary"]
        lattice = summary["lattice"] or {"pixel_size": None, "stretch": None}
        demanded, stretch = lattice["pixel_size"] or 0.0, lattice["stretch"] or 0.0  # none at all is 100 % off
        prefix = f"mos2/{name}/calibration"
        recorder.add(f"{prefix}/pixel_size_off_percent", 100 * abs(demanded / true - 1), goal="<= 1")
        recorder.add(f"{prefix}/stretch_off", abs(stretch - sites.stretch), goal="<= 0.02")
        warned = any("pixel size" in warning for warning in summary["warnings"])
        off = abs(stated / true - 1)
        recorder.add(f"{prefix}/warns_wrongly_or_not", float(warned != (off > 0.04)), goal="<= 0")
        print(
            f"      true pixel {true:.6f} nm, stated {stated:.6f} ({100 * (stated / true - 1):+.1f} %), demanded "
            f"{demanded:.6f}; true stretch {sites.stretch:.4f}, said {stretch:.4f}; {summary['warnings']}",
            flush=True,
        )


def _record_sites(
    recorder: Recorder, name: str, atoms: pd.DataFrame, table: pd.DataFrame, *, stated: float, edge: float
) -> None:
    figures = judge(atoms[["x", "y"]].to_numpy() / stated, table, edge)
    for figure, goal in GOALS[name].items():
        recorder.add(f"mos2/{name}/{figure}", figures[figure], goal=goal)
    if "s2_recall" not in GOALS[name]:
        recorder.add(f"mos2/{name}/s2_recall", figures["s2_recall"])
    recorder.add(f"mos2/{name}/pairs_closer_than_0.3a", figures["pairs_closer_than_0.3a"], goal="<= 0")
    recorder.add(f"mos2/{name}/rms_px", figures["rms_px"])
    summary = atoms.attrs["summary"]
    print(
        f"      Mo {figures['mo_found']:.0f} of {figures['mo_sites']:.0f}, S2 {figures['s2_found']:.0f} of "
        f"{figures['s2_sites']:.0f}, {figures['off_site']:.0f} of {figures['n_judged']:.0f} finds on no site; "
        f"{summary['model']}, factor {summary['working_factor']}, support {summary['support']}, {summary['warnings']}",
        flush=True,
    )
