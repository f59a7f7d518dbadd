"""Chunk-compressed arrays on disk (Blosc2 ``b2nd`` files), of which a crop is read without decompressing the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rsuper_bench.benchmark.errors import DataError, Problem, RsuperBenchError

SUFFIX = ".b2nd"
# What is decompressed at a time, and what is found by one look-up. A crop of 128 voxels touches 1.4 times as many
# voxels in blocks of 16; smaller ones compress worse and cost more calls.
BLOCK, CHUNK = 16, 64
# A header with exactly one section of metadata, that of an n-dimensional array. Others can make the library evaluate
# an expression or open another file.
HEADER = slice(87, 99)
PLAIN = b"\x93\xcd\x00\x11\xde\x00\x01\xa4b2nd"


def array_bytes(array: NDArray[Any]) -> bytes:
    """The file of an array: the same bytes each time, by one thread (more would write blocks in the order they end).

    Args:
        array: Three axes.
    """
    import blosc2

    compressed = blosc2.asarray(
        np.ascontiguousarray(array),
        chunks=tuple(min(CHUNK, size) for size in array.shape),
        blocks=tuple(min(BLOCK, size) for size in array.shape),
        cparams=blosc2.CParams(
            codec=blosc2.Codec.ZSTD, clevel=1, filters=[blosc2.Filter.BITSHUFFLE], filters_meta=[0], nthreads=1
        ),
    )
    return bytes(compressed.to_cframe())


class StoredArray:
    """An array on disk; indexing with slices reads the blocks they touch.

    Args:
        path: Its file.
        case_id: Named in errors.
        shape: Expected.
        dtype: Expected.

    Raises:
        DataError: If the file is damaged, or holds something else. Reading voxels raises it too.
    """

    def __init__(self, path: Path, case_id: str, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        import blosc2

        self.path, self.case_id, self.shape, self.dtype = path, case_id, shape, np.dtype(dtype)
        try:
            with path.open("rb") as file:
                plain = file.read(HEADER.stop)[HEADER] == PLAIN
            if plain:
                self._array = blosc2.open(str(path), mode="r", dparams=blosc2.DParams(nthreads=1))
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as cause:
            raise self._damaged(f"cannot be read ({type(cause).__name__})") from None
        if not plain or not isinstance(self._array, blosc2.NDArray):
            raise self._damaged("is no compressed array")
        if self._array.shape != self.shape or self._array.dtype != self.dtype:
            found, expected = (f"{tuple(item.shape)} of {item.dtype}" for item in (self._array, self))
            raise self._damaged(f"is {found}", expected)

    def __getitem__(self, part: tuple[slice, ...]) -> NDArray[Any]:
        """The voxels of a box."""
        try:
            return np.asarray(self._array[part])
        except (OSError, RuntimeError, ValueError) as cause:
            raise self._damaged(f"cannot be decompressed ({type(cause).__name__})") from None

    def _damaged(self, found: str, expected: str = "as `prepare` wrote it") -> RsuperBenchError:
        fix = "Run `rsuper-bench prepare` again: it replaces what is damaged and keeps the rest."
        return DataError.of([Problem(f"case {self.case_id}: {self.path}", found, expected, fix)])
