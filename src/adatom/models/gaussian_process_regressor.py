"""`GaussianProcessRegressor`: numbers where nothing was measured, from those that were, with error bars."""

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from adatom.decide.posterior import Posterior
from adatom.errors import ArgumentError, ModelFileError, ShapeError
from adatom.models.estimator import Estimator
from adatom.models.gaussian_process import Conditioned, Data, MeanFunction, Process, ScaledMean, spread_points
from adatom.models.model_file import read_model_file, write_model_file
from adatom.models.nearest_process import NearestProcess, telling_clusters
from adatom.models.regressor import named_targets

Array = NDArray[np.float64]
Noise = Literal["learned", "varying"]
Outputs = Literal["independent", "correlated"]

_NOISES, _OUTPUTS, _MEANS = ("learned", "varying"), ("independent", "correlated"), ("zero", "constant", "linear")
# Beyond so many points each place is asked of its nearest ones alone: a matrix of all would take minutes.
_MOST_EXACT = 1500
_AT_ONCE = 4096  # places
_PARAMETERS = "process/"
_CENTRES = 10  # of a varying noise


class GaussianProcessRegressor(Estimator):
    """Gaussian processes: a belief about smooth functions, and what measurements make of it.

    Parameters
    ----------
    kernel : names out of ``rbf, matern12, matern32, matern52, periodic, linear``, joined by ``+`` and ``*``.
    mean : what is expected where nothing is known: ``zero``, ``constant``, ``linear``, or a formula with parameters
        (`adatom.models.gaussian_process.MeanFunction`).
    noise : ``learned``, one for all places; or ``varying``, smoothly from place to place.
    outputs : several numbers as ``independent`` ones, or as ``correlated`` ones, which learn from each other.
    isotropic : one length scale for all numbers of an input, in units of their spreads, instead of one for each.
    most_exact : number of points up to which all are taken together.
    random_state : takes no part: nothing is drawn. It is here because every estimator has it.

    Attributes
    ----------
    names_ : of the numbers.
    figures_ : for each, ``left_out_density_<name>``, the mean logarithm of the density that a point was given by all
        the others, in the target's unit, and ``left_out_coverage_95_<name>``, the share within two deviations.
    mean_parameters_ : of a formula, DataFrame of ``value`` and ``std``, by name; else None.

    Notes
    -----
    Hyperparameters are those of the highest posterior density (C. E. Rasmussen & C. K. I. Williams, Gaussian Processes
    for Machine Learning, 2006). The logarithm of a varying noise is a smooth function with some free values, which are
    learned with the rest. Of more than `most_exact` points,
    clusters teach the hyperparameters, and each place is told by its nearest points (Datta, Banerjee, Finley & Gelfand,
    JASA 2016, 10.1080/01621459.2015.1044091).
    """

    def __init__(
        self,
        *,
        kernel: str = "matern52",
        mean: str | MeanFunction = "constant",
        noise: Noise = "learned",
        outputs: Outputs = "independent",
        isotropic: bool = False,
        most_exact: int = _MOST_EXACT,
        random_state: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.mean = mean
        self.noise = noise
        self.outputs = outputs
        self.isotropic = isotropic
        self.most_exact = most_exact
        self.random_state = random_state

    # ---------------------------------------------------------------- learning

    def fit(
        self, inputs: ArrayLike, targets: ArrayLike | pd.Series | pd.DataFrame, *, noise_std: ArrayLike | None = None
    ) -> Self:
        """Learn from scratch.

        Parameters
        ----------
        inputs : (n, d) places or descriptors, each in any unit.
        targets : (n,) or (n, k) in any unit; a table's columns give their names.
        noise_std : (n,) or (n, k) known standard deviations of the targets, in their unit; by default learned.

        Raises
        ------
        ArgumentError : if a number is not finite, or a setting is unknown.
        ShapeError : if numbers of inputs, targets and deviations differ.
        """
        self._check_settings()
        self.raw_inputs_ = checked_inputs(inputs)
        values, self.names_ = named_targets(targets)
        if len(values) != len(self.raw_inputs_):
            raise ShapeError(f"targets: expected {len(self.raw_inputs_)}, one for each input, got {len(values)}.")
        if not np.isfinite(values).all():
            raise ArgumentError(f"targets: expected finite numbers, got {np.sum(~np.isfinite(values))} others.")
        self.targets_ = values
        self.noise_std_ = None if noise_std is None else _checked_noise(noise_std, values)
        self.seed_ = 0 if self.random_state is None else self.random_state
        self._scale()
        d, k = self.raw_inputs_.shape[1], values.shape[1]
        correlated = self.outputs == "correlated" and k > 1
        self.net_ = nn.ModuleList(
            Process(
                self.kernel,
                d,
                n_outputs=k if correlated else 1,
                mean=self._mean_of(j),
                learns_noise=self.noise_std_ is None,
                centres=self._centres(),
                isotropic=self.isotropic,
            )
            for j in range(1 if correlated else k)
        )
        self._teach()
        self._know()
        self._judge()
        return self

    def _check_settings(self) -> None:
        for name, value, known in (("noise", self.noise, _NOISES), ("outputs", self.outputs, _OUTPUTS)):
            if value not in known:
                raise ArgumentError(f"{name}: expected one of {', '.join(known)}, got {value!r}.")
        if not isinstance(self.mean, MeanFunction) and self.mean not in _MEANS:
            raise ArgumentError(f"mean: expected one of {', '.join(_MEANS)}, or a MeanFunction, got {self.mean!r}.")

    def _scale(self) -> None:
        self.input_mean_, self.input_spread_ = _middle_and_spread(self.raw_inputs_)
        self.target_mean_, self.target_spread_ = _middle_and_spread(self.targets_)

    def _centres(self) -> Tensor | None:
        """Where a varying noise may differ."""
        return spread_points(self._scaled(self.raw_inputs_), _CENTRES) if self.noise == "varying" else None

    def _mean_of(self, output: int) -> str | ScaledMean:
        if isinstance(self.mean, MeanFunction):
            if self.outputs == "correlated" and len(self.names_) > 1:
                raise ArgumentError(
                    "mean: expected a name where outputs are correlated, got a formula, which is of one."
                )
            return ScaledMean(self.mean, float(self.target_mean_[output]), float(self.target_spread_[output]))
        return self.mean

    def _data(self, process: int) -> Data:
        """What one of the processes learns from."""
        which = slice(None) if self.net_[process].n_outputs > 1 else slice(process, process + 1)  # type: ignore[operator]
        noise = self.noise_std_
        return Data(
            self._scaled(self.raw_inputs_),
            torch.from_numpy((self.targets_ - self.target_mean_) / self.target_spread_)[:, which],
            None if noise is None else torch.from_numpy((noise / self.target_spread_) ** 2)[:, which],
            torch.from_numpy(self.raw_inputs_),
        )

    def _scaled(self, raw: Array) -> Tensor:
        return torch.from_numpy((raw - self.input_mean_) / self.input_spread_)

    def _teach(self) -> None:
        """Hyperparameters of all processes."""
        for number, process in enumerate(self._processes()):
            data = self._data(number)
            exact = len(data.inputs) <= self.most_exact
            process.learn([data] if exact else [data.part(some) for some in telling_clusters(data.inputs)])

    def _know(self) -> None:
        """Processes that know their data."""
        self.known_ = [
            (Conditioned if len(self.targets_) <= self.most_exact else NearestProcess)(process, self._data(number))
            for number, process in enumerate(self._processes())
        ]

    def _processes(self) -> list[Process]:
        return list(self.net_)  # type: ignore[arg-type]

    def _left_out(self) -> tuple[Array, Array]:
        """Mean and standard deviation (n, k), noise included, that each point is given by the others, in their unit."""
        parts = [known.left_out() for known in self.known_]
        mean, variance = (torch.cat(each, dim=1).numpy() for each in zip(*parts, strict=True))
        return mean * self.target_spread_ + self.target_mean_, np.sqrt(variance) * self.target_spread_

    def _judge(self) -> None:
        mean, std = self._left_out()
        density = log_density(self.targets_, mean, std)
        inside = np.abs(self.targets_ - mean) <= 2 * std
        self.figures_ = {}
        for j, name in enumerate(self.names_):
            self.figures_[f"left_out_density_{name}"] = round(float(density[:, j].mean()), 4)
            self.figures_[f"left_out_coverage_95_{name}"] = round(float(inside[:, j].mean()), 4)
        self.mean_parameters_ = self._mean_parameters()

    def _mean_parameters(self) -> pd.DataFrame | None:
        """Values and deviations of a formula's parameters, the other hyperparameters being what they are."""
        if not isinstance(self.mean, MeanFunction):
            return None
        tables = []
        for number, process in enumerate(self._processes()):
            belief, data = process.belief, self._data(number).part(slice(0, self.most_exact))

            def surprise(values: Tensor, process: Process = process, data: Data = data) -> Tensor:
                given: Tensor = torch.func.functional_call(process, {"belief": values}, ([data],))
                return given * data.targets.numel()

            curvature = torch.autograd.functional.hessian(surprise, belief.detach())
            assert isinstance(curvature, Tensor)
            std = torch.linalg.inv(curvature).diagonal().clamp_min(0).sqrt().numpy()
            mean = process.mean
            assert isinstance(mean, ScaledMean)
            values = mean.parameters(belief.detach())
            spreads = np.array([spread for _, spread in self.mean.priors.values()])
            tables.append(
                pd.DataFrame({"value": [float(v) for v in values.values()], "std": std * spreads}, index=list(values))
            )
        return tables[0] if len(tables) == 1 else pd.concat(dict(zip(self.names_, tables, strict=True)))

    # ---------------------------------------------------------------- asking

    def posterior(self, inputs: ArrayLike) -> Posterior:
        """What is believed of the true values at `inputs` (n, d), in the targets' unit."""
        self._check_fitted("posterior")
        raw = self._checked(inputs)
        pieces = [self._piece(raw[first : first + _AT_ONCE]) for first in range(0, len(raw), _AT_ONCE)]
        mean, std = (np.concatenate(each) for each in zip(*pieces, strict=True))
        exact = [known for known in self.known_ if isinstance(known, Conditioned)]

        def joint(which: NDArray[np.int64]) -> Array:
            some = self._scaled(raw[which]), torch.from_numpy(raw[which])
            blocks = torch.cat([known.covariance(*some) for known in exact]).numpy()
            return blocks * self.target_spread_[:, None, None] ** 2

        return Posterior(mean, std, self._noise_at(raw), joint if len(exact) == len(self.known_) else None)

    def predict(self, inputs: ArrayLike) -> pd.DataFrame:
        """A row an input: for each number ``<name>``, ``<name>_std``, of a new measurement there, and
        ``<name>_std_model``, of the true value, in the targets' units.

        Raises
        ------
        ShapeError : if the inputs are not as those of the training.
        """
        self._check_fitted("predict")
        return as_table(self.posterior(inputs), self.names_)

    def _piece(self, raw: Array) -> tuple[Array, Array]:
        parts = [known.mean_and_variance(self._scaled(raw), torch.from_numpy(raw)) for known in self.known_]
        mean, variance = (torch.cat(each, dim=1).numpy() for each in zip(*parts, strict=True))
        return mean * self.target_spread_ + self.target_mean_, np.sqrt(variance) * self.target_spread_

    def _noise_at(self, raw: Array) -> Array:
        """Deviations (n, k) of one more measurement."""
        if self.noise_std_ is not None:
            return np.tile(np.sqrt(np.mean(self.noise_std_**2, axis=0)), (len(raw), 1))
        with torch.no_grad():
            variance = torch.cat([p.learned_noise(self._scaled(raw)) for p in self._processes()], dim=1).numpy()
        return np.sqrt(variance) * self.target_spread_

    def _checked(self, inputs: ArrayLike) -> Array:
        raw = checked_inputs(inputs)
        if raw.shape[1] != self.raw_inputs_.shape[1]:
            raise ShapeError(f"inputs: expected (n, {self.raw_inputs_.shape[1]}), got {raw.shape}.")
        return raw

    # ---------------------------------------------------------------- keeping

    def header(self) -> dict[str, Any]:
        """What the model file says about the model, JSON-serialisable."""
        return {
            **self._made_by(),
            "name": type(self).__name__.lower(),
            "description": "",
            "architecture": {"name": "gaussian_process", "arguments": {}},
            "kernel": self.kernel,
            "mean": self.mean if isinstance(self.mean, str) else "own",
            "noise": self.noise,
            "outputs": self.outputs,
            "isotropic": self.isotropic,
            "most_exact": self.most_exact,
            "names": self.names_,
            "classes": [],
            "recipe": None,
        }

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file, its data included; nothing is pickled.

        Raises
        ------
        ArgumentError : if it has a mean of your own, which no file can hold.
        """
        self._check_fitted("save")
        if isinstance(self.mean, MeanFunction):
            raise ArgumentError("save: expected a mean by name, got a formula of your own, which no file can hold.")
        write_model_file(Path(path), self.header(), nn.Module(), self.arrays())

    def arrays(self) -> dict[str, Array]:
        """All that it knows."""
        beside = {"inputs": self.raw_inputs_, "targets": self.targets_}
        if self.noise_std_ is not None:
            beside["noise_std"] = self.noise_std_
        beside |= {f"{_PARAMETERS}{name}": value.detach().numpy() for name, value in self.net_.named_parameters()}
        return beside

    @classmethod
    def _from_file(cls, path: Path, header: dict[str, Any]) -> Self:
        _, _, beside = read_model_file(path, header, build=lambda _: nn.Module())
        try:
            return cls.of_arrays(header, beside)
        except (KeyError, RuntimeError, ArgumentError, ShapeError) as error:
            raise ModelFileError(f"model: {path.name} is damaged ({' '.join(str(error).split())[:200]}).") from error

    @classmethod
    def of_arrays(cls, header: dict[str, Any], beside: dict[str, Array]) -> Self:
        """The model that `header` and `arrays` told of.

        Raises
        ------
        KeyError, RuntimeError, ArgumentError, ShapeError : if they do not go together.
        """
        settings = {name: header[name] for name in ("kernel", "mean", "noise", "outputs", "isotropic", "most_exact")}
        model = cls(**settings)
        model._check_settings()
        model.seed_, model.figures_, model.names_ = header["seed"], header["figures"], header["names"]
        model.raw_inputs_, model.targets_ = checked_inputs(beside["inputs"]), beside["targets"]
        if model.targets_.shape != (len(model.raw_inputs_), len(model.names_)):
            raise ShapeError("its targets are not those of its inputs")
        model.noise_std_ = beside.get("noise_std")
        model.mean_parameters_ = None
        model._scale()
        d, k = model.raw_inputs_.shape[1], len(model.names_)
        correlated = model.outputs == "correlated" and k > 1
        model.net_ = nn.ModuleList(
            Process(
                model.kernel,
                d,
                n_outputs=k if correlated else 1,
                mean=header["mean"],
                learns_noise=model.noise_std_ is None,
                centres=model._centres(),
                isotropic=model.isotropic,
            )
            for _ in range(1 if correlated else k)
        )
        with torch.no_grad():
            for name, parameter in model.net_.named_parameters():
                parameter.copy_(torch.from_numpy(beside[_PARAMETERS + name]).reshape(parameter.shape))
        model._know()
        return model


def checked_inputs(inputs: ArrayLike) -> Array:
    """Inputs as (n, d) floats; of images, all pixels in a row.

    Raises
    ------
    ShapeError : if there is no row, or only one axis.
    ArgumentError : if a number is not finite.
    """
    raw = np.asarray(inputs, dtype=float)
    if raw.ndim < 2 or not raw.size:
        raise ShapeError(f"inputs: expected (n, d), got {raw.shape}.")
    if not np.isfinite(raw).all():
        raise ArgumentError(f"inputs: expected finite numbers, got {np.sum(~np.isfinite(raw))} others.")
    return raw.reshape(len(raw), -1)


def as_table(posterior: Posterior, names: list[str]) -> pd.DataFrame:
    """A posterior as `predict` gives it."""
    columns: dict[str, Array] = {}
    std = np.hypot(posterior.std, posterior.noise_std)
    for j, name in enumerate(names):
        columns |= {name: posterior.mean[:, j], f"{name}_std": std[:, j], f"{name}_std_model": posterior.std[:, j]}
    return pd.DataFrame(columns)


def log_density(values: Array, mean: Array, std: Array) -> Array:
    """Logarithm of normal densities."""
    return -0.5 * ((values - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)


def _middle_and_spread(values: Array) -> tuple[Array, Array]:
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 1e-12 * (1 + np.abs(values).max(axis=0)), spread, 1.0)


def _checked_noise(noise_std: ArrayLike, targets: Array) -> Array:
    given = np.asarray(noise_std, dtype=float)
    given = np.broadcast_to(given[:, None], targets.shape) if given.shape == (len(targets),) else given
    if given.shape != targets.shape:
        raise ShapeError(f"noise_std: expected {targets.shape}, one for each target, got {given.shape}.")
    if not (np.isfinite(given) & (given >= 0)).all():
        raise ArgumentError("noise_std: expected deviations of 0 or more, got others.")
    return given.copy()
