"""A probability map in little memory, and as a compressed file that is written slab by slab."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from rsuper_bench.baselines.resampling import onto_slabs
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import atomic_path
from rsuper_bench.benchmark.nifti import Grid, Volume

FAINTEST = 0.5 / 255  # below it a map in bytes says 0
STEPS = 65535
VOXEL_OFFSET = 352  # of a NIfTI-1 file without extensions: header, then four zero bytes


class ProbabilityMap:
    """Probabilities of one tumor type in a case, in steps of 1 / 65535, kept only where a byte would show them.

    What is kept is compressed: a network that is not sure anywhere would else take 2 bytes a voxel for every type.

    Attributes:
        largest: Maximum probability, exact.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.largest = 0.0
        self._pieces: list[tuple[tuple[slice, ...], bytes]] = []

    def add(self, first: int, slab: NDArray[np.float32]) -> None:
        """Add ``(X, Y, slices)`` from slice ``first`` on.

        Raises:
            DataError: If it is not finite: a score of 0 would hide that.
        """
        largest = float(slab.max(initial=0))
        if not np.isfinite(largest):
            found = "the network gave values that are not finite"
            fix = "Look at the losses of the run; with precision bf16 try fp32."
            raise DataError.of([Problem(f"slices from {first} on", found, "probabilities", fix)])
        self.largest = max(self.largest, largest)
        shown = slab >= FAINTEST
        box = []
        for axis in range(3):
            hit = np.flatnonzero(shown.any(axis=tuple(other for other in range(3) if other != axis)))
            if not len(hit):
                return
            box.append(slice(int(hit[0]), int(hit[-1]) + 1))
        place = (box[0], box[1], slice(first + box[2].start, first + box[2].stop))
        self._pieces.append((place, _compressed(np.rint(slab[tuple(box)] * STEPS).astype(np.uint16))))

    def dense(self) -> NDArray[np.float32]:
        """``(X, Y, Z)``; off by at most half a step."""
        whole = np.zeros(self.shape, dtype=np.float32)
        for place, piece in self._pieces:
            part = whole[place]
            part[...] = _steps(piece, part.shape) / np.float32(STEPS)
        return whole


def _compressed(steps: NDArray[np.uint16]) -> bytes:
    import blosc2

    filters, codec = [blosc2.Filter.SHUFFLE], blosc2.Codec.ZSTD
    packed = blosc2.compress2(
        np.ascontiguousarray(steps), typesize=2, clevel=1, codec=codec, filters=filters, nthreads=1
    )
    return bytes(packed)


def _steps(piece: bytes, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    import blosc2

    return np.frombuffer(blosc2.decompress2(piece, nthreads=1), dtype=np.uint16).reshape(shape)


def write_map(path: Path, probability: Volume, grid: Grid) -> None:
    """Write a probability map on a grid as gzipped NIfTI: 0 to 255 in a byte with the slope 1/255, and no time stamp.

    Args:
        path: The file, replaced as a whole.
        probability: ``(X, Y, Z)`` in [0, 1] on any grid; it is interpolated linearly.
        grid: Where the voxels of the file lie.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0, filename="") as file,
    ):
        file.write(_header(grid))
        for slab in onto_slabs(probability, grid):
            file.write(np.rint(slab * 255).astype(np.uint8).tobytes(order="F"))


def _header(grid: Grid) -> bytes:
    voxels: NDArray[Any] = np.broadcast_to(np.uint8(0), grid.shape)  # no memory
    header = nib.Nifti1Image(voxels, grid.affine).header
    header.set_qform(grid.affine, code=1)
    header.set_sform(grid.affine, code=1)
    header.set_xyzt_units("mm", "sec")
    # nibabel would scale the bytes once more if it wrote the file and were told the slope.
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = VOXEL_OFFSET, 1 / 255, 0
    return bytes(header.binaryblock) + bytes(VOXEL_OFFSET - len(header.binaryblock))
