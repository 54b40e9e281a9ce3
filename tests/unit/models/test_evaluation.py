import numpy as np
import pytest
import xarray as xr

from adatom.data.training_set import open_training_set
from adatom.errors import ArgumentError, ShapeError
from adatom.models.evaluation import evaluate_model


@pytest.fixture(scope="module")
def data(tiny_store) -> xr.Dataset:
    whole = open_training_set(tiny_store).load()
    return whole.isel(sample=slice(3), atom=(whole["atom_sample"] < 3).to_numpy())


def with_atoms(data: xr.Dataset, sample, x, y, species, label=None) -> xr.Dataset:
    """The images of `data` with other known atoms."""
    atoms = {"atom_sample": sample, "atom_x": x, "atom_y": y, "atom_species": species}
    return xr.Dataset(
        {
            "image": data["image"],
            "label": data["label"] if label is None else (("sample", "y", "x"), label),
            **{name: ("atom", np.asarray(values)) for name, values in atoms.items()},
        },
        attrs=data.attrs,
    )


@pytest.fixture(scope="module")
def found(tiny_model, data) -> tuple[xr.Dataset, int]:
    """The images with what the model itself finds as the truth."""
    columns: dict[str, list] = {"sample": [], "x": [], "y": [], "species": []}
    labels = []
    for index in range(data.sizes["sample"]):
        maps = tiny_model.look(data["image"][index].to_numpy(), (1.0, 1.0))
        label = tiny_model.inner(maps).argmax(axis=0)
        peaks = tiny_model.peaks(maps).within(np.ones_like(label, dtype=bool))
        labels.append(label)
        columns["sample"] += [index] * len(peaks.x)
        for name in ("x", "y", "species"):
            columns[name] += getattr(peaks, name).tolist()
    return with_atoms(data, **columns, label=np.stack(labels)), len(columns["x"])


def test_a_model_against_its_own_finds_is_perfect(tiny_model, found):
    data, n = found
    figures = evaluate_model(tiny_model, data)
    assert n > 50
    assert (figures["n_images"], figures["n_known"], figures["n_found"]) == (3, n, n)
    perfect = ("precision", "recall", "f1", "class_accuracy", "iou_background", "iou_A", "iou_B")
    assert {name: figures[name] for name in perfect} == dict.fromkeys(perfect, 1.0)
    assert figures["position_rms_px"] == 0.0


def test_a_shift_of_all_known_atoms_is_the_position_error(tiny_model, found):
    data, _ = found
    shifted = data.assign(atom_x=data["atom_x"] + 0.3, atom_y=data["atom_y"] - 0.4)
    figures = evaluate_model(tiny_model, shifted)
    assert figures["f1"] == 1.0
    assert figures["position_rms_px"] == pytest.approx(0.5)


def test_atoms_that_are_not_known_cost_precision_and_those_not_found_cost_recall(tiny_model, found):
    data, n = found
    half = data.isel(atom=slice(0, None, 2))
    figures = evaluate_model(tiny_model, half)
    assert figures["precision"] == pytest.approx(half.sizes["atom"] / n) and figures["recall"] == 1.0

    far = {"atom_sample": [0] * n, "atom_x": [-100.0] * n, "atom_y": [-100.0] * n, "atom_species": [0] * n}
    more = xr.concat([data[list(far)], xr.Dataset({name: ("atom", values) for name, values in far.items()})], "atom")
    figures = evaluate_model(tiny_model, data.drop_vars(list(far)).merge(more))
    assert figures["recall"] == pytest.approx(0.5) and figures["precision"] == 1.0
    assert figures["f1"] == pytest.approx(2 / 3)


def test_the_wrong_species_costs_class_accuracy_only(tiny_model, found):
    data, _ = found
    figures = evaluate_model(tiny_model, data.assign(atom_species=1 - data["atom_species"]))
    assert figures["class_accuracy"] == 0.0 and figures["f1"] == 1.0
    assert figures["f1_A"] == figures["f1_B"] == 0.0
    confusion = np.array(figures["confusion"])
    assert confusion[1, 2] > 0 and confusion[2, 1] > 0 and confusion[[1, 2], [1, 2]].sum() == 0


def test_known_atoms_in_other_images_do_not_count(tiny_model, found):
    data, n = found
    figures = evaluate_model(tiny_model, data.assign(atom_sample=(data["atom_sample"] + 1) % 3))
    assert figures["n_known"] == figures["n_found"] == n and figures["f1"] < 0.7


def test_figures_against_simulated_truth_are_in_range_and_good(tiny_model, data):
    seen: list[int] = []
    figures = evaluate_model(tiny_model, data, on_image=seen.append)
    assert seen == [1, 2, 3]
    assert figures["n_known"] == data.sizes["atom"]
    shares = {name: value for name, value in figures.items() if name not in ("n_images", "n_known", "n_found")}
    confusion = np.array(shares.pop("confusion"))
    assert confusion.sum() - confusion[0].sum() == figures["n_known"]
    assert confusion.sum() - confusion[:, 0].sum() == figures["n_found"]
    del shares["position_rms_px"]
    assert all(0 <= value <= 1 for value in shares.values())
    assert figures["f1"] > 0.8 and 0 < figures["position_rms_px"] < 1


def test_images_without_atoms_have_figures_too(tiny_model, data):
    figures = evaluate_model(tiny_model, with_atoms(data, [], [], [], np.zeros(0, int)))
    assert figures["n_known"] == 0 and figures["recall"] == 0.0
    assert all(np.isfinite(value).all() for value in figures.values())


def test_a_set_of_another_material_is_refused(tiny_model, data):
    with pytest.raises(ArgumentError, match=r"store: expected the classes \['A', 'B'\], got \['adatom'\]"):
        evaluate_model(tiny_model, data.assign_attrs(classes=["adatom"]))


def test_what_is_no_training_set_is_refused(tiny_model, data):
    with pytest.raises(ShapeError, match="training set: expected atom_x"):
        evaluate_model(tiny_model, data.drop_vars("atom_x"))
