"""What to measure next: from what a model says of places not yet measured to the next ones. No instrument is imported
here, so it goes with anybody's control system."""

from adatom.decide.posterior import Posterior, Surrogate

__all__ = ["Posterior", "Surrogate"]
