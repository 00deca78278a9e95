"""The bytes in which a learned model is kept.

One line of JSON, which a person can read (`head -n 1 FILE`), then the weights of the buckets: three rows of
32-bit floats, little-endian; at last the SHA-256 of all that. The line says what the file is. So a file that
was cut, changed, or made for other features is told from a whole one before anything is routed by it.
"""

import sys
from array import array
from hashlib import sha256
from math import isfinite

import msgspec

from bursar.errors import CorruptStore
from bursar.policy.routing.curve import Curve
from bursar.policy.routing.features import BUCKETS, MEASURE_COUNT
from bursar.policy.routing.model import Head, ModelCard, RouteModel, Space

FORMAT = "bursar.route.model"
VERSION = 1
"""Counts up whenever what `read_features` sees, or how a score is made of it, changes."""

BYTES_MAX = 16 << 20
"""More than any model has."""

_FLOAT_BYTES = 4
_ROWS = 3
_BODY_BYTES = _ROWS * _FLOAT_BYTES * BUCKETS
_SEAL_BYTES = 32
_HEAD_BYTES_MAX = 1 << 20
_MEND = "fit it again with `bursar route train`"


class _Kind(msgspec.Struct):
    """What every version's first line begins with."""

    format: str
    version: int


class _Header(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    format: str
    version: int
    card: ModelCard
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    better_bias: float
    better_measures: tuple[float, ...]
    worse_bias: float
    worse_measures: tuple[float, ...]
    curve: Curve


_KIND = msgspec.json.Decoder(_Kind)
_HEADER = msgspec.json.Decoder(_Header)


def encode(model: RouteModel) -> bytes:
    """Return the bytes of a model's file. Equal models have equal bytes."""
    rows = (model.space.rarity, model.better.buckets, model.worse.buckets)
    body = b"".join(_little_endian(row).tobytes() for row in rows)
    header = _Header(
        format=FORMAT,
        version=VERSION,
        card=model.card,
        means=model.space.means,
        deviations=model.space.deviations,
        better_bias=model.better.bias,
        better_measures=model.better.measures,
        worse_bias=model.worse.bias,
        worse_measures=model.worse.measures,
        curve=model.curve,
    )
    content = msgspec.json.encode(header) + b"\n" + body
    return content + sha256(content).digest()


def decode(content: bytes, file: str) -> RouteModel:
    """Read a model's file.

    Args:
        content: The file's bytes.
        file: Its name, for the message.

    Raises:
        CorruptStore: It is no model, one of another version, or damaged.
    """
    line, newline, rest = content.partition(b"\n")
    _check_kind(line if newline else b"", file)
    written, seal = content[:-_SEAL_BYTES], content[-_SEAL_BYTES:]
    if len(rest) != _BODY_BYTES + _SEAL_BYTES or sha256(written).digest() != seal:
        raise CorruptStore(f"{file}: the routing model is damaged (it is not as it was written); {_MEND}")
    header, body = _header(line, file), rest[:-_SEAL_BYTES]
    measures = len(header.means)
    by_measure = (header.means, header.deviations, header.better_measures, header.worse_measures)
    answers = 2 if header.card.answer_field else 1
    rarity, better, worse = (_floats(body, number) for number in range(_ROWS))
    # A sum shows every number that is none, in a fraction of the time of looking at each.
    sums = [sum(row) for row in (rarity, better, worse, *by_measure)]
    if (
        {len(row) for row in by_measure} != {answers * MEASURE_COUNT}
        or not measures
        or min(header.deviations) <= 0
        or not header.curve.points
        or not all(map(isfinite, sums))
    ):
        raise CorruptStore(f"{file}: the routing model is damaged (its numbers do not fit together); {_MEND}")
    return RouteModel(
        card=header.card,
        space=Space(rarity, header.means, header.deviations),
        better=Head(header.better_bias, better, header.better_measures),
        worse=Head(header.worse_bias, worse, header.worse_measures),
        curve=header.curve,
    )


def _check_kind(line: bytes, file: str) -> None:
    """Refuse what is no model, or one of another version."""
    try:
        kind = _KIND.decode(line) if 0 < len(line) <= _HEAD_BYTES_MAX else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        kind = None
    if kind is None or kind.format != FORMAT:
        raise CorruptStore(f"{file}: is no routing model; `bursar route train OUTCOMES.jsonl` makes one")
    if kind.version != VERSION:
        raise CorruptStore(
            f"{file}: the routing model is of version {kind.version}, this Bursar reads {VERSION}; {_MEND}"
        )


def _header(line: bytes, file: str) -> _Header:
    try:
        return _HEADER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptStore(f"{file}: the routing model is damaged ({error}); {_MEND}") from None


def _floats(body: bytes, number: int) -> "array[float]":
    size = _FLOAT_BYTES * BUCKETS
    row = array("f", body[number * size : (number + 1) * size])
    return _little_endian(row)


def _little_endian(row: "array[float]") -> "array[float]":
    """Turn a row around where this machine keeps its numbers the other way."""
    if sys.byteorder == "big":
        row = row[:]
        row.byteswap()
    return row
