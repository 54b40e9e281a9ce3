"""Pixels along an axis, from one up to another."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Pixels from `start` up to, and without, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    def within(self, length: int) -> "Span":
        """The part of it that lies on an axis of this length."""
        return Span(max(0, self.start), min(length, self.stop))

    def grown(self, by: int, length: int) -> "Span":
        """Larger by so much on both sides, within an axis of this length."""
        return Span(self.start - by, self.stop + by).within(length)

    def longer(self, by: int) -> "Span":
        """The same with so many more pixels at its end."""
        return Span(self.start, self.stop + by)

    @property
    def as_slice(self) -> slice:
        return slice(self.start, self.stop)


def parted(span: Span, side: int) -> list[Span]:
    """Spans of `side` pixels, one after the other; the last one is what is left."""
    return [Span(start, min(start + side, span.stop)) for start in range(span.start, span.stop, side)]
