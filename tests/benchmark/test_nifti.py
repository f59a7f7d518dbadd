"""Volumes: what a header alone does not tell is checked."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.nifti import Volume, nifti_bytes, read_grid, read_nifti, write_nifti

AFFINE = np.array([[-0.8, 0, 0, 10], [0, -0.8, 0, 20], [0, 0, 2.5, 30], [0, 0, 0, 1.0]])


def volume(dtype=np.int16):
    return Volume(np.arange(24).reshape(2, 3, 4).astype(dtype), AFFINE)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_round_trip_keeps_voxels_type_and_affine(tmp_path, dtype):
    path = tmp_path / "v.nii.gz"
    write_nifti(path, volume(dtype))
    read = read_nifti(path)
    assert read.data.dtype == dtype
    np.testing.assert_array_equal(read.data, volume().data)
    np.testing.assert_allclose(read.affine, AFFINE)
    assert read.orientation == "LPS"
    assert read.spacing_mm == pytest.approx((0.8, 0.8, 2.5))
    assert read.voxel_mm3 == pytest.approx(1.6)


def test_same_volume_same_bytes_and_bytes_read_like_files():
    data = nifti_bytes(volume())
    assert data == nifti_bytes(volume())
    np.testing.assert_array_equal(read_nifti(data).data, volume().data)


def test_no_text_in_the_header():
    header = nib.Nifti1Image.from_bytes(gzip.decompress(nifti_bytes(volume()))).header
    assert [header[name].item() for name in ("descrip", "aux_file", "db_name", "intent_name")] == [b"", b"", b"", b""]
    assert not list(header.extensions)


def test_canonical_is_ras_and_keeps_places():
    canonical = volume().canonical()
    assert canonical.orientation == "RAS"
    world = AFFINE @ [1, 2, 3, 1]
    index = np.linalg.inv(canonical.affine) @ world
    assert canonical.data[tuple(np.rint(index[:3]).astype(int))] == volume().data[1, 2, 3]


def test_grids_are_compared_with_their_affine():
    shifted = AFFINE.copy()
    shifted[0, 3] += 1
    assert volume().same_grid(Volume(np.zeros((2, 3, 4)), AFFINE + 1e-6))
    assert not volume().same_grid(Volume(np.zeros((2, 3, 4)), shifted))
    assert not volume().same_grid(Volume(np.zeros((2, 3, 5)), AFFINE))


def header_with_shape(shape):
    raw = bytearray(gzip.decompress(nifti_bytes(volume())))
    raw[40:48] = struct.pack("<4h", 3, *shape)
    return bytes(raw)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (nifti_bytes(volume())[:-12], "truncated or damaged gzip"),
        (nifti_bytes(volume())[:-2], "truncated or damaged gzip"),
        (gzip.compress(gzip.decompress(nifti_bytes(volume()))[:-5]), "truncated: 395 of 400 bytes"),
        (gzip.compress(gzip.decompress(nifti_bytes(volume()))[:352]), "truncated: 352 of 400 bytes"),
        (gzip.compress(gzip.decompress(nifti_bytes(volume())) + bytes(1 << 21)), "much data after the voxels"),
        (b"not an image", "12 bytes"),
        (b"x" * 1000, "unreadable"),
        (b"", "0 bytes"),
        (b"\x1f\x8bnot gzip", "truncated or damaged gzip"),
        (header_with_shape((32767, 32767, 32767)), "a header that claims"),
        (
            nifti_bytes(Volume(np.array([[[np.nan, 1.0, np.inf]]], np.float32), np.eye(4))),
            "2 voxels are NaN or infinite",
        ),
        (nifti_bytes(Volume(np.zeros((2, 2, 2), np.complex64), np.eye(4))), "voxel type"),
        (nifti_bytes(Volume(np.zeros((2, 2, 2, 3), np.int16), np.eye(4))), "three dimensions"),
    ],
)
@pytest.mark.parametrize("as_file", [True, False])
def test_damaged_volumes_are_named(tmp_path, data, message, as_file):
    source = data
    if as_file:
        source = tmp_path / ("v.nii.gz" if data[:2] == b"\x1f\x8b" else "v.nii")
        source.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_nifti(source, name="case-7: ct")
    assert "case-7: ct" in str(caught.value)


@pytest.mark.parametrize("suffix", ["nii.gz", "nii"])
def test_the_grid_is_that_of_the_volume(tmp_path, suffix):
    path = tmp_path / f"v.{suffix}"
    data = nifti_bytes(volume())
    path.write_bytes(data if suffix == "nii.gz" else gzip.decompress(data))
    assert read_grid(path).same(read_nifti(path).grid)


def test_a_file_compressed_in_pieces_is_whole(tmp_path):
    raw = gzip.decompress(nifti_bytes(volume()))
    path = tmp_path / "v.nii.gz"
    path.write_bytes(gzip.compress(raw[:370]) + gzip.compress(raw[370:]))
    assert read_grid(path).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (nifti_bytes(volume())[:-12], "truncated or damaged gzip"),
        (gzip.compress(gzip.decompress(nifti_bytes(volume()))[:-5]), "truncated: 395 of 400 bytes"),
        (gzip.decompress(nifti_bytes(volume()))[:-5], "truncated: 395 of 400 bytes"),
        (b"", "0 bytes"),
        (header_with_shape((32767, 32767, 32767)), "a header that claims"),
        (nifti_bytes(Volume(np.zeros((2, 2, 2, 3), np.int16), np.eye(4))), "three dimensions"),
    ],
)
def test_a_short_file_is_seen_without_its_voxels(tmp_path, data, message):
    path = tmp_path / "v.nii.gz"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_grid(path, name="row 3: ct")
    assert str(caught.value).startswith("error: row 3: ct: ")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_nifti(tmp_path / "x.nii.gz")


def test_header_extensions_are_skipped(tmp_path):
    image = nib.Nifti1Image(volume().data, AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 5000))
    path = tmp_path / "extended.nii.gz"
    nib.save(image, path)
    np.testing.assert_array_equal(read_nifti(path).data, volume().data)
    assert read_grid(path).shape == (2, 3, 4)


def test_another_shape_is_refused_before_the_voxels_are_read():
    data = nifti_bytes(Volume(np.zeros((4, 5, 6), np.float32), np.eye(4)))
    whole = gzip.decompress(data)
    assert read_nifti(data, shape=(4, 5, 6)).data.shape == (4, 5, 6)
    with pytest.raises(DataError, match=r"shape \(4, 5, 6\); expected \(6, 5, 4\), as the CT"):
        read_nifti(gzip.compress(whole[:400]), shape=(6, 5, 4))  # cut off: the header alone decides


@pytest.mark.parametrize("offset", [3e7, 1e9])
def test_voxels_far_from_the_header_are_refused(offset):
    whole = bytearray(gzip.decompress(nifti_bytes(Volume(np.zeros((4, 5, 6), np.float32), np.eye(4)))))
    whole[108:112] = struct.pack("<f", offset)
    with pytest.raises(DataError, match=f"voxels that begin at byte {offset:.0f}"):
        read_nifti(bytes(whole))
