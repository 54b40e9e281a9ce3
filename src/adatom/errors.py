"""Every exception that Adatom raises on purpose.

Each also inherits the standard exception that a Python user would expect. Messages are one sentence or two, written
for the person at the microscope: ``{argument}: expected {rule}, got {actual}. {remedy}``.
"""


class AdatomError(Exception):
    """Base of all errors that Adatom raises on purpose."""


class ArgumentError(AdatomError, ValueError):
    """An argument has a value that makes no sense."""


class ShapeError(AdatomError, ValueError):
    """An array has the wrong number of dimensions or the wrong size."""


class UnitError(AdatomError, ValueError):
    """A unit is unknown, or not a length where a length is needed."""


class MissingFileError(AdatomError, FileNotFoundError):
    """An input file or folder is not there."""

    def __str__(self) -> str:  # FileNotFoundError would format its arguments as an errno
        return str(self.args[0]) if self.args else ""


class FileFormatError(AdatomError, ValueError):
    """A file is damaged, empty, or in a format that Adatom does not read."""


class ModelFileError(AdatomError, ValueError):
    """A model file is not ours, is damaged, or was written by a newer Adatom."""


class RecipeError(AdatomError, ValueError):
    """A recipe has an unknown key or a value out of range."""


class TrainingError(AdatomError, RuntimeError):
    """Training cannot start, go on, or be resumed."""


class InstrumentError(AdatomError, RuntimeError):
    """An instrument did not do what it was told, or cannot be reached."""


class LimitError(AdatomError, PermissionError):
    """A limit of an instrument stands in the way; nothing was moved."""

    def __str__(self) -> str:  # PermissionError would format its arguments as an errno
        return str(self.args[0]) if self.args else ""


class ExperimentError(AdatomError, RuntimeError):
    """An experiment cannot start, go on, or be resumed."""


class ClusterError(AdatomError, RuntimeError):
    """Workers of a cluster do not do what they are asked to, or are gone."""


class MemoryShortError(AdatomError, MemoryError):
    """There is too little memory even for small pieces."""
