"""A Keras 3 model on the torch backend as a torch module, which our loop trains like any other."""

import copy
import sys
from typing import Any

from torch import Tensor, nn

from adatom.errors import ArgumentError


def is_keras(net: Any) -> bool:
    """Whether this is a model of Keras; Keras itself is not imported for it."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(net, keras.Model)


class KerasNet(nn.Module):
    """A Keras model, its weights under names that stay: Keras gives other ones to each copy of a model.

    Parameters
    ----------
    model : a model that was built, on the torch backend. Of images it gets (n, y, x, channel) where Keras has channels
        last, as it does by default, and what it gives of them is turned back.

    Raises
    ------
    ArgumentError : if Keras runs on another backend, or the model has no weights yet.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        import keras

        if keras.backend.backend() != "torch":
            raise ArgumentError(
                f"net: expected Keras on the torch backend, got {keras.backend.backend()}. Set KERAS_BACKEND=torch "
                "before Keras is imported."
            )
        if not model.built:
            raise ArgumentError(
                "net: expected a Keras model that was built, got one without weights. Give it an Input."
            )
        self._turns = keras.config.image_data_format() == "channels_last"
        self._model = (model,)  # in a tuple: torch is not to list its weights under Keras's names
        for number, variable in enumerate(model.variables):
            # the random generators of layers are variables too, of whole numbers: no weights
            if isinstance(variable.value, nn.Parameter):
                self.register_parameter(f"weight{number}", variable.value)

    @property
    def model(self) -> Any:
        """The Keras model; it has what this module learned."""
        return self._model[0]

    def forward(self, values: Tensor) -> Tensor:
        """What the model gives; of images (n, channel, y, x) in, (n, classes, y, x) out."""
        turns = self._turns and values.ndim == 4
        given: Tensor = self.model(values.movedim(1, -1) if turns else values, training=self.training)
        return given.movedim(-1, 1) if turns and given.ndim == 4 else given

    def __deepcopy__(self, memo: dict[int, Any]) -> "KerasNet":
        twin = KerasNet(copy.deepcopy(self.model, memo))
        twin.load_state_dict(self.state_dict())
        for name, value in vars(self).items():
            if name in ("training", "multiple"):
                setattr(twin, name, value)
        return twin
