"""Simulated movies of graphene whose silicon dopants switch between three and four neighbours while vacancies grow.

Dopants: atoms are found in each frame by the finder that ships, those more than twice as bright as the median are
looked at in windows of 0.5 nm. One autoencoder learns from four movies and is used for all others, as one would in a
series of experiments. The two states are set against the known ones (adjusted Rand index); probabilities of transition
against those that the movies were drawn with: how many lie within their 95 % and 90 % intervals, of two in each of 30
movies. With intervals that are right 95 % and 90 % of them do, but for chance (3 % and 4 % of 60).

Vacancies: windows of 0.9 nm at the centres of vacancies, which are known to 0.02 nm here; the states of the latent
numbers against the number of atoms that are missing, and its rank correlation with the better of the two numbers.

Drift: each frame has gone by 0.02 nm (standard deviation along each axis) from the one before.
"""

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score

import adatom as ad
from adatom.analyse import patches_around_atoms
from adatom.analyse.descriptors import Descriptors
from adatom.analyse.exploration import Exploration
from adatom.analyse.states import find_states
from adatom.analyse.transitions import transitions
from adatom.data import make_atoms
from adatom.explorer import explore_atoms
from adatom.locate import match_positions
from adatom.simulate.graphene_movie import GrapheneMovie, graphene_recipe, simulate_graphene_movie
from benchmarks.record import Recorder

N_TRAINING, N_MOVIES, N_FRAMES = 4, 30, 30
TO_FOUR, TO_THREE, DRIFT_NM = 0.1, 0.15, 0.02
BRIGHT, WINDOW_NM = 2.0, 0.5
VACANCY_WINDOW_NM, VACANCY_STEP_NM, N_VACANCY_MOVIES, CENTRE_STD_NM = 0.9, 0.03, 14, 0.02
REACH_NM = 0.06  # of a find to its atom


def run(recorder: Recorder) -> None:
    _dopants(recorder)
    _vacancies(recorder)


def _dopants(recorder: Recorder) -> None:
    windows, found_in_training = [], None
    for seed in range(N_TRAINING):
        image, atoms, _ = _movie(1000 + seed)
        bright = atoms[atoms["flux"] > BRIGHT * atoms["flux"].median()]
        found_in_training = patches_around_atoms(image, bright, WINDOW_NM)
        windows.append(found_in_training.values)
    assert found_in_training is not None
    model = ad.VariationalAutoencoder(latent=2, random_state=0).fit(_stack(windows, found_in_training))
    recorder.add("vae/movie/dopants/training_seconds", model.figures_["training_seconds"])
    agreement, unasked, within_95, within_90, whole, drift_pm, errors = [], [], [], [], [], [], []
    for seed in range(N_MOVIES):
        image, atoms, movie = _movie(seed)
        found = explore_atoms(atoms, image, brighter_than=BRIGHT, model=model, states=2, level=False, random_state=seed)
        table = found.atoms[found.atoms["state"] > 0]
        true = _true_states(table, movie)
        known = (true != "").to_numpy()
        agreement.append(adjusted_rand_score(true[known], table["state"][known]))
        values = table[["z1", "z2"]].to_numpy()
        unasked.append(adjusted_rand_score(true[known], find_states(values, random_state=seed).state[known]))
        four = pd.crosstab(table["state"][known], true[known])["silicon 4-fold"].idxmax()
        named = table.assign(kind=np.where(table["state"] == four, "four", "three"))
        for confidence, within in ((0.95, within_95), (0.9, within_90)):
            told = transitions(named, "kind", confidence=confidence)
            for before, p in ((0, TO_THREE), (1, TO_FOUR)):  # four comes before three
                within.append(told.low[before, 1 - before] <= p <= told.high[before, 1 - before])
            errors.append(told.probability[1, 0] - TO_FOUR)
        whole.append((found.dynamics.tracks["n_frames"] == N_FRAMES).mean() if found.dynamics else 0.0)
        drift_pm.append(_drift_error_pm(found, movie))
    recorder.add("vae/movie/dopants/adjusted_rand_index", np.mean(agreement), goal=">= 0.8")
    recorder.add("vae/movie/dopants/adjusted_rand_index_worst", np.min(agreement))
    recorder.add("vae/movie/dopants/adjusted_rand_index_number_unknown", np.mean(unasked), goal=">= 0.8")
    recorder.add("vae/movie/transitions/share_within_95", np.mean(within_95), goal=">= 0.9")
    recorder.add("vae/movie/transitions/share_within_90", np.mean(within_90))
    recorder.add("vae/movie/transitions/mean_error_to_four", np.mean(errors))
    recorder.add("vae/movie/tracks/share_whole", np.mean(whole))
    recorder.add("vae/movie/drift/error_pm", np.sqrt(np.mean(np.square(drift_pm))))


def _movie(seed: int) -> tuple[xr.DataArray, pd.DataFrame, GrapheneMovie]:
    movie = simulate_graphene_movie(
        graphene_recipe(),
        n_frames=N_FRAMES,
        n_silicon=10,
        to_four=TO_FOUR,
        to_three=TO_THREE,
        drift_nm=DRIFT_NM,
        seed=seed,
    )
    image = ad.make_image(movie.frames.astype(float), pixel_size=movie.pixel_size, dims=("frame", "y", "x"))
    return image, ad.find(image, refine=False), movie


def _stack(values: list[np.ndarray], like: Descriptors) -> xr.DataArray:
    joined = np.concatenate(values)
    return Descriptors(joined, np.arange(len(joined)), like.shape, like.step, like.units).pictures()


def _true_states(table: pd.DataFrame, movie: GrapheneMovie) -> pd.Series:
    """The state of the known atom that each find is, "" where there is none or it is no dopant."""
    states = pd.Series("", index=table.index, dtype=object)
    for frame, mine in table.groupby("frame"):
        known = movie.atoms[(movie.atoms["frame"] == frame) & (movie.atoms["species"] == "Si")]
        match = match_positions(mine[["x", "y"]].to_numpy(), known[["x", "y"]].to_numpy(), tolerance=REACH_NM)
        states.loc[mine.index[match.found]] = known["state"].to_numpy()[match.known]
    return states


def _drift_error_pm(found: Exploration, movie: GrapheneMovie) -> float:
    assert found.drift is not None
    return float(1000 * np.sqrt(np.mean(np.square(found.drift - movie.drift))))


def _vacancies(recorder: Recorder) -> None:
    windows, missing, last = [], [], None
    rng = np.random.default_rng(0)
    for seed in range(N_VACANCY_MOVIES):
        movie = simulate_graphene_movie(
            graphene_recipe(), n_frames=N_FRAMES, n_silicon=0, n_vacancies=3, growth=0.08, largest=5, seed=seed
        )
        image = ad.make_image(movie.frames.astype(float), pixel_size=movie.pixel_size, dims=("frame", "y", "x"))
        table = movie.vacancies
        columns = {axis: table[axis] + rng.normal(0, CENTRE_STD_NM, len(table)) for axis in ("x", "y")}
        centres = make_atoms(
            {"frame": table["frame"], **columns},
            units="nm",
            image_shape=movie.frames.shape[1:],
            pixel_size=(movie.pixel_size,) * 2,
        )
        last = patches_around_atoms(image, centres, VACANCY_WINDOW_NM, step=VACANCY_STEP_NM)
        windows.append(last.values)
        missing.append(table["n_missing"].to_numpy()[last.rows])
    assert last is not None
    stack, true = _stack(windows, last), np.concatenate(missing)
    model = ad.VariationalAutoencoder(latent=2, random_state=0).fit(stack)
    values = model.encode(stack)[["z1", "z2"]].to_numpy()
    recorder.add(
        "vae/movie/vacancies/adjusted_rand_index", adjusted_rand_score(true, find_states(values).state), goal=">= 0.8"
    )
    recorder.add(
        "vae/movie/vacancies/adjusted_rand_index_number_known",
        adjusted_rand_score(true, find_states(values, n=len(set(true))).state),
    )
    rank = max(abs(float(spearmanr(number, true).statistic)) for number in values.T)
    recorder.add("vae/movie/vacancies/rank_correlation", rank)
