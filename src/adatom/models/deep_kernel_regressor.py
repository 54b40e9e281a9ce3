"""`DeepKernelRegressor`: numbers of patches, by a Gaussian process over features that a network learns for it.

The known failure of such models are features that make the points they have seen look alike, and a process that is
then far too sure. So each member of the ensemble leaves out a part of the points, is judged by it, and the plain
process from which all begin is kept unless they are better beyond chance.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from adatom.decide.posterior import Posterior
from adatom.errors import ArgumentError, ModelFileError, ShapeError
from adatom.models.estimator import Estimator
from adatom.models.gaussian_process import Conditioned, Data, Process, as_many_threads_as_pay
from adatom.models.gaussian_process_regressor import as_table, log_density
from adatom.models.model_file import read_model_file, write_model_file
from adatom.models.nearest_process import NearestProcess
from adatom.models.regressor import named_targets
from adatom.nets import build_net, in_float32
from adatom.nets.patch_features import FEATURE_ARCHITECTURES

Array = NDArray[np.float64]
Knowing = Conditioned | NearestProcess

_FEWEST = 20  # points from which on a network is tried
_LOOKS, _PATIENCE = 4, 2  # times that the members are judged, and may get worse one after the other
_BETTER = 1.0  # standard errors by which they must beat the plain process
_MOST_EXACT = 1500  # points that are taken together
_WEIGHT_DECAY = 1e-3
_ENOUGH = 30  # points left out that tell whether deviations are right
_FACTORS = (0.7, 2.0)  # that deviations may be multiplied with
_AT_ONCE = 4096
PLAIN, DEEP = "plain Gaussian process", "deep kernel"


class DeepKernelRegressor(Estimator):
    """Numbers of patches, or of rows of descriptors, with error bars.

    Parameters
    ----------
    net : ``convolutional`` or ``dense`` features; or a module of your own, or what makes one (it is given `shape`,
        `outputs`), that takes (n, numbers) and gives (n, n_features). By default convolutions for patches.
    n_features : numbers that the process compares; as many principal components of the inputs, to which the network's
        are added.
    width : of the networks that ship.
    n_members : networks, each of which leaves out a part of the points.
    kernel : of the process, see `GaussianProcessRegressor`.
    steps, learning_rate : of the training.
    random_state : seed of the weights and of the parts; by default 0.

    Attributes
    ----------
    chosen_ : which model answers, ``deep kernel`` or ``plain Gaussian process``.
    left_out_ : DataFrame of the mean logarithm of the density (``density``) that points were given by a model that had
        not seen them, in units of the targets' spread, with its standard error against the plain process
        (``std_of_gain``), by ``model`` and ``steps``.
    names_ : of the numbers.
    figures_ : ``left_out_density`` and ``left_out_coverage_95`` of the chosen model.

    Notes
    -----
    A. G. Wilson, Z. Hu, R. Salakhutdinov & E. P. Xing, Deep kernel learning, AISTATS 2016, arXiv 1511.02222; their
    failure: S. W. Ober, C. E. Rasmussen & M. van der Wilk, UAI 2021, arXiv 2102.12108.
    """

    def __init__(
        self,
        *,
        net: Any = None,
        n_features: int = 5,
        width: int = 16,
        n_members: int = 3,
        kernel: str = "matern52",
        steps: int = 60,
        learning_rate: float = 0.01,
        random_state: int | None = None,
    ) -> None:
        self.net = net
        self.n_features = n_features
        self.width = width
        self.n_members = n_members
        self.kernel = kernel
        self.steps = steps
        self.learning_rate = learning_rate
        self.random_state = random_state

    # ---------------------------------------------------------------- learning

    def fit(
        self,
        inputs: ArrayLike,
        targets: ArrayLike | pd.Series | pd.DataFrame,
        *,
        all_inputs: ArrayLike | None = None,
    ) -> Self:
        """Learn from scratch, from all that is given.

        Parameters
        ----------
        inputs : (n, y, x) or (n, channel, y, x) patches, or (n, d) descriptors, in any unit.
        targets : (n,) or (n, k) in any unit; a table's columns give their names.
        all_inputs : (m, ...) those too of which no target is known: they tell the principal components.

        Raises
        ------
        ArgumentError : if a number is not finite, or a setting makes no sense.
        ShapeError : if inputs and targets differ in number.
        """
        for name, value in (("n_features", self.n_features), ("n_members", self.n_members), ("steps", self.steps)):
            if not isinstance(value, int) or value < 1:
                raise ArgumentError(f"{name}: expected a whole number of at least 1, got {value!r}.")
        raw = _checked(inputs)
        values, self.names_ = named_targets(targets)
        if len(values) != len(raw):
            raise ShapeError(f"targets: expected {len(raw)}, one for each input, got {len(values)}.")
        if not np.isfinite(values).all():
            raise ArgumentError(f"targets: expected finite numbers, got {np.sum(~np.isfinite(values))} others.")
        self.seed_ = 0 if self.random_state is None else self.random_state
        self.shape_ = list(raw.shape[1:]) if raw.ndim != 3 else [1, *raw.shape[1:]]
        self._scale(raw if all_inputs is None else self._checked_like(all_inputs), values)
        self.inputs_ = self._scaled(raw)
        self.targets_ = (values - self.target_mean_) / self.target_spread_
        with as_many_threads_as_pay(len(values)):
            self._learn()
            self._know()
        return self

    def _learn(self) -> None:
        """The plain process, members that leave out parts, and a choice between them."""
        parts = self._parts()
        plain, density, ratio = self._plain(parts)
        self.net_, self.chosen_ = nn.ModuleList([plain]), PLAIN
        rows, best = [(PLAIN, 0, density.mean(), 0.0)], density
        if len(self.targets_) >= _FEWEST:
            members = [self._new_member(number, plain) for number in range(len(parts))]
            worse = 0
            for look in range(_LOOKS):
                for number, member in enumerate(members):
                    self._train(member, parts[number], look)
                judged, ratios = self._judged(members, parts)
                gain = (judged - density).mean(axis=1)
                error = float(gain.std() / np.sqrt(len(gain)))
                rows.append((DEEP, (look + 1) * (self.steps // _LOOKS or 1), judged.mean(), error))
                worse = worse + 1 if judged.mean() < rows[-2][2] else 0
                if gain.mean() > _BETTER * error and judged.mean() > best.mean():
                    self.chosen_, best, ratio = DEEP, judged, ratios
                    self.net_ = nn.ModuleList(nn.ModuleList([m.net, m.processes]) for m in deepcopy(members))  # type: ignore[list-item]
                if worse == _PATIENCE:
                    break
        self.left_out_ = pd.DataFrame(rows, columns=["model", "steps", "density", "std_of_gain"])
        self.std_factor_ = _std_factors(ratio)
        self.figures_ = {
            "left_out_density": round(float(best.mean()), 4),
            "left_out_coverage_95": round(float((np.abs(ratio) <= 2 * self.std_factor_).mean()), 4),
        }

    def _scale(self, raw: Array, values: Array) -> None:
        """Middle and spread of each channel, or each descriptor; principal components; the scale of the targets."""
        axes = (0,) if raw.ndim == 2 else (0, -2, -1)
        middle, spread = raw.mean(axis=axes, keepdims=True)[0], raw.std(axis=axes, keepdims=True)[0]
        spread = np.where(spread > 1e-12 * (1 + np.abs(middle)), spread, 1.0)
        self.input_mean_ = np.broadcast_to(middle, raw.shape[1:]).reshape(-1).copy()
        self.input_spread_ = np.broadcast_to(spread, raw.shape[1:]).reshape(-1).copy()
        flat = self._scaled(raw)
        centre = flat.mean(axis=0)
        _, size, rows = np.linalg.svd(flat - centre, full_matrices=False)
        n = max(1, min(self.n_features, len(rows), int((size > 1e-9 * max(size[0], 1e-30)).sum())))
        # each component by its own spread: the process has a length scale for each, and starts with all alike
        scale = np.maximum(size[:n] / np.sqrt(len(flat)), 1e-12)
        self.axes_ = rows[:n] / scale[:, None]
        self.centre_ = centre
        self.target_mean_, spread = values.mean(axis=0), values.std(axis=0)
        self.target_spread_ = np.where(spread > 1e-12 * (1 + np.abs(values).max(axis=0)), spread, 1.0)

    def _scaled(self, raw: Array) -> Array:
        scaled: Array = (raw.reshape(len(raw), -1) - self.input_mean_) / self.input_spread_
        return scaled

    def _components(self, scaled: Array) -> Tensor:
        return torch.from_numpy((scaled - self.centre_) @ self.axes_.T)

    def _data(self, features: Tensor, output: int, which: Any = slice(None)) -> Data:
        targets = torch.from_numpy(self.targets_[:, output : output + 1])[which]
        return Data(features[which], targets, None, features[which])

    def _parts(self) -> list[NDArray[np.int64]]:
        """What each member leaves out."""
        order = np.random.default_rng([self.seed_, 1]).permutation(len(self.targets_))
        return [np.sort(part) for part in np.array_split(order, max(1, min(self.n_members, len(order) - 1)))]

    def _plain(self, parts: list[NDArray[np.int64]]) -> tuple[nn.ModuleList, Array, Array]:
        """The process over principal components, and what `_judged` says of it."""
        plain = nn.ModuleList(self._process() for _ in self.names_)
        for j, process in enumerate(plain):
            process.learn([self._data(self._components(self.inputs_), j)])  # type: ignore[operator]
        return plain, *self._judged([_Member(None, plain)] * len(parts), parts)

    def _process(self) -> Process:
        return Process(self.kernel, len(self.axes_), isotropic=True)

    def _new_member(self, number: int, plain: nn.ModuleList) -> "_Member":
        with torch.random.fork_rng(devices=[]):  # weights from our seed; the user's generator stays where it is
            torch.default_generator.manual_seed(self.seed_ + number)
            return _Member(self._new_net(), deepcopy(plain))

    def _new_net(self) -> nn.Module:
        arguments: dict[str, Any] = {"shape": self.shape_, "outputs": len(self.axes_)}
        if isinstance(self.net, nn.Module):
            return deepcopy(self.net)
        if self.net is not None and not isinstance(self.net, str):
            made: nn.Module = in_float32(self.net, arguments)
            return made
        name = self.net or ("convolutional" if len(self.shape_) == 3 and min(self.shape_[1:]) >= 4 else "dense")
        return build_net(name, FEATURE_ARCHITECTURES, **arguments, width=self.width)

    def _train(self, member: "_Member", left_out: NDArray[np.int64], look: int) -> None:
        """Some steps, each with all points that the member may see."""
        seen = torch.from_numpy(np.setdiff1d(np.arange(len(self.targets_)), left_out))
        if len(seen) > _MOST_EXACT // 3:  # a step of so many points tells as much
            rng = np.random.default_rng([self.seed_, 2, look])
            seen = seen[torch.from_numpy(np.sort(rng.permutation(len(seen))[: _MOST_EXACT // 3]))]
        components, inputs = self._components(self.inputs_)[seen], torch.from_numpy(self.inputs_)[seen]
        targets = torch.from_numpy(self.targets_)[seen]
        with torch.enable_grad():
            for _ in range(max(1, self.steps // _LOOKS)):
                member.optimiser(self.learning_rate).zero_grad()
                features = member.features(components, inputs)
                loss = sum(
                    process([Data(features, targets[:, j : j + 1], None, features)])
                    for j, process in enumerate(member.processes)
                )
                if not torch.isfinite(loss):
                    return
                loss.backward()
                member.optimiser(self.learning_rate).step()

    @torch.no_grad()
    def _judged(self, members: list["_Member"], parts: list[NDArray[np.int64]]) -> tuple[Array, Array]:
        """Logarithm of the density of points by who has not seen them; errors over their deviations; (n, k) each."""
        density, ratio = np.zeros_like(self.targets_), np.zeros_like(self.targets_)
        components, inputs = self._components(self.inputs_), torch.from_numpy(self.inputs_)
        for member, part in zip(members, parts, strict=True):
            others, left_out = np.setdiff1d(np.arange(len(self.targets_)), part), torch.from_numpy(part)
            features = member.features(components, inputs)
            for j, process in enumerate(member.processes):
                if not len(others):
                    continue
                known = _knowing(process, self._data(features, j, torch.from_numpy(others)))
                mean, variance = known.mean_and_variance(features[left_out], features[left_out])
                std = np.sqrt((variance + process.log_noise.exp())[:, 0].numpy())  # type: ignore[operator]
                left = self.targets_[part, j] - mean[:, 0].numpy()
                density[part, j], ratio[part, j] = log_density(left, np.zeros_like(left), std), left / std
        return density, ratio

    def _know(self) -> None:
        """All members, each knowing all points."""
        with torch.no_grad():
            components, inputs = self._components(self.inputs_), torch.from_numpy(self.inputs_)
            self.known_: list[list[Knowing]] = []
            for member in self._members():
                if member.net is not None:
                    member.net.double()  # so that batches say what all say at once
                features = member.features(components, inputs)
                self.known_.append([_knowing(p, self._data(features, j)) for j, p in enumerate(member.processes)])

    def _members(self) -> list["_Member"]:
        if self.chosen_ == PLAIN:
            return [_Member(None, self.net_[0])]  # type: ignore[arg-type]
        return [_Member(pair[0], pair[1]) for pair in self.net_]  # type: ignore[index]

    # ---------------------------------------------------------------- asking

    def posterior(self, inputs: ArrayLike) -> Posterior:
        """What is believed of the true values at `inputs`, in the targets' unit."""
        self._check_fitted("posterior")
        scaled = self._scaled(self._checked_like(inputs))
        pieces = [self._told(scaled[first : first + _AT_ONCE]) for first in range(0, len(scaled), _AT_ONCE)]
        mean, std, noise = (np.concatenate(each) for each in zip(*pieces, strict=True))

        def joint(which: NDArray[np.int64]) -> Array:
            return self._covariance(scaled[which])

        exact = all(isinstance(known, Conditioned) for member in self.known_ for known in member)
        return Posterior(mean, std, noise, joint if exact else None)

    def predict(self, inputs: ArrayLike) -> pd.DataFrame:
        """A row an input: for each number ``<name>``, ``<name>_std``, of a new measurement there, and
        ``<name>_std_model``, of the true value, in the targets' units.

        Raises
        ------
        ShapeError : if the inputs are not as those of the training.
        """
        self._check_fitted("predict")
        return as_table(self.posterior(inputs), self.names_)

    @torch.no_grad()
    def _told(self, scaled: Array) -> tuple[Array, Array, Array]:
        """Mean, and deviations of the true value and of the noise, (n, k) each."""
        means, variances, noises = [], [], []
        for member, known in zip(self._members(), self.known_, strict=True):
            features = member.features(self._components(scaled), torch.from_numpy(scaled))
            told = [each.mean_and_variance(features, features) for each in known]
            means.append(torch.cat([mean for mean, _ in told], dim=1).numpy())
            variances.append(torch.cat([variance for _, variance in told], dim=1).numpy())
            noises.append([float(process.log_noise.exp()) for process in member.processes])  # type: ignore[operator]
        mean = np.mean(means, axis=0)
        variance = np.mean(variances, axis=0) + np.var(means, axis=0)
        noise = np.tile(np.mean(noises, axis=0), (len(scaled), 1))
        unit = self.target_spread_ * self.std_factor_
        return mean * self.target_spread_ + self.target_mean_, np.sqrt(variance) * unit, np.sqrt(noise) * unit

    @torch.no_grad()
    def _covariance(self, scaled: Array) -> Array:
        """(k, m, m): what the members state in the mean, and how they differ."""
        stated, means = [], []
        for member, known in zip(self._members(), self.known_, strict=True):
            features = member.features(self._components(scaled), torch.from_numpy(scaled))
            stated.append(torch.cat([k.covariance(features, features) for k in known if isinstance(k, Conditioned)]))
            means.append(torch.cat([each.mean_and_variance(features, features)[0] for each in known], dim=1).numpy())
        differ = np.stack(means) - np.mean(means, axis=0)
        whole = torch.stack(stated).mean(dim=0).numpy() + np.einsum("amk,ank->kmn", differ, differ) / len(means)
        unit = self.target_spread_ * self.std_factor_
        result: Array = whole * unit[:, None, None] ** 2
        return result

    def _checked_like(self, inputs: ArrayLike) -> Array:
        raw = _checked(inputs)
        shape = list(raw.shape[1:]) if raw.ndim != 3 else [1, *raw.shape[1:]]
        if shape != self.shape_:
            raise ShapeError(f"inputs: expected (n, {', '.join(map(str, self.shape_))}), got {raw.shape}.")
        return raw

    # ---------------------------------------------------------------- keeping

    def header(self) -> dict[str, Any]:
        """What the model file says about the model, JSON-serialisable."""
        own = self.net is not None and not isinstance(self.net, str)
        return {
            **self._made_by(),
            "name": type(self).__name__.lower(),
            "description": "",
            "architecture": {"name": "deep_kernel", "own": own and self.chosen_ == DEEP, "arguments": {}},
            "net": self.net if isinstance(self.net, str) else None,
            "kernel": self.kernel,
            "chosen": self.chosen_,
            "shape": self.shape_,
            "n_features": self.n_features,
            "width": self.width,
            "n_members": len(self.net_),
            "names": self.names_,
            "classes": [],
            "recipe": None,
        }

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file, its data included; nothing is pickled."""
        self._check_fitted("save")
        beside = {f"learned/{name}": value.detach().double().numpy() for name, value in self.net_.named_parameters()}
        beside |= {name: getattr(self, f"{name}_") for name in _KEPT}
        write_model_file(Path(path), self.header(), nn.Module(), beside)

    @classmethod
    def _from_file(cls, path: Path, header: dict[str, Any], *, net: Any = None) -> Self:
        if header["architecture"].get("own") and net is None:
            raise ModelFileError(f"model: {path.name} holds the weights of a network of your own. Give it: net=.")
        _, _, beside = read_model_file(path, header, build=lambda _: nn.Module())
        names = ("kernel", "n_features", "width")
        model = cls(net=net or header["net"], n_members=header["n_members"], **{name: header[name] for name in names})
        model.seed_, model.figures_, model.names_ = header["seed"], header["figures"], header["names"]
        model.shape_, model.chosen_ = header["shape"], header["chosen"]
        try:
            for name in _KEPT:
                setattr(model, f"{name}_", beside[name])
            processes = [nn.ModuleList(model._process() for _ in model.names_) for _ in range(header["n_members"])]
            if model.chosen_ == PLAIN:
                model.net_ = nn.ModuleList(processes)
            else:
                model.net_ = nn.ModuleList(nn.ModuleList([model._new_net(), each]) for each in processes)
            with torch.no_grad():
                for name, parameter in model.net_.named_parameters():
                    parameter.copy_(torch.from_numpy(beside[f"learned/{name}"]).reshape(parameter.shape))
            model._know()
        except (KeyError, RuntimeError, ValueError) as error:
            raise ModelFileError(f"model: {path.name} is damaged ({' '.join(str(error).split())[:200]}).") from error
        model.left_out_ = pd.DataFrame(columns=["model", "steps", "density", "std_of_gain"])
        return model


_KEPT = (
    "inputs",
    "targets",
    "input_mean",
    "input_spread",
    "axes",
    "centre",
    "target_mean",
    "target_spread",
    "std_factor",
)


class _Member:
    """A network and the processes, one a number, that compare its features; without one, those compare components."""

    def __init__(self, net: nn.Module | None, processes: nn.ModuleList) -> None:
        self.net: nn.Module | None = net
        self.processes: nn.ModuleList = processes
        self._optimiser: torch.optim.Optimizer | None = None

    def features(self, components: Tensor, inputs: Tensor) -> Tensor:
        """(n, features)."""
        if self.net is None:
            return components
        dtype = next((weight.dtype for weight in self.net.parameters()), torch.float32)
        seen: Tensor = self.net(inputs.to(dtype)).double()
        if seen.shape != components.shape:
            raise ShapeError(f"net: expected a module that gives {tuple(components.shape)}, got {tuple(seen.shape)}.")
        return components + seen

    def optimiser(self, learning_rate: float) -> torch.optim.Optimizer:
        """Its own, which remembers the steps before."""
        if self._optimiser is None:
            assert self.net is not None
            self._optimiser = torch.optim.AdamW(
                [
                    {"params": list(self.net.parameters()), "weight_decay": _WEIGHT_DECAY},
                    {"params": list(self.processes.parameters()), "weight_decay": 0.0},
                ],
                lr=learning_rate,
            )
        return self._optimiser


def _knowing(process: Any, data: Data) -> Knowing:
    return (Conditioned if len(data.inputs) <= _MOST_EXACT else NearestProcess)(process, data)


def _std_factors(ratio: Array) -> Array:
    """What stated deviations (k,) are multiplied with, so that they hold the usual share of points left out."""
    if len(ratio) < _ENOUGH:
        return np.ones(ratio.shape[1])
    factors: Array = np.clip(np.quantile(np.abs(ratio), 0.95, axis=0) / 1.96, *_FACTORS)
    return factors


def _checked(inputs: ArrayLike) -> Array:
    raw = np.asarray(inputs, dtype=float)
    if raw.ndim not in (2, 3, 4) or not raw.size:
        raise ShapeError(f"inputs: expected (n, y, x), (n, channel, y, x) or (n, d), got {raw.shape}.")
    if not np.isfinite(raw).all():
        raise ArgumentError(f"inputs: expected finite numbers, got {np.sum(~np.isfinite(raw))} others.")
    return raw
