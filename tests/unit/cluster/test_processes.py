"""Processes of this machine: results in order, what is shared, errors, and a process that dies."""

import os
import signal

import pytest

from adatom.cluster import Processes
from adatom.errors import ArgumentError, ClusterError


def times(factor: int, number: int) -> int:
    if number < 0:
        raise ArgumentError(f"number: expected none below 0, got {number}.")
    return factor * number


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_order_and_errors_come_back():
    with Processes(2) as processes:
        with processes.sharing(3) as three, processes.sharing(5) as five:
            assert list(processes.in_order(times, range(6), shared=three)) == [0, 3, 6, 9, 12, 15]
            assert list(processes.in_order(times, range(3), shared=five)) == [0, 5, 10]
        assert processes.submit(times, 2, 2).result() == 4
        with pytest.raises(ArgumentError, match="expected none below 0"):
            processes.submit(times, 2, -1).result()


def test_a_process_that_dies_is_told():
    with Processes(1) as processes:
        with pytest.raises(ClusterError, match="got one that died"):
            processes.submit(die, 1).result()
        with pytest.raises(ClusterError, match="got one that died"):
            processes.submit(times, 1, 1).result()
