"""Import AtomAI without torchvision.

AtomAI imports three models and a function of torchvision that segmentation never calls. Modules of those names, in
which everything fails when called, are enough. Run as a program, this checks that the environment works.
"""

import sys
import types
import warnings


def _absent(name: str) -> types.FunctionType:
    def call(*_: object, **__: object) -> None:
        raise NotImplementedError(f"{name}: torchvision is not installed, a stand-in was called.")

    return call  # type: ignore[return-value]


def import_atomai() -> types.ModuleType:
    """Put the stand-ins in place, unless torchvision is there, and import AtomAI."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    try:
        import torchvision  # noqa: F401
    except ImportError:
        modules = {name: types.ModuleType(name) for name in ("torchvision", "torchvision.models", "torchvision.utils")}
        for name in ("mobilenet_v2", "resnet50", "vgg16"):
            setattr(modules["torchvision.models"], name, _absent(name))
        modules["torchvision.utils"].make_grid = _absent("make_grid")  # type: ignore[attr-defined]
        modules["torchvision"].models = modules["torchvision.models"]  # type: ignore[attr-defined]
        modules["torchvision"].utils = modules["torchvision.utils"]  # type: ignore[attr-defined]
        sys.modules.update(modules)
    import atomai

    return atomai


if __name__ == "__main__":
    print(f"AtomAI {import_atomai().__version__}")
