"""The size of a query's result as values, of which Arrow may store one for many cells.

A value of an enum is stored once per column, a struct's field names once per type, and a null or a
boolean takes at most a bit. As Python, CSV or JSON, each cell has its own.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_LEAST_VALUE_BYTES = 16
"""Of a value in a list, struct or map: its place in a Python list, or its text and punctuation."""


def expanded_bytes(table: "pa.Table") -> int:
    """Return how many bytes the columns with enums or nested values have as values."""
    import pyarrow as pa

    return sum(
        _expanded_bytes(chunk)
        for column in table.columns
        if pa.types.is_nested(column.type) or pa.types.is_dictionary(column.type)
        for chunk in column.chunks
    )


def _expanded_bytes(array: "pa.Array") -> int:
    import pyarrow as pa

    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        size_bytes = _dictionary_bytes(array)
    elif isinstance(array, pa.StructArray):
        names_bytes = sum(len(field.name.encode()) for field in array.type)
        size_bytes = len(array) * names_bytes + sum(map(_expanded_bytes, array.flatten()))
    elif isinstance(array, pa.UnionArray):
        fields = [array.field(index) for index in range(array.type.num_fields)]
        size_bytes = sum(map(_expanded_bytes, fields))
    elif isinstance(array, pa.MapArray):
        start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        children = [array.keys, array.items]
        size_bytes = sum(_expanded_bytes(child.slice(start, end - start)) for child in children)
    elif isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        size_bytes = _expanded_bytes(array.flatten())
    else:
        size_bytes = array.nbytes
    return max(size_bytes, len(array) * _LEAST_VALUE_BYTES)


def _dictionary_bytes(array: "pa.DictionaryArray") -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.call_function("binary_length", [array.dictionary.cast(pa.large_string())])
    return pc.call_function("sum", [lengths.take(array.indices)]).as_py() or 0
