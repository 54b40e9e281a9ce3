"""How far from the Cramer-Rao bound the positions of columns are, and whether their error bars hold.

Simulated columns as Poisson counts: isolated ones (10 widths apart, off a grid by up to 2 px), hexagonal and square
lattices (5 widths apart), and a dense hexagonal one (4 widths); widths of 2 to 4 px; 8 to 2000 counts at the peak above
a background of 0.1 or 0.3 of it. `adatom.find` gets the image without pixel size or any setting. Columns at least 24 px
from the border are judged: of those beyond it nobody knows.

The bound is that of the same image: the square root of the diagonal of the inverse Fisher information of Poisson
counts, where height, x and y of every column in and around the image, the one width of all, and a constant background
are unknown together. Errors are per axis, root mean square over the columns found, over the root mean square of their
bounds; z is an error over the stated deviation.

Peers on the same images, refining from the true positions rounded to whole pixels: atomap 0.4.2 (centre of mass, then
its Gaussians), AtomAI 0.8.1 (what its ``refine=True`` does), and the centre of mass alone (``make peers``).

``python -m benchmarks.error_over_bound --quick`` looks at one image of each kind, without peers, and keeps no figures.
"""

import argparse
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

import adatom as ad
from adatom.locate import match_positions
from benchmarks.record import FOLDER, Recorder

Array = NDArray[np.float64]
Kind = Literal["isolated", "hexagonal", "square", "dense"]

DOSES, BACKGROUNDS = (8, 30, 100, 500, 2000), (0.1, 0.3)
WIDTHS_APART: dict[Kind, float] = {"isolated": 10.0, "hexagonal": 5.0, "square": 5.0, "dense": 4.0}
WIDTHS = (2.0, 2.5, 3.0, 3.5, 4.0)  # px, one for each dose in turn
SIZE, BORDER = 224, 24
N_IMAGES = 2
PEERS = ("atomap", "atomai", "mass")
PEER_PYTHON, PEER_PROGRAM = FOLDER.parent / ".peers" / "bin" / "python", FOLDER / "peers" / "position_refiners.py"
_SEED = 20_2612


@dataclass(frozen=True)
class Columns:
    """An image (y, x) of counts, and the x and y (n, 2) [px] of all columns that reach into it."""

    values: Array
    positions: Array
    width: float
    dose: float
    background: float

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Columns (n,) far enough from the border."""
        inside: NDArray[np.bool_] = ((self.positions > BORDER) & (self.positions < SIZE - 1 - BORDER)).all(axis=1)
        return inside


@dataclass
class Tally:
    """Squares of errors and bounds, and z, of the columns of some images."""

    squares: list[Array]
    bounds: list[Array]
    normalised: list[Array]
    n_known: int = 0

    @property
    def over_bound(self) -> float:
        return float(np.sqrt(np.mean(np.concatenate(self.squares)) / np.mean(np.concatenate(self.bounds))))

    @property
    def found(self) -> float:
        return sum(map(len, self.squares)) / max(1, self.n_known)

    @property
    def z(self) -> float:
        return float(np.std(np.concatenate(self.normalised)))

    def add(self, drawn: Columns, bound: Array, found: Array, stated: Array | None = None) -> None:
        """Count finds (n, 2), each at most a third of the distance of neighbours from a column."""
        match = match_positions(found, drawn.positions, tolerance=1.3 * drawn.width)
        kept = drawn.judged[match.known]
        error = found[match.found[kept]] - drawn.positions[match.known[kept]]
        self.squares.append(error**2)
        self.bounds.append(bound[match.known[kept]])
        if stated is not None:
            self.normalised.append(error / stated[match.found[kept]])
        self.n_known += int(drawn.judged.sum())


def draw(kind: Kind, dose: float, background: float, index: int) -> Columns:
    """Image number `index`, always the same."""
    rng = np.random.default_rng([_SEED, list(WIDTHS_APART).index(kind), round(dose), round(100 * background), index])
    width = WIDTHS[(DOSES.index(round(dose)) + index) % len(WIDTHS)]
    apart, turn = WIDTHS_APART[kind] * width, rng.uniform(0, np.pi / 3)
    between = np.pi / 3 if kind in ("hexagonal", "dense") else np.pi / 2
    vectors = apart * np.array([[np.cos(angle), np.sin(angle)] for angle in (turn, turn + between)])
    reach = int(2 * SIZE / apart) + 2
    cells = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), axis=-1).reshape(-1, 2)
    positions = (cells + rng.uniform(size=2)) @ vectors + SIZE / 2
    positions += rng.uniform(-2, 2, positions.shape) if kind == "isolated" else rng.normal(0, 0.2, positions.shape)
    positions = positions[((positions > -4 * width) & (positions < SIZE + 4 * width)).all(axis=1)]
    along_x, along_y = (np.exp(-0.5 * ((np.arange(SIZE) - at[:, None]) / width) ** 2) for at in positions.T)
    expected = dose * (background + along_y.T @ along_x)
    return Columns(rng.poisson(expected).astype(float), positions, width, dose, background)


def bound_variances(drawn: Columns) -> Array:
    """Least possible variances (n, 2) of x and y [px^2], everything unknown that the simulation drew."""
    n, width, half = len(drawn.positions), drawn.width, int(np.ceil(5 * drawn.width))
    offsets = np.arange(-half, half + 1)
    near_x, near_y = (np.round(at).astype(int)[:, None] + offsets for at in drawn.positions.T)
    dx, dy = near_x - drawn.positions[:, :1], near_y - drawn.positions[:, 1:]
    dx, dy = (part.reshape(shape) for part, shape in ((dx, (n, 1, -1)), (dy, (n, -1, 1))))
    peak = drawn.dose * np.exp(-0.5 * (dx**2 + dy**2) / width**2)
    inside = ((near_y >= 0) & (near_y < SIZE))[:, :, None] & ((near_x >= 0) & (near_x < SIZE))[:, None, :]
    pixel = (np.clip(near_y, 0, SIZE - 1)[:, :, None] * SIZE + np.clip(near_x, 0, SIZE - 1)[:, None, :])[inside]
    atom = np.broadcast_to(np.arange(n)[:, None, None], inside.shape)[inside]
    lines = [peak / drawn.dose, peak * dx / width**2, peak * dy / width**2, peak * (dx**2 + dy**2) / width**3]
    rows = np.concatenate([pixel] * 4 + [np.arange(SIZE**2)])
    numbers = [3 * atom, 3 * atom + 1, 3 * atom + 2, np.full(len(atom), 3 * n), np.full(SIZE**2, 3 * n + 1)]
    values = np.concatenate([*(line[inside] for line in lines), np.ones(SIZE**2)])
    design = csr_array((values, (rows, np.concatenate(numbers))), shape=(SIZE**2, 3 * n + 2))
    expected = drawn.dose * drawn.background + np.bincount(pixel, peak[inside], minlength=SIZE**2)
    information = (design.T @ design.multiply(1 / expected[:, None])).toarray()
    # columns beyond the border, of which next to nothing is seen, have no information; none is added
    variances = np.diag(np.linalg.pinv(information, rcond=1e-12, hermitian=True))[: 3 * n].reshape(n, 3)
    return variances[:, 1:]


def found_by_us(drawn: Columns, *, refine: bool) -> tuple[Array, Array]:
    """Positions and their stated deviations (n, 2) [px], as a user gets them."""
    atoms = ad.find(ad.make_image(drawn.values), refine=refine)
    return atoms[["x", "y"]].to_numpy(), atoms[["x_std", "y_std"]].to_numpy()


def refined_by_peers(images: list[Columns]) -> list[dict[str, Array]]:
    """Positions (n, 2) by each peer, for each image."""
    if not PEER_PYTHON.exists():
        raise SystemExit("benchmarks: expected the peers' environment, got none. Run `make peers` first.")
    data: dict[str, Array] = {}
    for k, drawn in enumerate(images):
        inside = ((drawn.positions > 0) & (drawn.positions < SIZE - 1)).all(axis=1)
        data |= {f"image_{k}": drawn.values, f"starts_{k}": np.round(drawn.positions[inside])}
    with tempfile.TemporaryDirectory() as folder:
        given, results = Path(folder) / "given.npz", Path(folder) / "results.npz"
        np.savez(given, **data)
        subprocess.run([PEER_PYTHON, PEER_PROGRAM, given, results], check=True)
        with np.load(results) as file:
            return [{peer: file[f"{peer}_{k}"] for peer in PEERS} for k in range(len(images))]


def run(
    recorder: Recorder, *, kinds: tuple[Kind, ...] = tuple(WIDTHS_APART), n: int = N_IMAGES, peers: bool = True
) -> None:
    """Figures by kind, background and dose; the peers see the first image of each."""
    cases = [(kind, background, dose) for kind in kinds for background in BACKGROUNDS for dose in DOSES]
    theirs = refined_by_peers([draw(kind, dose, background, 0) for kind, background, dose in cases]) if peers else None
    for number, (kind, background, dose) in enumerate(cases):
        ways = ["refined", "seen", *(PEERS if theirs else ())]
        tallies = {way: Tally([], [], []) for way in ways}
        for index in range(n):
            drawn = draw(kind, dose, background, index)
            bound = bound_variances(drawn)
            for way, refine in (("refined", True), ("seen", False)):
                tallies[way].add(drawn, bound, *found_by_us(drawn, refine=refine))
            if theirs and index == 0:
                for peer in PEERS:
                    tallies[peer].add(drawn, bound, theirs[number][peer])
        _record(recorder, f"{kind}/background{background:g}/dose{dose}", tallies, is_goal=dose >= 30)


def _record(recorder: Recorder, name: str, tallies: dict[str, Tally], *, is_goal: bool) -> None:
    ours = tallies["refined"]
    best = min((tallies[peer].over_bound for peer in PEERS if peer in tallies), default=None)
    prefix = f"localizer/simulated/error_over_bound/{name}"
    recorder.add(f"{prefix}/refined", ours.over_bound, goal="<= 1.15" if is_goal else None, peer=best)
    recorder.add(f"{prefix}/before_refinement", tallies["seen"].over_bound, goal="<= 1.5" if is_goal else None)
    for what, value in (("z_at_least", ">= 0.9"), ("z_at_most", "<= 1.1")):
        recorder.add(f"{prefix}/{what}", ours.z, goal=value if is_goal else None)
    others = ", ".join(f"{peer} {tallies[peer].over_bound:.2f}" for peer in PEERS if peer in tallies)
    print(f"      found {ours.found:.3f}; z before refinement {tallies['seen'].z:.2f}; {others}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a look at some figures; nothing is kept")
    parser.add_argument("--quick", action="store_true", help="one image of each kind, no peers")
    parser.add_argument("--kinds", nargs="*", choices=list(WIDTHS_APART), default=list(WIDTHS_APART))
    arguments = parser.parse_args()
    few = arguments.quick
    run(Recorder(command="a look"), kinds=tuple(arguments.kinds), n=1 if few else N_IMAGES, peers=not few)
