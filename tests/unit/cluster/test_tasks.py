"""Tasks on a cluster: in order, few at a time, with what they share, and with errors that a person can use."""

import time

import pytest

from adatom.cluster import open_cluster, tell, work
from adatom.errors import ArgumentError, ClusterError

distributed = pytest.importorskip("distributed")

begun: list[int] = []  # by workers that are threads of this process


@pytest.fixture(scope="module")
def address():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs="ERROR"
    ) as cluster:
        yield cluster.scheduler_address


def later_first(n: int) -> int:
    time.sleep(0.05 if n % 2 == 0 else 0.0)
    begun.append(n)
    return n


def added(base: int, n: int) -> int:
    return base + n


def odd_only(n: int) -> int:
    if n % 2 == 0:
        raise ArgumentError(f"n: expected an odd number, got {n}.")
    return n


def telling(n: int) -> None:
    tell(f"at {n}")


def test_results_come_in_order_and_few_are_under_way(address):
    begun.clear()
    with open_cluster(address) as cluster:
        results = cluster.in_order(later_first, range(60))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        assert len(begun) <= 3 + cluster.depth
        results.close()  # what was not begun is given up
        time.sleep(0.3)
        assert len(begun) < 60
        assert list(cluster.in_order(later_first, range(20))) == list(range(20))


def test_what_tasks_share_is_sent_once_and_forgotten(address):
    with open_cluster(address) as cluster:
        with cluster.sharing(100) as base, cluster.sharing(200) as other:
            assert list(cluster.in_order(added, range(4), shared=base)) == [100, 101, 102, 103]
            assert cluster.submit(added, 1, shared=other).result() == 201
            assert len(work._kept) == 2
        assert not work._kept and not work._values


def test_an_error_of_a_task_is_raised_as_it_is(address):
    with open_cluster(address) as cluster:
        with pytest.raises(ArgumentError, match=r"n: expected an odd number, got 2\."):
            list(cluster.in_order(odd_only, [1, 3, 2, 5]))
        assert cluster.submit(odd_only, 5).result() == 5


def test_tasks_tell(address):
    with open_cluster(address) as cluster:
        list(cluster.in_order(telling, range(3)))
        told: list[str] = []
        for _ in range(100):
            told += cluster.heard()
            if len(told) == 3:
                break
            time.sleep(0.02)
        assert sorted(told) == ["at 0", "at 1", "at 2"]


def test_what_was_not_done_at_the_end_is_told(address):
    with open_cluster(address) as cluster:
        waiting = [cluster.submit(later_first, n) for n in range(0, 40, 2)]
    with pytest.raises(ClusterError, match="given up"):
        waiting[-1].result(timeout=5)


def test_another_version_on_a_worker_is_told(address, monkeypatch):
    monkeypatch.setattr("adatom.cluster.tasks.__version__", "0.0.1")
    with open_cluster(address) as cluster, pytest.raises(ClusterError, match=r"expected Adatom 0\.0\.1 on its workers"):
        cluster.submit(odd_only, 1).result()


def test_a_cluster_that_cannot_be_is_told():
    for address, told in (
        ("local:0", "at least 1 worker, got local:0"),
        ("tls://10.0.0.5:8786", "expected certificates in dask's configuration"),
        ("nonsense://here", "expected the address of a dask scheduler, got nonsense://here"),
    ):
        with pytest.raises(ArgumentError, match=told), open_cluster(address):
            pass


def test_an_open_cluster_stays_open(address):
    with open_cluster(address) as cluster:
        with open_cluster(cluster) as same:
            assert same is cluster
        assert cluster.submit(odd_only, 3).result() == 3
