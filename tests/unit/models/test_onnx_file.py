"""Models as ONNX files: they find what the model finds that they were made from."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import adatom
from adatom.data import make_image
from adatom.errors import ArgumentError, ModelFileError, TrainingError
from adatom.models import Ensemble, Segmenter
from adatom.models.onnx_file import export_onnx
from adatom.nets.onnx_net import OnnxNet, has_openvino, to_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def some_image(shape=(61, 94)):
    return make_image(np.random.default_rng(0).normal(size=shape), pixel_size=0.1)


@pytest.fixture(scope="module")
def written(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    assert export_onnx(tiny_model, path) < 1e-4
    return path


@pytest.mark.parametrize("runner", ["ONNX Runtime", "OpenVINO"])
def test_a_file_says_what_the_model_says(tiny_model, written, runner):
    if runner == "OpenVINO" and not has_openvino():
        pytest.skip("needs openvino")
    loaded = adatom.load(written)
    net = loaded.net_
    loaded.net_ = OnnxNet(net._file, multiple=net.multiple, n_levels=net.n_levels, runner=runner)
    assert loaded._engine().name == runner
    for name in ("classes_", "scale_", "preprocessing_", "recipe_", "figures_"):
        assert getattr(loaded, name) == getattr(tiny_model, name)
    exact = Segmenter()
    exact.__dict__.update(tiny_model.__dict__, exact_=True, _fast=None)
    for shape in ((61, 94), (40, 33)):
        mine, theirs = loaded.predict(some_image(shape)), exact.predict(some_image(shape))
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_a_model_that_ships_finds_the_same_atoms(tmp_path):
    image = adatom.read(adatom.__path__[0] + "/examples/image_with_defects.dat").isel(y=slice(0, 96), x=slice(0, 96))
    path = tmp_path / "m.onnx"
    model = adatom.load("any_atoms")
    export_onnx(model, path)
    model.exact_ = True
    loaded = adatom.load(path)
    mine, theirs = (adatom.find(image, model=each, refine=False) for each in (loaded, model))
    assert len(mine) == len(theirs) > 0
    assert list(mine["species"]) == list(theirs["species"])
    assert loaded.unfamiliarity(image.to_numpy(), 1.0) == pytest.approx(
        model.unfamiliarity(image.to_numpy(), 1.0), abs=0.05
    )


def test_it_says_in_words_how_an_image_is_prepared(written):
    notes = {note.key: note.value for note in onnx.load(written).metadata_props}
    told = notes["preprocessing"]
    assert "multiples of 4" in told and "the background and A, B" in told and "median absolute deviation" in told
    assert json.loads(notes["adatom"])["classes"] == ["A", "B"]


def test_it_learns_nothing_and_is_not_saved_as_weights(written, tmp_path):
    loaded = adatom.load(written)
    with pytest.raises(ArgumentError, match="expected one that can learn"):
        loaded.net_.train()
    with pytest.raises(ArgumentError, match="Copy the file"):
        loaded.save(tmp_path / "m.safetensors")
    with pytest.raises(ArgumentError, match="Copy it"):
        export_onnx(loaded, tmp_path / "again.onnx")


def test_a_network_of_your_own_is_exported_too(tiny_recipe, tmp_path):
    net = torch.nn.Conv2d(1, 3, 5, padding=2)
    training = {"steps": 2, "batch_size": 2, "validate_every": 2, "validation_images": 2}
    model = Segmenter(net=net, training=training).fit(tiny_recipe)
    export_onnx(model, tmp_path / "m.onnx")
    maps = adatom.load(tmp_path / "m.onnx").predict(some_image())  # the graph is all of the network
    np.testing.assert_allclose(maps, model.predict(some_image()), atol=0.02)


class Branching(torch.nn.Module):
    """Looks at the size of an image, which a graph does not keep."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 3, 3, padding=1)

    def forward(self, images):
        return self.layer(images) * (2 if images.shape[2] > 40 else 1)


def test_a_network_that_a_graph_cannot_hold_is_refused(tiny_recipe, tmp_path):
    training = {"steps": 2, "batch_size": 2, "validate_every": 2, "validation_images": 2}
    model = Segmenter(net=Branching(), training=training).fit(tiny_recipe)
    with pytest.raises(TrainingError, match=r"expected what torch gives to 0.0001, got a difference"):
        export_onnx(model, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_what_is_no_model_of_images_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"expected a Segmenter or Localizer, got a Ensemble.*members"):
        export_onnx(Ensemble(), tmp_path / "m.onnx")


def test_damaged_and_strange_files_are_refused(written, tmp_path):
    path = tmp_path / "m.onnx"
    whole = written.read_bytes()

    def refused(content: bytes) -> str:
        path.write_bytes(content)
        with pytest.raises(ModelFileError) as error:
            adatom.load(path)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "no ONNX file" in refused(b"nothing of the kind")
    refused(whole[:1000])
    held = onnx.load_from_string(whole)
    weights = held.graph.initializer[0]
    changed = onnx.numpy_helper.to_array(weights) + 1
    weights.CopyFrom(onnx.numpy_helper.from_array(changed.astype(np.float32), weights.name))
    assert "its content is not what was written" in refused(held.SerializeToString())
    held = onnx.load_from_string(whole)
    held.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    assert "it names other files" in refused(held.SerializeToString())
    held = onnx.load_from_string(whole)
    held.graph.node[0].domain = "com.example"
    assert "expected plain operators" in refused(held.SerializeToString())
    held = onnx.load_from_string(whole)
    del held.metadata_props[:]
    assert "Adatom did not write it" in refused(held.SerializeToString())


def test_levels_are_those_of_the_network(tiny_model):
    net = tiny_model.net_.eval()
    images = torch.randn(2, 1, 24, 32)
    given = OnnxNet(to_onnx(net, with_levels=True), multiple=4, n_levels=3, runner="ONNX Runtime")
    with torch.no_grad():
        for mine, theirs in zip(given.levels(images), net.encode(images), strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
    assert find_spec("onnxruntime") is not None
