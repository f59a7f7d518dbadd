"""Reading and writing NIfTI volumes with the checks that a header alone does not allow."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import DataError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import write_bytes

MAX_VOXELS = 1024 * 1024 * 2048  # far above any CT; a larger header is a mistake or an attack
MAX_TRAILING_BYTES = 1 << 20
AFFINE_TOLERANCE_MM = 1e-3


@dataclass(frozen=True)
class Volume:
    """A 3-D image in memory, with the affine from voxel index to RAS mm."""

    data: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along each axis."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(0)).tolist()
        return x, y, z

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def orientation(self) -> str:
        """Axis codes, such as ``RAS``."""
        return "".join(nib.aff2axcodes(self.affine))

    def same_grid(self, other: Volume) -> bool:
        """Whether both lie on one grid."""
        return self.data.shape == other.data.shape and np.allclose(
            self.affine, other.affine, atol=AFFINE_TOLERANCE_MM, rtol=0
        )

    def canonical(self) -> Volume:
        """The same image with its axes flipped and permuted to the closest RAS grid; voxels are not changed."""
        image = nib.as_closest_canonical(nib.Nifti1Image(self.data, self.affine))
        return Volume(np.asarray(image.dataobj), image.affine)


def read_nifti(source: Path | bytes, *, name: str | None = None, error: type[RsuperBenchError] = DataError) -> Volume:
    """Read a 3-D NIfTI file or its bytes: all voxels, and the check sum of the compression.

    Integer files with a trivial scale keep their dtype; all others become float32.

    Raises:
        RsuperBenchError: Of the given class: missing, truncated, not NIfTI, not 3-D, too large, not finite.
    """
    shown = name or (str(source) if isinstance(source, Path) else "NIfTI bytes")

    def refuse(found: str, expected: str, fix: str) -> RsuperBenchError:
        return error.of([Problem(shown, found, expected, fix)])

    try:
        with _opened(source) as file:
            image = _read_image(file)
        if len(image.shape) == 4 and image.shape[3] == 1:
            image = image.slicer[..., 0]
        data = np.asanyarray(image.dataobj)
    except FileNotFoundError:
        raise refuse("no such file", "a NIfTI file", "Check the path.") from None
    except _UnusableError as cause:
        raise refuse(*cause.args) from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise refuse("truncated or damaged gzip", "a complete .nii.gz", "Copy or export it again.") from None
    except MemoryError:
        raise refuse("does not fit in memory", "a CT-sized volume", "Check the header.") from None
    except Exception as cause:  # nibabel raises many types for a damaged header
        raise refuse(f"unreadable ({type(cause).__name__})", "a NIfTI-1 volume", "Copy or export it again.") from None
    if len(image.shape) != 3 or min(image.shape) < 1:
        raise refuse(f"shape {image.shape}", "three dimensions", "Save one 3-D volume.")
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise refuse("an affine without volume", "a finite, invertible affine", "Restore the header.")
    if data.dtype.kind == "f":
        data = np.asarray(data, dtype=np.float32)
        bad = int((~np.isfinite(data)).sum())
        if bad:
            raise refuse(f"{bad} voxels are NaN or infinite", "finite voxels", "Replace them before import.")
    elif data.dtype.kind not in "iub":
        raise refuse(f"voxel type {data.dtype}", "integers or floats", "Save it as int16 or float32.")
    return Volume(data, affine)


class _UnusableError(Exception):
    """Found, expected, fix: what :func:`read_nifti` turns into a problem with the file's name."""


@contextmanager
def _opened(source: Path | bytes) -> Iterator[IO[bytes]]:
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not compressed:
            yield raw
        else:
            with gzip.GzipFile(fileobj=raw, mode="rb") as file:
                yield file


def _read_image(file: IO[bytes]) -> nib.Nifti1Image:
    """Header first, so that a giant claim is refused before anything is allocated; then exactly what it promises."""
    start = file.read(540)
    if len(start) < 348:
        raise _UnusableError(f"{len(start)} bytes", "a NIfTI file", "Copy or export it again.")
    kind = (
        nib.Nifti2Image if 540 in struct.unpack("<i", start[:4]) + struct.unpack(">i", start[:4]) else nib.Nifti1Image
    )
    header = kind.header_class.from_fileobj(io.BytesIO(start), check=True)
    shape = header.get_data_shape()
    n_voxels = int(np.prod(shape, dtype=object)) if shape else 0
    if n_voxels > MAX_VOXELS:
        raise _UnusableError(f"a header that claims {shape} voxels", f"at most {MAX_VOXELS} voxels", "Check the file.")
    promised = int(header.get_data_offset()) + n_voxels * header.get_data_dtype().itemsize
    if promised > MAX_VOXELS * 8:
        raise _UnusableError("a header with a giant offset", "voxels after the header", "Check the file.")
    content = start + file.read(max(promised - len(start), 0))
    if len(content) < promised:
        raise _UnusableError(f"truncated: {len(content)} of {promised} bytes", "all voxels", "Copy or export it again.")
    if len(file.read(MAX_TRAILING_BYTES)) == MAX_TRAILING_BYTES:  # reading to the end makes gzip check its sum
        raise _UnusableError("much data after the voxels", "the end of the file", "Copy or export it again.")
    return kind.from_bytes(content)


def nifti_bytes(volume: Volume) -> bytes:
    """Gzipped NIfTI-1, with empty header texts and no time stamp: the same volume is the same bytes."""
    image = nib.Nifti1Image(volume.data, volume.affine)
    image.set_qform(volume.affine, code=1)
    image.set_sform(volume.affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6, mtime=0, filename="") as file:
        file.write(image.to_bytes())
    return buffer.getvalue()


def write_nifti(path: Path, volume: Volume) -> None:
    """Write ``.nii.gz`` atomically."""
    write_bytes(path, nifti_bytes(volume))
