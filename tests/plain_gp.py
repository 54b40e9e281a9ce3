"""A small Gaussian process by scikit-learn, as somebody else's surrogate."""

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from adatom.decide import Posterior


class PlainGP:
    """One length, one noise, both given; each output on its own scale."""

    def __init__(self, length=0.25, noise=0.05, has_joint=True):
        self.length, self.noise, self.has_joint = length, noise, has_joint

    def fit(self, inputs, targets):
        self.middle, self.scale = targets.mean(axis=0), np.maximum(targets.std(axis=0), 1e-9)
        self.model = GaussianProcessRegressor(RBF(self.length), alpha=self.noise**2, optimizer=None)
        self.model.fit(inputs, (targets - self.middle) / self.scale)
        return self

    def posterior(self, inputs):
        mean, std = self.model.predict(inputs, return_std=True)
        mean, std = (np.reshape(each, (len(inputs), -1)) for each in (mean, std))

        def joint(which):
            covariance = self.model.predict(inputs[which], return_cov=True)[1]
            covariance = covariance if covariance.ndim == 3 else covariance[:, :, None]
            return covariance.transpose(2, 0, 1) * self.scale[:, None, None] ** 2

        noise = np.broadcast_to(self.noise * self.scale, mean.shape)
        return Posterior(
            self.middle + mean * self.scale, std * self.scale, noise.copy(), joint if self.has_joint else None
        )
