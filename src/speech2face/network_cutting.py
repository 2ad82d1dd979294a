"""An ONNX network cut to the part that computes one of its inner values, without the package onnx.

A file is a protocol buffer message: fields one after the other, each a tag and its contents. Those
needed are copied as they are, so the weights stay the same to the last bit. Names and numbers of
the fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

GRAPH = 7  # of a model
NODE, INITIALIZER, OUTPUT, VALUE_INFO = 1, 5, 12, 13  # of a graph
NODE_INPUT, NODE_OUTPUT = 1, 2
TENSOR_NAME = 8
FLOATS = b"\x12\x04\x0a\x02\x08\x01"  # the type of an output: floats, of any shape


@dataclass(frozen=True)
class Node:
    """A step of a network."""

    inputs: list[str]  # the values that it takes, weights among them
    outputs: list[str]  # the values that it gives
    raw: memoryview  # the field, tag included


def cut_network(model: bytes, choose: Callable[[list[Node]], str]) -> bytes:
    """The network that computes only the value which `choose` names, given the nodes in order.

    `model` holds an ONNX file. Raises ValueError where it is no such message, and what `choose`
    raises.
    """
    kept = []
    for number, contents, raw in _read_fields(memoryview(model)):
        if number == GRAPH:
            raw = _write_field(GRAPH, _cut_graph(contents, choose))
        kept.append(raw)
    return b"".join(kept)


def _cut_graph(graph: memoryview, choose: Callable[[list[Node]], str]) -> bytes:
    fields = list(_read_fields(graph))
    nodes = [_read_node(contents, raw) for number, contents, raw in fields if number == NODE]
    output = choose(nodes)
    needed, steps = {output}, []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            steps.append(node.raw)
    kept = list(reversed(steps))
    for number, contents, raw in fields:
        if number == INITIALIZER:
            if needed.intersection(_read_texts(contents, TENSOR_NAME)):
                kept.append(raw)
        elif number not in (NODE, OUTPUT, VALUE_INFO):
            kept.append(raw)
    told = _write_field(1, output.encode()) + FLOATS
    return b"".join([*kept, _write_field(OUTPUT, told)])


def _read_node(contents: memoryview, raw: memoryview) -> Node:
    return Node(_read_texts(contents, NODE_INPUT), _read_texts(contents, NODE_OUTPUT), raw)


def _read_texts(message: memoryview, wanted: int) -> list[str]:
    return [
        str(contents, "utf-8") for number, contents, _ in _read_fields(message) if number == wanted
    ]


def _read_fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, contents and the whole of each field. Raises ValueError where it is cut off."""
    place = 0
    while place < len(message):
        begin = place
        tag, place = _read_varint(message, place)
        match tag & 7:  # the kind of field
            case 0:  # a number
                length = _read_varint(message, place)[1] - place
            case 1:  # eight bytes
                length = 8
            case 2:  # text, bytes or a message, after their length
                length, place = _read_varint(message, place)
            case 5:  # four bytes
                length = 4
            case kind:
                raise ValueError(f"a field of kind {kind}")
        end = place + length
        if end > len(message):
            raise ValueError("the file is cut off")
        yield tag >> 3, message[place:end], message[begin:end]
        place = end


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    """The number that begins at `place`, and where it ends. Raises ValueError."""
    value = shift = 0
    while place < len(message):
        byte = message[place]
        value |= (byte & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if byte < 0x80:
            return value, place
    raise ValueError("the file is cut off")


def _write_field(number: int, contents: bytes) -> bytes:
    return _write_varint(number << 3 | 2) + _write_varint(len(contents)) + contents


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
