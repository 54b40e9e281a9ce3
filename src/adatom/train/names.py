"""Names of what a recipe's training may be made of; needs no torch, as reading a recipe does not."""

from collections.abc import Callable
from typing import Any, Literal

from adatom.errors import ArgumentError

Kind = Literal["loss", "optimiser", "schedule", "metric", "callback"]
# Those that ship; what they are stands in losses.py and parts.py.
SHIPPED: dict[str, tuple[str, ...]] = {
    "loss": ("cross_entropy", "dice", "focal"),
    "optimiser": ("adam", "adamw", "sgd"),
    "schedule": ("warm_up_cosine", "constant"),
    "metric": (),
    "callback": (),
}
_registered: dict[str, dict[str, Callable[..., Any]]] = {kind: {} for kind in SHIPPED}


def register(kind: Kind, name: str, part: Callable[..., Any]) -> None:
    """Make a loss, an optimiser, a schedule, a metric or a callback known by a name that a recipe may use.

    Parameters
    ----------
    part : see `adatom.train.TrainingParts`.

    Raises
    ------
    ArgumentError : if there is no such kind, the name is taken, or the part cannot be called.
    """
    if kind not in SHIPPED:
        raise ArgumentError(f"kind: expected one of {', '.join(SHIPPED)}, got {kind!r}.")
    if not callable(part):
        raise ArgumentError(f"part: expected something that can be called, got {part!r}.")
    if not name or name in SHIPPED[kind] or _registered[kind].get(name, part) is not part:
        raise ArgumentError(f"name: expected one that is not taken, got {name!r}. Choose another.")
    _registered[kind][name] = part


def known(kind: Kind) -> list[str]:
    """All names of a kind."""
    return [*SHIPPED[kind], *_registered[kind]]


def registered(kind: Kind, name: str) -> Callable[..., Any] | None:
    """What was registered by a name; None for those that ship."""
    return _registered[kind].get(name)
