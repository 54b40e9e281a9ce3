"""Models of AtomAI: they give what AtomAI gives, and a file that wants to run something is refused.

The small files and what is expected of them were made for this project with AtomAI 0.8.1 (MIT): networks of two
filters, some trained for a few steps, on noise.
"""

import collections
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import adatom
from adatom.data import make_image
from adatom.errors import ArgumentError, MissingFileError, ModelFileError
from adatom.models.atomai_import import Meant, import_atomai

FOLDER = Path(__file__).parent / "atomai"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "atomai_models"
NAMES = ["unet", "unet_one_class", "dilnet", "segresnet", "reshednet"]


def background_first(probabilities: np.ndarray) -> np.ndarray:
    """AtomAI's probabilities (y, x, class) as ours (class, y, x)."""
    maps = np.moveaxis(probabilities, -1, 0)
    return np.stack([1 - maps[0], maps[0]]) if len(maps) == 1 else np.roll(maps, 1, axis=0)


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_the_probabilities_of_atomai(name, tmp_path):
    expected = np.load(FOLDER / "expected.npz")
    path = tmp_path / "m.safetensors"
    import_atomai(FOLDER / f"{name}.tar").save(path)
    maps = adatom.load(path).predict(make_image(expected["image"].astype(float)))
    np.testing.assert_allclose(maps, background_first(expected[name]), atol=1e-5)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/atomai_models")
def test_a_real_file_gives_the_probabilities_and_atoms_of_atomai(tmp_path):
    known = np.load(SHARED / "segmentor_io.npz")
    path = tmp_path / "m.safetensors"
    import_atomai(SHARED / "segmentor.tar").save(path)
    model = adatom.load(path)
    for number, values in enumerate(known["images"].astype(float)):
        image = make_image(values)
        np.testing.assert_allclose(model.predict(image), background_first(known["probabilities"][number]), atol=1e-5)
        atoms, theirs = adatom.find(image, model=str(path), refine=False), known[f"coordinates_{number}"]
        distance = np.hypot(
            atoms["x"].to_numpy() - theirs[:, 1, None], atoms["y"].to_numpy() - theirs[:, 0, None]
        )  # (theirs, ours)
        assert np.median(distance.min(axis=1)) < 0.5 and distance.min(axis=1).max() < 2
        same = (
            atoms["species"].to_numpy()[distance.argmin(axis=1)] == np.array(model.classes_)[theirs[:, 2].astype(int)]
        )
        assert same.all()


def test_what_the_file_does_not_say_can_be_said():
    model = import_atomai(FOLDER / "unet.tar", Meant(classes=["C", "Si"], spacing_px=12.0))
    assert model.classes_ == ["C", "Si"] and model.scale_["spacing_px"] == 12 and not model.takes_as_is
    assert model.header()["description"] == "imported from AtomAI's unet.tar"
    last, first = (import_atomai(FOLDER / "unet.tar", Meant(background=where)) for where in ("last", "first"))
    image = make_image(np.load(FOLDER / "expected.npz")["image"].astype(float))
    maps = first.predict(image).to_numpy()
    np.testing.assert_allclose(np.roll(maps, 1, axis=0), last.predict(image).to_numpy(), atol=1e-6)
    with pytest.raises(ArgumentError, match="expected 2 different names, got"):
        import_atomai(FOLDER / "unet.tar", Meant(classes=["C"]))
    with pytest.raises(ArgumentError, match="expected a positive number of pixels"):
        import_atomai(FOLDER / "unet.tar", Meant(spacing_px=-1.0))


# ---------------------------------------------------------------- files that are not what they should be


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def content_of(name: str = "unet") -> dict:
    return torch.load(FOLDER / f"{name}.tar", weights_only=False)


@pytest.fixture
def refused(tmp_path):
    """Writes a dictionary as AtomAI would; returns the sentence with which it is refused."""

    def load(content) -> str:
        path = tmp_path / "m.tar"
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(ModelFileError) as error:
            import_atomai(path)
        text = str(error.value)
        assert text.startswith("model: ") and text.endswith(".") and "\n" not in text and len(text) < 400
        return text

    return load


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch {}",), "posix.system"),
        (eval, ("open({!r}, 'w')",), "eval"),
        (getattr, (collections, "abc"), "getattr"),
        (open, ("{}", "w"), "open"),
        (torch.load, ("{}",), "torch.serialization.load"),
        (torch.hub.load, ("{}", "x"), "torch.hub.load"),
        (torch.nn.Linear, (2, 2), "torch.nn.modules.linear.Linear"),
    ],
)
def test_a_file_that_wants_to_run_something_is_refused_by_its_name(refused, tmp_path, function, arguments, named):
    trace = tmp_path / "trace"
    told = tuple(each.format(str(trace)) if isinstance(each, str) else each for each in arguments)
    if function is getattr:
        told = ("abc", "upper")
    text = refused({**content_of(), "optimizer": Calls(function, *told)})
    assert named in text and "Nothing of it was run" in text
    assert not trace.exists()


def test_a_pickle_cannot_reach_into_the_reader(refused, tmp_path):
    """A pickle may set attributes of what it was given: not of anything that outlives it."""
    class_of_optimiser = b"ctorch.optim.adam\nAdam\n"
    maker = b"ctorch._utils\n_rebuild_tensor_v2\n"
    for target in (class_of_optimiser, maker, b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n"):
        program = b"\x80\x02" + target + b"N}X\x07\x00\x00\x00__new__K\x01s\x86b."
        with zipfile.ZipFile(tmp_path / "z.tar", "w") as archive:
            archive.writestr("m/data.pkl", program)
        assert "is damaged" in refused((tmp_path / "z.tar").read_bytes())
    import_atomai(FOLDER / "unet.tar")


@pytest.mark.parametrize(
    "arguments",
    [
        (0, (10**9,), (0,)),
        (0, (3,), (10**9,)),
        (10**9, (1,), (1,)),
        (0, (-1,), (1,)),
        (0, (2, 2), (1,)),
        (0, (9, 9), (0, 0)),
    ],
)
def test_a_tensor_larger_than_its_numbers_is_refused(refused, tmp_path, arguments):
    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", torch.FloatStorage, "0", "cpu", 4) if isinstance(value, Storage) else None

    path = tmp_path / "z.tar"
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("m/data.pkl", "w") as file:
            rebuilt = Calls(torch._utils._rebuild_tensor_v2, Storage(), *arguments, False, collections.OrderedDict())
            Pickler(file, protocol=2).dump({"weights": {"c1.block.0.weight": rebuilt}})
        archive.writestr("m/data/0", np.zeros(4, np.float32).tobytes())
    assert "is damaged" in refused(path.read_bytes())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "vae"}, "expected a segmenting network of AtomAI"),
        ({"model": "SAM"}, "got 'seg' with network 'SAM'"),
        ({"model": ["Unet"]}, "got 'seg' with network"),
        ({"nb_classes": 10**9}, "expected a whole number of 1 to 256 as nb_classes"),
        ({"nb_filters": True}, "expected a whole number of 1 to 256 as nb_filters"),
        ({"layers": [1, 2, 2]}, "layers"),
        ({"layers": "many"}, "expected numbers of layers"),
        ({"layers": [1, 2, 2, 4]}, "tensors in part bn"),
        ({"nb_filters": 3}, "holds other weights than its network has"),
        ({"upsampling": "cubic"}, "upsampling: expected one of bilinear, nearest"),
        ({"weights": {}}, "expected the weights of a network"),
        ({"weights": {"px.weight": 3}}, "expected tensors alone as weights"),
    ],
)
def test_what_does_not_fit_is_named(refused, change, told):
    assert told in refused({**content_of(), **change})


def test_weights_that_are_no_numbers_are_refused(refused):
    content = content_of()
    content["weights"]["px.bias"][0] = float("nan")
    assert "some of its weights are not numbers" in refused(content)


def test_files_of_other_kinds_are_refused(refused):
    whole = (FOLDER / "unet.tar").read_bytes()
    assert "torch 1.6 or newer" in refused(b"not a model")
    assert "torch 1.6 or newer" in refused(pickle.dumps({"weights": {}}))
    rng = np.random.default_rng(0)
    for _ in range(20):
        refused(whole[: rng.integers(1, len(whole) - 1)])
    with pytest.raises(MissingFileError, match="which is not there"):
        import_atomai(FOLDER / "none.tar")
