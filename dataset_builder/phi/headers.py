"""What image files carry beside their voxels: header texts, extensions, names inside gzip, comments in pictures."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator

import nibabel as nib

TEXT_FIELDS = ("data_type", "db_name", "descrip", "aux_file", "intent_name")
_PNG_PARTS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sRGB", b"pHYs", b"sBIT"}
_GZIP_EXTRAS = {0x04: "an extra field", 0x08: "a file name", 0x10: "a comment"}


def scan_nifti(data: bytes) -> Iterator[tuple[str, str]]:
    """Find what a NIfTI-1 file says beside voxels and geometry. Any text is too much: nobody can vouch for it.

    Args:
        data: The file, gzipped or not.

    Yields:
        Reason code and place; never the text.
    """
    try:
        if data[:2] == b"\x1f\x8b":
            yield from _gzip_extras(data)
            data = gzip.decompress(data)
        header = nib.Nifti1Header(data[:348], check=False)
        offset = max(int(header.get_data_offset()), 348)
        voxels = _voxels(header)
    except Exception as cause:  # nibabel raises many types for a damaged header; none of them passes
        yield "unreadable", f"its header cannot be read ({type(cause).__name__})"
        return
    for name in TEXT_FIELDS:
        text = bytes(header.structarr[name].tobytes()).strip(b"\0 ")
        if text:
            yield "header_text", f"{name} holds {len(text)} characters"
    if data[348:352].strip(b"\0"):
        yield "header_extension", "an extension follows the header"
    elif data[352:offset].strip(b"\0"):
        yield "header_extension", f"{offset - 352} bytes between header and voxels"
    if len(data) > offset + voxels and data[offset + voxels :].strip(b"\0"):
        yield "hidden_bytes", f"{len(data) - offset - voxels} bytes after the voxels"


def _voxels(header: nib.Nifti1Header) -> int:
    n = header.get_data_dtype().itemsize
    for size in header.get_data_shape():
        n *= int(size)
    return int(n)


def _gzip_extras(data: bytes) -> Iterator[tuple[str, str]]:
    for flag, what in _GZIP_EXTRAS.items():
        if data[3] & flag:
            yield "gzip_text", f"gzip header with {what}"
    unpacker = zlib.decompressobj(31)
    unpacker.decompress(data)
    if unpacker.unused_data.strip(b"\0"):
        yield "hidden_bytes", f"{len(unpacker.unused_data)} bytes after the compressed file"


def scan_png(data: bytes) -> Iterator[tuple[str, str]]:
    """Find texts, times and camera data in a PNG, and whatever follows its end."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        yield "unreadable", "not a PNG"
        return
    place = 8
    while place + 8 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        part = data[place + 4 : place + 8]
        place += 12 + length
        if part not in _PNG_PARTS:
            yield "image_text", f"a part of type {part!a} with {length} bytes"
        if part == b"IEND":
            break
    if len(data) > place:
        yield "hidden_bytes", f"{len(data) - place} bytes after the picture"
