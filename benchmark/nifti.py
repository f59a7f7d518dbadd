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
from nibabel.imageglobals import LoggingOutputSuppressor
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import DataError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import write_bytes

MAX_VOXELS = 1024 * 1024 * 2048  # far above any CT; a larger header is a mistake or an attack
MAX_TRAILING_BYTES = 1 << 20
MAX_OFFSET_BYTES = 1 << 24  # of header extensions before the voxels
AFFINE_TOLERANCE_MM = 1e-3
_HEADER_BYTES = 540  # of NIfTI-2; NIfTI-1 has 348


@dataclass(frozen=True)
class Grid:
    """Where the voxels of an image lie."""

    shape: tuple[int, ...]
    affine: NDArray[np.float64]

    def same(self, other: Grid) -> bool:
        """Whether both have one shape, and one affine to a thousandth of a millimetre."""
        return self.shape == other.shape and np.allclose(self.affine, other.affine, atol=AFFINE_TOLERANCE_MM, rtol=0)


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

    @property
    def grid(self) -> Grid:
        """Shape and affine."""
        return Grid(self.data.shape, self.affine)

    def same_grid(self, other: Volume) -> bool:
        """Whether both lie on one grid."""
        return self.grid.same(other.grid)

    def canonical(self) -> Volume:
        """The same image with its axes flipped and permuted to the closest RAS grid; voxels are not changed."""
        image = nib.as_closest_canonical(nib.Nifti1Image(self.data, self.affine))
        return Volume(np.asarray(image.dataobj), image.affine)


def read_nifti(
    source: Path | bytes,
    *,
    name: str | None = None,
    error: type[RsuperBenchError] = DataError,
    shape: tuple[int, ...] | None = None,
) -> Volume:
    """Read a 3-D NIfTI file or its bytes: all voxels, and the check sum of the compression.

    Integer files with a trivial scale keep their dtype; all others become float32.

    Args:
        source: The file.
        name: What to call it in a message.
        error: Class to raise.
        shape: Of the CT, where the image must lie on its grid; another one is refused before its voxels are read.

    Raises:
        RsuperBenchError: Of the given class: missing, truncated, not NIfTI, not 3-D, too large, not finite.
    """
    with _refusing(name or (str(source) if isinstance(source, Path) else "NIfTI bytes"), error):
        with _opened(source) as file:
            image = _read_image(file, shape)
        if len(image.shape) == 4 and image.shape[3] == 1:
            image = image.slicer[..., 0]
        grid = _grid(image.shape, image.affine)
        data = np.asanyarray(image.dataobj)
        if data.dtype.kind == "f":
            data = np.asarray(data, dtype=np.float32)
            bad = int((~np.isfinite(data)).sum())
            if bad:
                raise _UnusableError(f"{bad} voxels are NaN or infinite", "finite voxels", "Replace them first.")
        elif data.dtype.kind not in "iub":
            raise _UnusableError(f"voxel type {data.dtype}", "integers or floats", "Save it as int16 or float32.")
    return Volume(data, grid.affine)


def read_grid(path: Path, *, name: str | None = None, error: type[RsuperBenchError] = DataError) -> Grid:
    """Shape and affine of a 3-D NIfTI file from its header, and whether the file is long enough for its voxels.

    The voxels are not read, so this is for looking at thousands of files before the work starts. The length of a
    compressed file is the one that gzip notes at its end, which a file that was cut off does not have.

    Raises:
        RsuperBenchError: Of the given class: missing, truncated, not NIfTI, not 3-D, too large.
    """
    with _refusing(name or str(path), error):
        with _opened(path) as file:
            header, promised = _read_header(file.read(_HEADER_BYTES))
            shape, affine = header.get_data_shape(), header.get_best_affine()
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(-4, io.SEEK_END)
            end = raw.read(4)
            held = raw.tell()
        if compressed and struct.unpack("<I", end)[0] == promised % 2**32:
            held = promised
        elif compressed:  # cut off, or compressed in several pieces: count what really comes out
            with _opened(path) as file:
                held = sum(len(piece) for piece in iter(lambda: file.read(1 << 20), b""))
        if held < promised:
            raise _UnusableError(f"truncated: {held} of {promised} bytes", "all voxels", "Copy or export it again.")
        return _grid(_without_fourth(shape), affine)


def _without_fourth(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without a fourth axis of one."""
    return shape[:3] if len(shape) == 4 and shape[3] == 1 else shape


def _grid(shape: tuple[int, ...], affine: Any) -> Grid:
    if len(shape) != 3 or min(shape) < 1:
        raise _UnusableError(f"shape {shape}", "three dimensions", "Save one 3-D volume.")
    affine = np.asarray(affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise _UnusableError("an affine without volume", "a finite, invertible affine", "Restore the header.")
    return Grid(tuple(int(n) for n in shape), affine)


@contextmanager
def _refusing(shown: str, error: type[RsuperBenchError]) -> Iterator[None]:
    """Turn whatever a damaged file makes gzip, zlib and nibabel raise into one problem with the file's name."""
    try:
        with LoggingOutputSuppressor():  # what nibabel thinks of a header is no message of ours
            yield
    except FileNotFoundError:
        found = ("no such file", "a NIfTI file", "Check the path.")
    except _UnusableError as cause:
        found = cause.args
    except (EOFError, gzip.BadGzipFile, zlib.error):
        found = ("truncated or damaged gzip", "a complete .nii.gz", "Copy or export it again.")
    except MemoryError:
        found = ("does not fit in memory", "a CT-sized volume", "Check the header.")
    except Exception as cause:  # nibabel raises many types for a damaged header
        found = (f"unreadable ({type(cause).__name__})", "a NIfTI-1 volume", "Copy or export it again.")
    else:
        return
    raise error.of([Problem(shown, *found)])


class _UnusableError(Exception):
    """Found, expected, fix: what :func:`read_nifti` turns into a problem with the file's name."""


@contextmanager
def _opened(source: Path | bytes) -> Iterator[IO[bytes] | gzip.GzipFile]:
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not compressed:
            yield raw
        else:
            with gzip.GzipFile(fileobj=raw, mode="rb") as file:
                yield file


def _read_header(start: bytes) -> tuple[Any, int]:
    """The header, and the bytes that header and voxels take; a giant claim is refused before anything is allocated."""
    if len(start) < 348:
        raise _UnusableError(f"{len(start)} bytes", "a NIfTI file", "Copy or export it again.")
    kind = _image_class(start)
    # Without the bytes that follow: they may be the beginning of a header extension, cut off here.
    size = kind.header_class.template_dtype.itemsize
    header = kind.header_class.from_fileobj(io.BytesIO(start[:size]), check=True)
    shape = header.get_data_shape()
    n_voxels = int(np.prod(shape, dtype=object)) if shape else 0
    if n_voxels > MAX_VOXELS:
        raise _UnusableError(f"a header that claims {shape} voxels", f"at most {MAX_VOXELS} voxels", "Check the file.")
    offset = int(header.get_data_offset())
    if not 0 <= offset <= MAX_OFFSET_BYTES:
        raise _UnusableError(f"voxels that begin at byte {offset}", "voxels after the header", "Check the file.")
    return header, offset + n_voxels * header.get_data_dtype().itemsize


def _image_class(start: bytes) -> Any:
    version_2 = 540 in struct.unpack("<i", start[:4]) + struct.unpack(">i", start[:4])
    return nib.Nifti2Image if version_2 else nib.Nifti1Image


def _read_image(file: IO[bytes] | gzip.GzipFile, shape: tuple[int, ...] | None) -> nib.Nifti1Image:
    """Header first; then exactly what it promises."""
    start = file.read(_HEADER_BYTES)
    header, promised = _read_header(start)
    found = _without_fourth(header.get_data_shape())
    if shape is not None and found != shape:
        raise _UnusableError(f"shape {found}", f"{shape}, as the CT", "Resample it to the grid of the CT.")
    content = start + file.read(max(promised - len(start), 0))
    if len(content) < promised:
        raise _UnusableError(f"truncated: {len(content)} of {promised} bytes", "all voxels", "Copy or export it again.")
    if len(file.read(MAX_TRAILING_BYTES)) == MAX_TRAILING_BYTES:  # reading to the end makes gzip check its sum
        raise _UnusableError("much data after the voxels", "the end of the file", "Copy or export it again.")
    return _image_class(start).from_bytes(content)


def nifti_bytes(volume: Volume) -> bytes:
    """Gzipped NIfTI-1, with empty header texts and no time stamp: the same volume is the same bytes."""
    image = nib.Nifti1Image(volume.data, volume.affine)
    image.set_qform(volume.affine, code=1)
    image.set_sform(volume.affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    buffer = io.BytesIO()
    # Level 3: on real CTs the size of level 6 (60.1 and 60.6 % of the voxels) in 40 % of the time.
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=3, mtime=0, filename="") as file:
        file.write(image.to_bytes())
    return buffer.getvalue()


def write_nifti(path: Path, volume: Volume) -> None:
    """Write ``.nii.gz`` atomically."""
    write_bytes(path, nifti_bytes(volume))
