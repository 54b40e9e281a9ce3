"""Messages of the Nanonis protocol: what is packed is read, and what is not of it is refused."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adatom.instruments import nanonis_wire as wire
from adatom.instruments.nanonis_commands import COMMANDS

FIELDS = ["H", "h", "I", "i", "f", "d", "s", "s*", "f**", "i*", "f*"]
VALUES = [1, -2, 3, -4, 0.5, 0.25, "Z (m)", ["a", "", "µm"], np.arange(6.0).reshape(2, 3), [1, 2], []]


def test_a_header_is_as_the_protocol_says():
    request = wire.packed_request("FolMe.XYPosSet", ("d", "d", "I"), (1e-9, -1e-9, 1))
    assert request[:32] == b"FolMe.XYPosSet" + 18 * b"\0"
    assert request[32:40] == bytes([0, 0, 0, 20, 0, 1, 0, 0])
    assert len(request) == 60 and request[40:42] == b"\x3e\x11"  # 1e-9 as a big-endian double
    assert wire.read_header(request[:40]) == ("FolMe.XYPosSet", 20)


def test_what_is_packed_is_read():
    answer = wire.packed_answer("Any", FIELDS, VALUES)
    values, error = wire.read_answer(answer[40:], FIELDS)
    assert error == ""
    assert all(np.array_equal(got, sent) for got, sent in zip(values, VALUES, strict=True))
    lines = ("i", "f#", "i#")
    values, error = wire.read_answer(wire.packed_answer("Any", lines, (2, [1, 2], [3, 4]), "Oh\nno")[40:], lines)
    assert error == "Oh no" and values[2].tolist() == [3, 4]


def test_an_error_may_come_alone():
    body = wire.packed_answer("Any", (), (), "not possible")[40:]
    assert wire.read_answer(body, ("f", "s*")) == ([], "not possible")


@given(st.binary(max_size=80), st.sampled_from([each.gives for each in COMMANDS.values()] + [tuple(FIELDS)]))
def test_noise_is_refused_and_nothing_else_happens(noise, kinds):
    with contextlib.suppress(wire.WireError):
        wire.read_answer(noise, kinds)
    if len(noise) >= 40:
        with contextlib.suppress(wire.WireError):
            wire.read_header(noise[:40])


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_byte_that_changed_is_refused_or_read_but_never_trusted_with_memory(place, byte):
    body = bytearray(wire.packed_answer("Any", FIELDS, VALUES)[40:])
    body[place % len(body)] = byte
    with contextlib.suppress(wire.WireError):
        wire.read_answer(bytes(body), FIELDS)


@pytest.mark.parametrize("size", [-1, 2**31 - 1])
def test_sizes_that_make_no_sense_are_refused(size):
    header = b"Any".ljust(32, b"\0") + size.to_bytes(4, "big", signed=True) + bytes(4)
    with pytest.raises(wire.WireError, match="a body of"):
        wire.read_header(header)
