"""Many images of a recipe, one after the other, drawn by several processes."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor

from adatom.errors import ArgumentError
from adatom.simulate.generator import SimulatedImage, simulate_image
from adatom.simulate.recipe import ImageRecipe

_IMAGES_A_TASK = 8
# A process takes about a second to start, in which this one draws as many images.
_FEWEST_FOR_PROCESSES = 100
_AHEAD = 3  # tasks a process may be ahead of whom takes the images: what is waiting stays small


def simulate_images(recipe: ImageRecipe, *, seed: int, first: int, n: int, jobs: int = 1) -> Iterator[SimulatedImage]:
    """Images number `first` to `first + n - 1`, in order, and the same whatever the number of processes.

    Parameters
    ----------
    jobs : processes to draw them in. More than one are started anew (spawned): a program that asks for them keeps what
        it does under ``if __name__ == "__main__"``. Few images are drawn in this process anyway.

    Raises
    ------
    ArgumentError : if `jobs` is less than 1.
    """
    if jobs < 1:
        raise ArgumentError(f"jobs: expected at least 1, got {jobs}.")
    if jobs == 1 or n < _FEWEST_FOR_PROCESSES:
        return (simulate_image(recipe, seed=seed, index=index) for index in range(first, first + n))
    return _simulate_in_processes(recipe, seed, range(first, first + n), jobs)


def _simulate_in_processes(recipe: ImageRecipe, seed: int, indices: range, jobs: int) -> Iterator[SimulatedImage]:
    # only what draws images, lest the processes load the libraries of a training
    plain = ImageRecipe(**{name: getattr(recipe, name) for name in ImageRecipe.model_fields})
    pool = ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(plain, seed)
    )
    waiting: deque[Future[list[SimulatedImage]]] = deque()
    try:
        for start in range(0, len(indices), _IMAGES_A_TASK):
            waiting.append(pool.submit(_simulate, indices[start : start + _IMAGES_A_TASK]))
            if len(waiting) >= _AHEAD * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_stream: tuple[ImageRecipe, int]  # of a process: what it draws from


def _start(recipe: ImageRecipe, seed: int) -> None:
    global _stream
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked stops them
    _stream = (recipe, seed)


def _simulate(indices: range) -> list[SimulatedImage]:
    recipe, seed = _stream
    return [simulate_image(recipe, seed=seed, index=index) for index in indices]
