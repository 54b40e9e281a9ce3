"""How something reaches every worker once: those that are there, and those that come later or come back."""

from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

from adatom.cluster.work import forget, keep


class SharedContent(WorkerPlugin):
    """Bytes that the scheduler gives to each worker before any task."""

    def __init__(self, key: str, content: bytes) -> None:
        self.key, self.content = key, content
        self.name = name_of(key)

    def setup(self, worker: Any) -> None:
        keep(self.key, self.content)

    def teardown(self, worker: Any) -> None:
        forget(self.key)


def name_of(key: str) -> str:
    """Of the plugin that carries it."""
    return f"adatom-{key}"
