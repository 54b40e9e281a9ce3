"""The models that ship, and loading of these and any others."""

import hashlib
import inspect
import json
import struct
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adatom.data.atomic_file import write_atomically
from adatom.errors import ArgumentError, MissingFileError, ModelFileError

if TYPE_CHECKING:
    from adatom.models.ensemble import Ensemble
    from adatom.models.image_model import ImageModel
    from adatom.models.network import Net

WEIGHTS = Path(__file__).parents[1] / "weights"
FORMAT_VERSION = 1
# kind of a model -> module with its class; a new one is one file and one line here
ESTIMATORS = {
    "Classifier": "adatom.models.classifier",
    "Denoiser": "adatom.models.denoiser",
    "Ensemble": "adatom.models.ensemble",
    "DeepKernelRegressor": "adatom.models.deep_kernel_regressor",
    "GaussianProcessRegressor": "adatom.models.gaussian_process_regressor",
    "ImageToSpectrum": "adatom.models.image_to_spectrum",
    "Localizer": "adatom.models.localizer",
    "Regressor": "adatom.models.regressor",
    "Segmenter": "adatom.models.segmenter",
    "SpectrumToImage": "adatom.models.spectrum_to_image",
    "VariationalAutoencoder": "adatom.models.variational_autoencoder",
}
# Looked through where the user names no model.
DEFAULT_MODEL = "any_atoms"
# Takes over where that one finds nothing but lone atoms.
LONE_ATOMS_MODEL = "single_atoms"
# Take over where that one finds the cell of their material, which no other has.
RECOGNISED_MODELS = ("si111_7x7",)
_LARGEST_HEADER = 16 * 2**20
# Files that were sent to this process, by what the sender calls them.
_RECEIVED: dict[str, Path] = {}


def shipped_models() -> dict[str, Path]:
    """Names and files of the models that ship."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*.safetensors"))}


def model_path(source: str | Path) -> Path:
    """File of a model: a path, or the name of one that ships."""
    if str(source) in _RECEIVED:
        return _RECEIVED[str(source)]
    path = Path(source)
    if path.is_file():
        return path
    shipped = shipped_models()
    if str(source) in shipped:
        return shipped[str(source)]
    raise MissingFileError(f"model: expected a file or one of {', '.join(shipped)}, got {source}.")


def receive_model(source: str, content: bytes, folder: Path) -> None:
    """Keep a model file from another machine in a folder: from now on `source` means it, as it does there."""
    path = folder / hashlib.sha256(content).hexdigest() / Path(source).name
    write_atomically(path, content)
    _RECEIVED[source] = path


def read_header(path: Path) -> dict[str, Any]:
    """What a model file says about itself; reads no weights and needs no torch.

    Raises
    ------
    ModelFileError : if the file is not an Adatom model, is damaged, or newer than this Adatom.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= _LARGEST_HEADER:
                raise ModelFileError(f"model: expected a safetensors file, got {path.name}, which is not one.")
            tensors = json.loads(file.read(length))
            size = file.seek(0, 2)
        facts = tensors.get("__metadata__", {}).get("adatom")
        if facts is None:
            raise ModelFileError(f"model: {path.name} is a safetensors file, but Adatom did not write it.")
        header: dict[str, Any] = json.loads(facts)
        end = max((tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__"), default=0)
        expected_size = 8 + length + end
        version = header["format_version"]
    except ModelFileError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"model: {path.name} is damaged ({type(error).__name__}: {error}).") from error
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ModelFileError(
            f"model: {path.name} has format {version}, this Adatom reads up to {FORMAT_VERSION}. Update Adatom."
        )
    if size != expected_size:
        raise ModelFileError(f"model: {path.name} is damaged: expected {expected_size} bytes, got {size}.")
    return header


def load(source: str | Path, *, net: "Net | None" = None) -> "ImageModel | Ensemble":
    """Load a model from its file (safetensors, or ONNX), or by the name of one that ships.

    Parameters
    ----------
    net : the network, or what makes it, where the file does not say: of a network of your own that was not registered
        (`adatom.nets.register`) it holds the weights alone.

    Raises
    ------
    MissingFileError : if it is not there.
    ModelFileError : if it is not a model of ours, is damaged, or was written by a newer Adatom.
    """
    path = model_path(source)
    if path.suffix.lower() == ".onnx":
        from adatom.models.onnx_file import load_onnx

        return load_onnx(path)
    header = read_header(path)
    kind = header.get("kind")
    if not isinstance(kind, str) or kind not in ESTIMATORS:
        raise ModelFileError(f"model: {path.name} holds a {kind!r}, which this Adatom does not know.")
    estimator = getattr(import_module(ESTIMATORS[kind]), kind)
    takes = inspect.signature(estimator._from_file).parameters
    if net is not None and "net" not in takes:
        raise ArgumentError(f"net: expected none for {path.name}, a {kind}, which names its own networks.")
    model: ImageModel | Ensemble = estimator._from_file(path, header, **({"net": net} if "net" in takes else {}))
    return model
