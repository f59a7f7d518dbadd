"""Mutations of one mask among good ones: header, voxels, compression."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from clean import AFFINE, CASES, REFUSED, SHAPE, Draft, Expected, Values
from scipy.ndimage import binary_dilation, binary_erosion, map_coordinates

Mutation = Callable[[np.random.Generator, Path], Expected]
HEADER_FIELDS = (
    (0, 4),
    (40, 16),
    (56, 12),
    (68, 8),
    (76, 32),
    (108, 4),
    (112, 8),
    (252, 4),
    (256, 24),
    (280, 48),
    (344, 4),
)


def mask_values(path: Path) -> tuple[float, float] | None:
    """Score and volume of a mask by the plainest reading with nibabel; None where it is no mask of this grid."""
    try:
        image = nib.load(path)
        if image.shape not in (SHAPE, (*SHAPE, 1)):
            return None
        data = np.asarray(image.dataobj, dtype=np.float64)
    except Exception:
        return None
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.shape != SHAPE or not np.isfinite(data).all() or not np.isfinite(image.affine).all():
        return None
    if not np.allclose(image.affine, AFFINE, atol=1e-3, rtol=0) or data.min() < -1e-6 or data.max() > 1 + 1e-6:
        return None
    spacing = np.sqrt((np.asarray(image.affine)[:3, :3] ** 2).sum(0))
    axes = [(np.arange(max(round(n * mm), 1)) + 0.5) / mm - 0.5 for n, mm in zip(SHAPE, spacing, strict=True)]
    fine = map_coordinates(data, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest") >= 0.5 - 1e-5
    cube = np.ones((3, 3, 3))
    kept = binary_dilation(binary_erosion(fine, cube), cube, iterations=2) & fine
    return min(max(float(np.float32(data.max())), 0.0), 1.0), float(kept.sum())


def all_values(folder: Path) -> Values | None:
    """What all masks of a folder say; None where one says nothing."""
    values: Values = {}
    for path in sorted((folder / "masks").rglob("*.nii.gz")):
        found = mask_values(path)
        if found is None:
            return None
        values[path.parent.name, path.name.removesuffix(".nii.gz")] = found
    return values


def one_mask(rng: np.random.Generator, folder: Path) -> tuple[Draft, Path]:
    """A clean submission of masks, and one of them to spoil."""
    draft = Draft.random(rng, masks=True)
    draft.write(folder)
    return draft, folder / "masks" / CASES[int(rng.integers(len(CASES)))] / ("liver.nii.gz", "kidney.nii.gz")[
        int(rng.integers(2))
    ]


def by_nibabel(folder: Path, *, may_refuse: bool = True) -> Expected:
    """Scored as the plainest reading says, or refused."""
    values = all_values(folder)
    return REFUSED if values is None else Expected(values, may_refuse=may_refuse)


def unpacked(path: Path) -> bytearray:
    """Bytes of a mask before compression."""
    return bytearray(gzip.decompress(path.read_bytes()))


def pack(path: Path, data: bytes) -> None:
    """Compress a mask as it is."""
    path.write_bytes(gzip.compress(bytes(data), mtime=0))


def saved(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE, *, kind: type = nib.Nifti1Image) -> None:
    """Another image in its place."""
    nib.save(kind(data, affine), path)


def header_bits(rng: np.random.Generator, folder: Path) -> Expected:
    _, path = one_mask(rng, folder)
    data = unpacked(path)
    start, length = HEADER_FIELDS[int(rng.integers(len(HEADER_FIELDS)))]
    for _ in range(int(rng.integers(1, 4))):
        data[start + int(rng.integers(length))] = int(rng.integers(256))
    pack(path, data)
    return by_nibabel(folder)


def header_values(rng: np.random.Generator, folder: Path) -> Expected:
    _, path = one_mask(rng, folder)
    data = unpacked(path)
    choices = (
        (40, struct.pack("<8h", 3, *([32767] * 3), 1, 1, 1, 1)),
        (40, struct.pack("<8h", 3, -9, -8, 7, 1, 1, 1, 1)),
        (40, struct.pack("<8h", 0, 9, 8, 7, 1, 1, 1, 1)),
        (40, struct.pack("<8h", 7, 9, 8, 7, 1, 1, 1, 1)),
        (40, struct.pack("<8h", 5, 9, 8, 7, 30000, 30000, 1, 1)),
        (40, struct.pack("<8h", 4, 9, 8, 7, 1, 1, 1, 1)),  # a fourth axis of one is none
        (40, struct.pack("<8h", 3, 9, 8, 0, 1, 1, 1, 1)),
        (40, struct.pack("<8h", 3, 8, 9, 7, 1, 1, 1, 1)),
        (40, struct.pack("<8h", 3, 1290, 1290, 1290, 1, 1, 1, 1)),
        (70, struct.pack("<2h", 64, 64)), (70, struct.pack("<2h", 1792, 128)), (70, struct.pack("<2h", 0, 0)),
        (70, struct.pack("<2h", 128, 24)), (70, struct.pack("<2h", 8, 32)), (70, struct.pack("<2h", 4, 16)),
        (108, struct.pack("<f", np.nan)), (108, struct.pack("<f", 1e30)), (108, struct.pack("<f", -1.0)),
        (108, struct.pack("<f", 1e9)), (108, struct.pack("<f", 353.0)), (108, struct.pack("<f", 0.0)),
        (112, struct.pack("<2f", np.nan, 0)), (112, struct.pack("<2f", np.inf, 0)), (112, struct.pack("<2f", 0.5, 0.1)),
        (112, struct.pack("<2f", -1, 1)), (112, struct.pack("<2f", 1e38, 1e38)), (112, struct.pack("<2f", 0, 0)),
        (252, struct.pack("<2h", 0, 0)), (252, struct.pack("<2h", 1, 0)), (252, struct.pack("<2h", 0, 1)),
        (76, struct.pack("<4f", -1.0, 2, 2, 2.5)), (76, struct.pack("<4f", 1.0, np.nan, 2, 2.5)),
        (280, struct.pack("<4f", np.inf, 0, 0, 0)), (280, struct.pack("<12f", *([0.0] * 12))),
        (344, b"ni1\0"), (344, b"\0\0\0\0"), (344, b"n+2\0"), (0, struct.pack("<i", 540)), (0, struct.pack(">i", 348)),
    )  # fmt: skip
    place, new = choices[int(rng.integers(len(choices)))]
    data[place : place + len(new)] = new
    pack(path, data)
    return by_nibabel(folder)


def gzip_damage(rng: np.random.Generator, folder: Path) -> Expected:
    _, path = one_mask(rng, folder)
    data = bytearray(path.read_bytes())
    choice = int(rng.integers(7))
    if choice == 0:
        data = data[: int(rng.integers(len(data)))]
    elif choice == 1:
        data[int(rng.integers(10, len(data)))] ^= 1 << int(rng.integers(8))  # data, sum or length
    elif choice == 2:
        data += rng.bytes(40)
    elif choice == 3:
        data = bytearray(rng.bytes(len(data)))
    elif choice == 4:
        data[-8:-4] = rng.bytes(4)  # the check sum
    elif choice == 5:
        data = bytearray(b"")
    else:
        data = bytearray(zlib.compress(bytes(unpacked(path))))
    path.write_bytes(bytes(data))
    try:  # python's own reader decides whether it is damaged at all
        whole = gzip.decompress(bytes(data))
    except Exception:
        return REFUSED
    return by_nibabel(folder) if whole else REFUSED


def gzip_alike(rng: np.random.Generator, folder: Path) -> Expected:
    draft, path = one_mask(rng, folder)
    values = all_values(folder)
    data = bytes(unpacked(path))
    choice = int(rng.integers(4))
    if choice == 0:  # two members
        cut = int(rng.integers(1, len(data)))
        path.write_bytes(gzip.compress(data[:cut]) + gzip.compress(data[cut:]))
    elif choice == 1:  # not compressed, whatever the name says
        path.write_bytes(data)
    elif choice == 2:  # padded with zeros, as tapes do
        path.write_bytes(gzip.compress(data) + b"\0" * 512)
    else:
        buffer = io.BytesIO()
        with gzip.GzipFile("a name.nii", "wb", fileobj=buffer, mtime=1e9) as file:
            file.write(data)
        path.write_bytes(buffer.getvalue())
    assert draft.masks
    return Expected(values)


def voxels(rng: np.random.Generator, folder: Path) -> Expected:
    draft, path = one_mask(rng, folder)
    data = draft.masks[path.parent.name, path.name.removesuffix(".nii.gz")].copy()
    bad = (np.nan, np.inf, -np.inf, -0.5, 1.5, 255, 1e38, -1e-3)[int(rng.integers(8))]
    data[tuple(rng.integers(0, SHAPE))] = bad
    saved(path, data)
    return REFUSED


def dtypes_alike(rng: np.random.Generator, folder: Path) -> Expected:
    draft, path = one_mask(rng, folder)
    data = (draft.masks[path.parent.name, path.name.removesuffix(".nii.gz")] > 0).astype(np.float32)
    dtype = (np.uint8, np.int16, np.int32, np.float32, np.float64, np.uint16, ">f4", ">i2")[int(rng.integers(8))]
    kind = nib.Nifti2Image if rng.integers(2) else nib.Nifti1Image
    image = kind(data.astype(dtype), AFFINE)
    if rng.integers(2) and np.dtype(dtype) == np.uint8:
        image = kind((data * 128).astype(np.uint8), AFFINE)
        image.header.set_slope_inter(1 / 255, 0)
    nib.save(image, path)
    return by_nibabel(folder, may_refuse=False)


def affines(rng: np.random.Generator, folder: Path) -> Expected:
    draft, path = one_mask(rng, folder)
    data = draft.masks[path.parent.name, path.name.removesuffix(".nii.gz")]
    flip = np.eye(4)
    axis = int(rng.integers(3))
    flip[axis, axis], flip[axis, 3] = -1, SHAPE[axis] - 1
    choice = int(rng.integers(7))
    if choice == 0:
        saved(path, data, np.eye(4))
    elif choice == 1:
        saved(path, np.flip(data, axis), AFFINE @ flip)  # the same picture, stored the other way round
    elif choice == 2:
        moved = AFFINE.copy()
        moved[axis, 3] += (0.5, -20, 1e6)[int(rng.integers(3))]
        saved(path, data, moved)
    elif choice == 3:
        saved(path, data, AFFINE @ np.diag([1.01, 1, 1, 1]))
    elif choice == 4:
        turned = AFFINE.copy()
        turned[:3, :3] = turned[:3, [1, 0, 2]]
        saved(path, data, turned)
    elif choice == 5:
        saved(path, np.transpose(data, (2, 0, 1)), AFFINE)
    else:
        close = AFFINE.copy()
        close[axis, 3] += 4e-4  # a rounding: still the same grid
        saved(path, data, close)
    return by_nibabel(folder, may_refuse=choice != 6)


def flipped_voxels(rng: np.random.Generator, folder: Path) -> Expected:
    """Flipped without saying so: nobody can know, so it counts as it lies."""
    draft, path = one_mask(rng, folder)
    saved(path, np.flip(draft.masks[path.parent.name, path.name.removesuffix(".nii.gz")], int(rng.integers(3))))
    return by_nibabel(folder, may_refuse=False)


def names(rng: np.random.Generator, folder: Path) -> Expected:
    _, path = one_mask(rng, folder)
    choice = int(rng.integers(9))
    if choice == 0:
        path.rename(path.with_name("hepar.nii.gz"))
    elif choice == 1:
        path.rename(path.with_suffix(""))  # .nii
    elif choice == 2:
        path.rename(path.with_name("<b>liver.nii.gz"))
    elif choice == 3:
        path.parent.rename(folder / "masks" / "=case 01")
    elif choice == 4:
        path.unlink()
    elif choice == 5:
        (path.parent / "notes.txt").write_text("hello")
    elif choice == 6:
        (folder / "masks" / "case_77").mkdir()
        (folder / "masks" / "case_77" / "liver.nii.gz").write_bytes(path.read_bytes())
    elif choice == 7:
        path.with_name("hepatic.nii.gz").write_bytes(path.read_bytes())  # a second liver, or kidney and liver
        path.with_name("renal.nii.gz").write_bytes(path.read_bytes())
    else:
        path.unlink()
        path.mkdir()
    return REFUSED


def links(rng: np.random.Generator, folder: Path) -> Expected:
    _, path = one_mask(rng, folder)
    choice = int(rng.integers(5))
    if choice == 0:  # to a good mask elsewhere: the Hub's cache looks like this
        target = folder.with_name(folder.name + "-blob")
        target.write_bytes(path.read_bytes())
        values = all_values(folder)
        path.unlink()
        path.symlink_to(target)
        return Expected(values)
    path.unlink()
    if choice == 1:
        path.symlink_to("/nowhere/at/all")
    elif choice == 2:
        path.symlink_to(path)
    elif choice == 3:
        path.symlink_to("/etc/passwd")
    else:
        path.symlink_to("/dev/zero")
    return REFUSED


def r_super_layout(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng, masks=True)
    draft.write(folder)
    values = all_values(folder)
    for case in CASES:
        (folder / case / "predictions").mkdir(parents=True)
        for kind in ("liver", "kidney"):
            path = folder / "masks" / case / f"{kind}.nii.gz"
            path.rename(folder / case / "predictions" / f"{kind}_lesion.nii.gz")
        (folder / "masks" / case).rmdir()
    (folder / "masks").rmdir()
    return Expected(values)


def bombs(rng: np.random.Generator, folder: Path) -> Expected:
    _, path = one_mask(rng, folder)
    data = bytes(unpacked(path))
    choice = int(rng.integers(3))
    if choice == 0:  # 200 MB of zeros after the voxels
        pack(path, data + b"\0" * 200_000_000)
    elif choice == 1:  # a header of 400 MB, with its voxels
        header = bytearray(data[:352])
        header[40:56] = struct.pack("<8h", 3, 464, 464, 464, 1, 1, 1, 1)
        header[70:74] = struct.pack("<2h", 16, 32)
        pack(path, bytes(header) + b"\0" * (464**3 * 4))
    else:  # voxels that begin after 300 MB
        header = bytearray(data[:352])
        header[108:112] = struct.pack("<f", 3e8)
        pack(path, bytes(header) + b"\0" * 300_000_000)
    return REFUSED


MASKS: tuple[Mutation, ...] = (
    header_bits, header_bits, header_bits, header_values, header_values, gzip_damage, gzip_damage, gzip_alike, voxels,
    dtypes_alike, affines, affines, flipped_voxels, names, links, r_super_layout,
)  # fmt: skip
HEAVY_MASKS: tuple[Mutation, ...] = (bombs,)
