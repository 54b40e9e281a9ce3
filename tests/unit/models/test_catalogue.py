"""Model files: ours come back, and whatever else is in their place ends in one sentence."""

import json
import pickle
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import adatom
from adatom.errors import MissingFileError, ModelFileError
from adatom.models.catalogue import model_path, read_header, shipped_models
from adatom.models.header import sealed

SOURCE = Path(adatom.__file__).parent


@pytest.fixture(scope="module")
def content(tiny_model, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    tiny_model.save(path)
    return path.read_bytes()


@pytest.fixture
def refused(tmp_path) -> Callable[[bytes], str]:
    """Loads a file with some content; returns the sentence with which it is refused."""

    def load(content: bytes) -> str:
        path = tmp_path / "m.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelFileError) as error:
            adatom.load(path)
        text = str(error.value)
        assert text.startswith("model: ") and text.endswith(".") and "\n" not in text and len(text) < 400
        return text

    return load


def taken_apart(content: bytes) -> tuple[dict, dict]:
    """Our header and the tensors of a model file."""
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["adatom"]), load_tensors(content)


def put_together(header: object, tensors: dict) -> bytes:
    if isinstance(header, dict):
        header = sealed(header, tensors)
    return save_tensors(tensors, metadata={"adatom": header if isinstance(header, str) else json.dumps(header)})


def with_raw_header(raw: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(raw)) + raw + body


# ---------------------------------------------------------------- what ships


@pytest.mark.parametrize("name", shipped_models())
def test_a_model_that_ships_is_there_by_its_name_with_its_recipe_and_figures(name):
    model = adatom.load(name)
    header = read_header(model_path(name))
    assert header["name"] == name and header["licence"] == "MIT" and header["description"]
    assert 0.5 < header["figures"]["val_iou" if model.is_of_regions else "val_f1"] <= 1
    assert model.recipe_ is not None and model.recipe_.name == name


def test_models_ship():
    assert {"si111_7x7", "hexagonal_two_atoms"} <= set(shipped_models())


def test_a_model_that_is_not_there_says_which_are(tmp_path):
    for source in ("si111", tmp_path / "m.safetensors", tmp_path, "", "../weights/si111_7x7"):
        with pytest.raises(MissingFileError, match=r"model: expected a file or one of .*si111_7x7.*, got"):
            adatom.load(source)


# ---------------------------------------------------------------- what is not ours


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"\x00" * 8,
        b"PK\x03\x04" + bytes(100),
        b"Just some text about a model.\n" * 20,
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        bytes(range(256)) * 40,
        random.Random(0).randbytes(5000),
    ],
    ids=["empty", "one byte", "zeros", "zip", "text", "png", "counting", "random"],
)
def test_other_files_are_refused(refused, content):
    assert "expected a safetensors file, got m.safetensors, which is not one" in refused(content)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_with_a_plausible_length_are_refused(refused, seed):
    refused(struct.pack("<Q", 500) + random.Random(seed).randbytes(2000))


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**64 - 1) + bytes(100),
        struct.pack("<Q", 10 * 2**20) + b"{}",
        with_raw_header(b"[" * 500_000),
        with_raw_header(b'{"a":' * 500_000),
        with_raw_header(b'{"__metadata__":{"adatom":' + json.dumps("[" * 200_000).encode() + b"}}"),
        with_raw_header(b'{"__metadata__":{"adatom":"{\\"format_version\\": ' + b"9" * 6000 + b'}"}}'),
    ],
    ids=[
        "length 2^63",
        "length 2^64",
        "length beyond the end",
        "deep list",
        "deep object",
        "deep facts",
        "huge number",
    ],
)
def test_hostile_headers_are_refused(refused, content):
    refused(content)


@pytest.mark.parametrize("raw", [b"{}", b"[]", b"5", b"null", b'"x"', b'{"__metadata__": 5}', b'{"__metadata__": {}}'])
def test_headers_without_our_facts_are_refused(refused, raw):
    refused(with_raw_header(raw))


def test_a_safetensors_file_of_someone_else_is_told_as_such(refused):
    content = save_tensors({"w": np.zeros(3, np.float32)}, metadata={"format": "pt"})
    assert "is a safetensors file, but Adatom did not write it" in refused(content)


def test_a_pickle_is_refused_and_not_run(refused, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    refused(pickle.dumps(Trap()))
    assert not (tmp_path / "sprung").exists()


def test_nothing_in_adatom_unpickles_but_the_reader_that_imports_nothing():
    unpickling = re.compile(
        r"^\s*(import|from)\s+(pickle|cPickle|_pickle|dill|cloudpickle|joblib|shelve|marshal)\b"
        r"|torch\.load\(|read_pickle|allow_pickle\s*=\s*True|yaml\.(unsafe_|full_)?load\(|(?<![.\w])(eval|exec)\(",
        re.MULTILINE,
    )
    found = {
        f"{path.relative_to(SOURCE)}: {match.group().strip()}"
        for path in SOURCE.rglob("*.py")
        for match in unpickling.finditer(path.read_text(encoding="utf-8"))
    }
    assert found == {"models/atomai_file.py: import pickle"}  # tests/unit/models/test_atomai_import.py tries it


# ---------------------------------------------------------------- what is ours, but damaged


@pytest.mark.parametrize("share", [0.0001, 0.001, 0.05, 0.2, 0.5, 0.9, 0.9999])
def test_a_truncated_model_is_refused(refused, content, share):
    refused(content[: int(share * len(content))])


@pytest.mark.parametrize("cut", [7, 8, 9, -1])
def test_a_model_that_ends_at_an_edge_is_refused(refused, content, cut):
    refused(content[:cut])


def test_a_model_with_something_behind_its_end_is_refused(refused, content):
    assert "expected" in refused(content + b"x") and "bytes" in refused(content + content)


def test_a_flipped_bit_in_the_header_never_raises_anything_else(tmp_path, content):
    """Most flips show; one that only changes a figure or a letter of the description does not."""
    path = tmp_path / "m.safetensors"
    damaged = bytearray(content)
    length = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for position in random.Random(0).sample(range(8 * length), 400):
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            adatom.load(path)
        except ModelFileError as error:
            assert "\n" not in str(error)
            refused += 1
        damaged[position // 8] ^= 1 << position % 8
    assert refused > 200


@pytest.mark.parametrize("version", [2, 10**30, "1", None, [], 1.5])
def test_another_format_version_asks_for_an_update(refused, content, version):
    header, tensors = taken_apart(content)
    text = refused(put_together({**header, "format_version": version}, tensors))
    assert text.endswith("this Adatom reads up to 1. Update Adatom.")


@pytest.mark.parametrize("kind", ["Oracle", None, 5, {}])
def test_a_model_of_an_unknown_kind_is_named(refused, content, kind):
    header, tensors = taken_apart(content)
    assert f"holds a {kind!r}, which this Adatom does not know" in refused(
        put_together({**header, "kind": kind}, tensors)
    )


@pytest.mark.parametrize("key", ["architecture", "classes", "scale", "preprocessing", "recipe", "figures", "seed"])
def test_a_header_that_lacks_what_a_model_needs_is_refused(refused, content, key):
    header, tensors = taken_apart(content)
    assert f"{key}: Field required" in refused(put_together({k: header[k] for k in header if k != key}, tensors))
    for value in (-5.5, "text", [5], {"a": "b"}):
        refused(put_together({**header, key: value}, tensors))


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("scale", {"spacing_px": 0.0}),
        ("scale", {"spacing_px": "7"}),
        ("scale", {"period_px": -3.0}),
        ("scale", {"period_px": float("nan")}),
        ("scale", {"label_radius_px": None}),
        ("scale", {"pixel_size_nm": None, "calibrated": True}),
        ("preprocessing", {"background_px": 0.0}),
        ("preprocessing", {"clip": float("inf")}),
        ("architecture", {"name": "resnext"}),
        ("architecture", {"name": ["unet"]}),
        ("architecture", {"arguments": {"classes": 10**9, "width": 4, "depth": 2}}),
        ("architecture", {"arguments": {"classes": 3, "width": 256, "depth": 8}}),
        ("architecture", {"arguments": {"classes": 3, "width": 4, "depth": 60}}),
        ("architecture", {"arguments": {"classes": 3, "width": True, "depth": 2}}),
        ("architecture", {"arguments": {"classes": 3, "width": 4, "depth": 2, "architecture": "unet"}}),
        ("architecture", {"arguments": {"classes": 2, "width": 4, "depth": 2}}),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(refused, content, part, change):
    header, tensors = taken_apart(content)
    refused(put_together({**header, part: {**header[part], **change}}, tensors))


def test_facts_that_are_no_json_are_refused(refused, content):
    _, tensors = taken_apart(content)
    for facts in ("", "{", "[]", "5", "null", "NaN"):
        refused(put_together(facts, tensors))


@pytest.mark.parametrize("place", [0.3, 0.6, 0.99])
def test_a_flipped_bit_in_the_weights_is_noticed(refused, content, place):
    length = struct.unpack("<Q", content[:8])[0]
    at = 8 + length + int(place * (len(content) - 8 - length))
    damaged = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    assert "not what was written" in refused(damaged)


def test_weights_that_are_not_numbers_are_refused(refused, content):
    header, tensors = taken_apart(content)
    for value in (np.nan, np.inf):
        tensors["head.bias"] = np.full_like(tensors["head.bias"], value)
        assert "some of its weights are not numbers" in refused(put_together(header, tensors))


def test_weights_of_another_network_are_refused(refused, content):
    header, tensors = taken_apart(content)
    weight = tensors["head.weight"]
    for other in (
        {**tensors, "head.weight": np.concatenate([weight, weight])},
        {**tensors, "head.weight": weight[..., 0]},
        {**tensors, "head.weight": weight.astype(np.int32)},
        {name: value for name, value in tensors.items() if name != "head.weight"},
        {**tensors, "tail.weight": weight},
        {},
    ):
        assert "damaged" in refused(put_together(header, other))


def test_weights_of_less_precision_are_read(tmp_path, content):
    header, tensors = taken_apart(content)
    half = {name: value.astype(np.float16) if value.dtype == np.float32 else value for name, value in tensors.items()}
    (tmp_path / "half.safetensors").write_bytes(put_together(header, half))
    maps = adatom.load(tmp_path / "half.safetensors").predict(adatom.make_image(np.eye(20), pixel_size=0.1))
    assert maps.shape == (3, 20, 20)


def test_a_model_that_knows_more_than_we_do_is_read(tmp_path, content):
    header, tensors = taken_apart(content)
    (tmp_path / "m.safetensors").write_bytes(put_together({**header, "doi": "10.5281/zenodo.1"}, tensors))
    assert adatom.load(tmp_path / "m.safetensors").classes_ == ["A", "B"]


def test_a_loaded_model_predicts_on_the_chosen_device_and_stays_where_it_is(content, tmp_path, monkeypatch) -> None:
    """The device ``meta`` stands for a GPU: networks can be moved there."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    model = adatom.load(path)
    on_processor = model._engine()
    monkeypatch.setattr("adatom.models.estimator.choose_device", lambda asked: torch.device("meta"))
    assert {weight.device.type for weight in model._engine().net.parameters()} == {"meta"}
    assert {weight.device.type for weight in model.net_.parameters()} == {"cpu"}
    monkeypatch.undo()
    assert model._engine().device == on_processor.device == torch.device("cpu")
