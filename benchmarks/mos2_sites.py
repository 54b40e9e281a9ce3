"""Mo and S2 sites of real MoS2 images, guided by the lattice: ``mos2_sites_<image>.csv``, made by this program.

1. The three shortest waves of the lattice are taken from the Fourier transform. Where each of them is locally (its
   phase in a Gaussian window three lattice constants wide) gives a slow displacement field (geometric phase analysis,
   Hytch, Snoeck and Kilaas 1998, 10.1016/S0304-3991(98)00035-7).
2. The sites that follow are refined: the offset of each brightest maximum from its site, a robust local plane through
   those of the neighbours, never a single atom's own.
3. All cells laid over each other show three points of threefold symmetry: the brightest is Mo, the next S2, the darkest
   the hollow. Single missing or foreign atoms (some ten Mo of 000-2, which is 1 % V) stay sites: they count as missed.
4. A site is not judged (``unjudged``) where the lattice is locally too weak to tell (holes, contamination, what is
   named in `LEFT_OUT` by eye) or closer to the border than a quarter of a lattice constant.

No result of `adatom.find` goes in. ``python -m benchmarks.mos2_sites --overlays FOLDER`` draws what to look at.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

FOLDER = Path(__file__).parent
DATA = FOLDER.parent.parent / "shared" / "data"
LATTICE_CONSTANT_NM = 0.316
FILES = {
    "000-2": DATA / "mos2_haadf" / "MoS2_stem_Exp-000-2.npy",
    "002-5": DATA / "mos2_haadf" / "MoS2_stem_Exp-002-5.npy",
    "dm3": DATA / "vendor" / "example_Se_implanted_MoS2.dm3",
}
STATED_PIXEL_NM = {"000-2": 9.0 / 512, "002-5": 9.0 / 512, "dm3": 0.0126953125}
# Discs (x, y, radius) [px] in which no undisturbed lattice is to be seen by eye, though the program goes on through
# them: holes, groups of missing atoms, contamination, in 002-5 a line defect across which the lattice is shifted.
LEFT_OUT: dict[str, list[tuple[float, float, float]]] = {
    "000-2": [(82, 497, 20), (508, 325, 9), (503, 385, 11)],
    "002-5": [
        *((395, 160, 44), (372, 214, 26), (430, 122, 30), (456, 88, 26), (480, 40, 18)),
        *((85, 58, 20), (208, 192, 10), (242, 212, 10), (127, 281, 12), (113, 297, 10), (86, 347, 14)),
        *((18, 418, 16), (432, 347, 9)),
    ],
    "dm3": [
        *((548, 672, 36), (515, 698, 24), (320, 163, 18), (270, 275, 16), (130, 105, 18), (90, 270, 18)),
        *((915, 252, 22), (815, 262, 58), (1000, 535, 32), (960, 525, 25), (880, 486, 16), (355, 995, 36)),
        *((318, 625, 16), (135, 705, 12), (35, 805, 14), (105, 810, 12), (42, 665, 10), (890, 774, 12)),
        *((795, 435, 16), (655, 440, 18), (710, 410, 22), (695, 985, 18), (485, 1012, 14)),
    ],
}


@dataclass(frozen=True)
class Sites:
    """What was made of an image.

    Attributes
    ----------
    table : columns x, y [px], site (``Mo`` or ``S2``), kind (``judged`` or ``unjudged``).
    vectors : (3, 2) the three lattice directions [px], x and y: medians over neighbours away from what is left out. (A
        fit through all sites of 002-5 carries the shift across its line defect: 24.55 px for the edge in place of
        24.78. Elsewhere the two agree within 0.1 %. From top to bottom of 002-5 the edge itself grows by 1.7 %.)
    cell : all cells laid over each other, (n, n) over the two first vectors, the Mo site at [0, 0].
    scatter : rms distance of the maxima at judged Mo sites from these [px].
    """

    table: pd.DataFrame
    vectors: Array
    cell: Array
    scatter: float

    @property
    def edge(self) -> float:
        """Edge of the regular cell of the same area [px]."""
        return float(np.sqrt(2 / np.sqrt(3) * abs(np.linalg.det(self.vectors[:2]))))

    @property
    def stretch(self) -> float:
        """Longest over shortest of the three lattice directions."""
        lengths = np.linalg.norm(self.vectors, axis=1)
        return float(lengths.max() / lengths.min())


def read_values(name: str) -> Array:
    """The image as numbers; the dm3 by rosettasciio, not by what is to be judged."""
    if name != "dm3":
        return np.load(FILES[name]).astype(float)
    from rsciio.digitalmicrograph import file_reader

    return np.asarray(file_reader(FILES[name])[0]["data"], dtype=float)


def guided_sites(values: Array, left_out: list[tuple[float, float, float]]) -> Sites:
    """See the module."""
    shape = values.shape
    flat = values - ndimage.gaussian_filter(values, 30)
    limit = np.percentile(np.abs(flat), 99.5)
    flat = np.clip(flat, -limit, limit)
    waves = _waves(flat)  # (2, 2) cycles a pixel, rows (x, y); the third is minus their sum
    edge = float(2 / np.sqrt(3) / np.linalg.norm(waves, axis=1).mean())
    smooth = ndimage.gaussian_filter(flat, 0.13 * edge) - ndimage.gaussian_filter(flat, 0.8 * edge)

    phase, strength = _local_phases(flat, waves, window=1.5 * edge)
    vectors = np.linalg.inv(waves).T  # rows a, b with waves @ vectors.T = 1
    origin = _brightest_origin(smooth, phase, waves)
    index, sites = _solve(phase, waves, vectors, origin, shape)
    sites, scatter = _refined(smooth, index, sites, edge)

    mean_a_b = _mean_vectors(index, sites, shape)
    cell = _folded(flat, index, sites, mean_a_b, smoothing=0.08 * edge)
    third = _second_brightest(cell)
    others = _interpolated(index + third, index, sites)
    positions = np.concatenate([sites, others])
    names = np.repeat(["Mo", "S2"], [len(sites), len(others)])

    x, y = positions.T
    within = (x > -0.5 * edge) & (x < shape[1] - 1 + 0.5 * edge) & (y > -0.5 * edge) & (y < shape[0] - 1 + 0.5 * edge)
    positions, names = positions[within], names[within]
    x, y = positions.T
    column, row = (np.clip(np.round(c), 0, n - 1).astype(int) for c, n in ((x, shape[1]), (y, shape[0])))
    judged = strength[row, column] > 0.45 * np.median(strength)
    margin = 0.25 * edge
    judged &= (x >= margin) & (x <= shape[1] - 1 - margin) & (y >= margin) & (y <= shape[0] - 1 - margin)
    for cx, cy, radius in left_out:
        judged &= np.hypot(x - cx, y - cy) > radius
    table = pd.DataFrame(
        {"x": x.round(2), "y": y.round(2), "site": names, "kind": np.where(judged, "judged", "unjudged")}
    )
    undisturbed = np.ones(len(index), dtype=bool)
    for cx, cy, radius in left_out:
        undisturbed &= np.hypot(sites[:, 0] - cx, sites[:, 1] - cy) > radius
    undisturbed &= np.all((sites >= 0) & (sites <= np.array(shape[::-1]) - 1), axis=1)
    return Sites(table, _neighbour_vectors(index, sites, undisturbed), cell, scatter)


# -------------------------------------------------------------------------------------------------- the steps


def _waves(flat: Array) -> Array:
    """The two strongest waves of a hexagonal set of six that are 60 degrees apart, found to a small part of a bin."""
    n_y, n_x = flat.shape
    tapered = flat * np.outer(np.hanning(n_y), np.hanning(n_x))
    n = 2 * max(flat.shape)
    power = np.abs(np.fft.fftshift(np.fft.fft2(tapered, (n, n)))) ** 2
    frequency = np.fft.fftshift(np.fft.fftfreq(n))
    fx, fy = np.meshgrid(frequency, frequency)
    radius = np.hypot(fx, fy)
    allowed = (radius > 1 / 40) & (radius < 1 / 10)
    found: list[Array] = []
    first = np.argmax(np.where(allowed, power, 0))
    found.append(np.array([fx.flat[first], fy.flat[first]]))
    length, angle = np.linalg.norm(found[0]), np.arctan2(found[0][1], found[0][0])
    turned = np.abs(np.angle(np.exp(1j * (np.arctan2(fy, fx) - angle - 2 * np.pi / 3)))) < np.radians(12)
    second = np.argmax(np.where(turned & (np.abs(radius / length - 1) < 0.12), power, 0))
    found.append(np.array([fx.flat[second], fy.flat[second]]))
    return np.array(found)


def _local_phases(flat: Array, waves: Array, *, window: float) -> tuple[Array, Array]:
    """Phase (2, y, x) in cycles, smooth and unwrapped, of the first two waves, and the mean strength of all three."""
    from skimage.restoration import unwrap_phase

    rows, columns = np.mgrid[: flat.shape[0], : flat.shape[1]]
    phases, strengths = [], []
    for wave in (*waves, -waves.sum(axis=0)):
        local = flat * np.exp(-2j * np.pi * (wave[0] * columns + wave[1] * rows))
        local = ndimage.gaussian_filter(local.real, window) + 1j * ndimage.gaussian_filter(local.imag, window)
        phases.append(unwrap_phase(np.angle(local)) / (2 * np.pi))
        strengths.append(np.abs(local))
    return np.array(phases[:2]), np.mean(strengths, axis=0)


def _brightest_origin(smooth: Array, phase: Array, waves: Array) -> Array:
    """The point of the cell, in fractions of it, that is brightest on average."""
    rows, columns = np.mgrid[: smooth.shape[0], : smooth.shape[1]]
    place = [wave[0] * columns + wave[1] * rows + phase[k] for k, wave in enumerate(waves)]
    n = 24
    bins = [np.floor((p % 1) * n).astype(int) % n for p in place]
    mean = ndimage.mean(smooth, bins[0] * n + bins[1], np.arange(n * n)).reshape(n, n)
    mean = ndimage.gaussian_filter(mean, 1.5, mode="wrap")
    return (np.array(np.unravel_index(mean.argmax(), mean.shape)) + 0.5) / n


def _solve(
    phase: Array, waves: Array, vectors: Array, origin: Array, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], Array]:
    """Indices (n, 2) and positions (n, 2) of the sites in and just around the image."""
    corners = np.array([[0, 0], [shape[1], 0], [0, shape[0]], [shape[1], shape[0]]]) @ waves.T
    low, high = np.floor(corners.min(axis=0)).astype(int) - 4, np.ceil(corners.max(axis=0)).astype(int) + 4
    index = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij"), axis=-1)
    index = index.reshape(-1, 2)
    sites = (index + origin) @ vectors
    for _ in range(8):
        local = np.column_stack(
            [ndimage.map_coordinates(part, sites.T[::-1], order=1, mode="nearest") for part in phase]
        )
        sites = (index + origin - local) @ vectors
    margin = 1.5 * np.linalg.norm(vectors[0])
    kept = np.all((sites > -margin) & (sites < np.array(shape[::-1]) + margin), axis=1)
    return index[kept], sites[kept]


def _refined(smooth: Array, index: NDArray[np.int64], sites: Array, edge: float) -> tuple[Array, float]:
    """Sites moved by a local plane through the offsets of the maxima around them; twice."""
    scatter = float("nan")
    for reach in (2.5, 1.8):
        offset, usable = _offsets(smooth, sites, edge)
        tree = cKDTree(sites[usable])
        moved = sites.copy()
        for k, neighbours in enumerate(tree.query_ball_point(sites, 3 * edge)):
            if len(neighbours) < 10:
                continue
            away = sites[usable][neighbours] - sites[k]
            weight = np.exp(-(away**2).sum(axis=1) / (2 * (reach * edge / 1.5) ** 2))
            target = offset[usable][neighbours]
            middle = np.median(target, axis=0)
            weight = weight * (np.linalg.norm(target - middle, axis=1) < 0.15 * edge)
            if (weight > 0.05).sum() < 6:
                continue
            design = np.column_stack([np.ones(len(away)), away]) * np.sqrt(weight)[:, None]
            plane, *_ = np.linalg.lstsq(design, target * np.sqrt(weight)[:, None], rcond=None)
            moved[k] = sites[k] + plane[0]
        sites = moved
        offset, usable = _offsets(smooth, sites, edge)
        scatter = float(np.sqrt((offset[usable] ** 2).sum(axis=1).mean()))
    return sites, scatter


def _offsets(smooth: Array, sites: Array, edge: float) -> tuple[Array, NDArray[np.bool_]]:
    """From each site to the parabola's top at the highest pixel within 0.25 edges; unusable at the border."""
    reach = round(0.25 * edge)
    offset, usable = np.zeros_like(sites), np.zeros(len(sites), dtype=bool)
    for k, (x, y) in enumerate(np.round(sites).astype(int)):
        if not (reach < x < smooth.shape[1] - reach - 1 and reach < y < smooth.shape[0] - reach - 1):
            continue
        part = smooth[y - reach : y + reach + 1, x - reach : x + reach + 1]
        row, column = np.unravel_index(part.argmax(), part.shape)
        if not (0 < row < 2 * reach and 0 < column < 2 * reach) or part.max() <= 0:
            continue
        around = part[row - 1 : row + 2, column - 1 : column + 2]
        top = [
            (around[1, 0] - around[1, 2]) / (2 * (around[1, 0] - 2 * around[1, 1] + around[1, 2]) - 1e-12),
            (around[0, 1] - around[2, 1]) / (2 * (around[0, 1] - 2 * around[1, 1] + around[2, 1]) - 1e-12),
        ]
        offset[k] = np.array([x - reach + column, y - reach + row]) + np.clip(top, -0.5, 0.5) - sites[k]
        usable[k] = True
    return offset, usable


def _mean_vectors(index: NDArray[np.int64], sites: Array, shape: tuple[int, ...]) -> Array:
    """The linear map from indices to positions that fits the sites inside the image best: rows a, b."""
    inside = np.all((sites >= 0) & (sites <= np.array(shape[::-1]) - 1), axis=1)
    design = np.column_stack([index[inside], np.ones(inside.sum())])
    fitted, *_ = np.linalg.lstsq(design, sites[inside], rcond=None)
    return fitted[:2]


def _neighbour_vectors(index: NDArray[np.int64], sites: Array, usable: NDArray[np.bool_]) -> Array:
    """Medians of the three vectors (1, 0), (0, 1), (-1, 1) between usable sites."""
    place = {tuple(pair): k for k, pair in enumerate(index[usable])}
    positions = sites[usable]
    steps = []
    for i, j in ((1, 0), (0, 1), (-1, 1)):
        pairs = [(k, place[a + i, b + j]) for (a, b), k in place.items() if (a + i, b + j) in place]
        first, second = np.array(pairs).T
        steps.append(np.median(positions[second] - positions[first], axis=0))
    return np.array(steps)


def _folded(flat: Array, index: NDArray[np.int64], sites: Array, vectors: Array, *, smoothing: float) -> Array:
    """Mean over the cells, (n, n) over the two vectors, from the site."""
    n = 36
    smooth = ndimage.gaussian_filter(flat, smoothing)
    share = np.stack(np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij"), axis=-1).reshape(-1, 2)
    margin = 2 * np.linalg.norm(vectors[0])
    inner = np.all((sites > margin) & (sites < np.array(flat.shape[::-1]) - margin), axis=1)
    points = sites[inner][:, None] + (share @ vectors)[None]
    samples = ndimage.map_coordinates(smooth, [points[..., 1], points[..., 0]], order=1)
    return np.median(samples, axis=0).reshape(n, n)


def _second_brightest(cell: Array) -> Array:
    """Which of the two other threefold points of a cell with 60 degrees is brighter."""
    n = len(cell)
    smooth = ndimage.gaussian_filter(cell, 1.5, mode="wrap")
    return max(np.array([[1, 1], [2, 2]]) / 3, key=lambda share: smooth[tuple(np.round(share * n).astype(int))])


def _interpolated(wanted: Array, index: NDArray[np.int64], sites: Array) -> Array:
    """Positions at fractional indices: a local plane through the six nearest sites."""
    tree = cKDTree(index.astype(float))
    result = np.zeros_like(wanted, dtype=float)
    for k, (place, neighbours) in enumerate(zip(wanted, tree.query(wanted, 7)[1], strict=True)):
        design = np.column_stack([np.ones(7), index[neighbours] - place])
        result[k] = np.linalg.lstsq(design, sites[neighbours], rcond=None)[0][0]
    return result


# -------------------------------------------------------------------------------------------------- to look at


def draw_overlays(name: str, values: Array, sites: Sites, folder: Path) -> None:
    """The image in four quarters with the sites, and the mean cell."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    smooth = ndimage.gaussian_filter(values, 0.06 * sites.edge)
    low, high = np.percentile(smooth, [0.5, 99.7])
    half = len(values) / 2
    table = sites.table
    colour = np.where(table["site"] == "Mo", "red", "cyan")
    colour = np.where(table["kind"] == "judged", colour, "yellow")
    for number in range(4):
        left, top = half * (number % 2), half * (number // 2)
        figure = plt.figure(figsize=(14, 14))
        plt.imshow(smooth, cmap="gray", vmin=low, vmax=high)
        plt.scatter(table["x"], table["y"], s=60, facecolors="none", edgecolors=colour, linewidths=0.8)
        plt.xlim(left - 3, left + half + 3)
        plt.ylim(top + half + 3, top - 3)
        plt.title(f"{name}: Mo red, S2 cyan, not judged yellow")
        plt.tight_layout()
        plt.savefig(folder / f"sites_{name}_{number}.png", dpi=80)
        plt.close(figure)
    figure = plt.figure(figsize=(6, 6))
    plt.imshow(np.tile(sites.cell, (2, 2)))
    plt.savefig(folder / f"cell_{name}.png", dpi=60)
    plt.close(figure)


def main() -> None:
    """Make the tables, and the overlays where a folder is named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--overlays", type=Path)
    folder = parser.parse_args().overlays
    for name in FILES:
        values = read_values(name)
        sites = guided_sites(values, LEFT_OUT[name])
        sites.table.to_csv(FOLDER / f"mos2_sites_{name}.csv", index=False)
        pixel = LATTICE_CONSTANT_NM / sites.edge
        n = sites.table.groupby(["site", "kind"]).size().to_dict()
        lengths = np.linalg.norm(sites.vectors, axis=1).round(3)
        mo, s2 = (sites.table.loc[sites.table["site"] == site, ["x", "y"]].to_numpy() for site in ("Mo", "S2"))
        bonds = np.median(cKDTree(mo).query(s2, 3)[0], axis=0).round(2)
        print(
            f"{name}: edge {sites.edge:.3f} px, directions {lengths}, stretch {sites.stretch:.4f}, "
            f"pixel {pixel:.6f} nm (stated {STATED_PIXEL_NM[name] / pixel - 1:+.1%} off), "
            f"Mo-S2 {bonds} px, scatter {sites.scatter:.2f} px, {n}"
        )
        if folder is not None:
            draw_overlays(name, values, sites, folder)


if __name__ == "__main__":
    main()
