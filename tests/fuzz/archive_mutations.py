"""Mutations of the zip, of its names, and of ``submission.yaml``."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from clean import REFUSED, Draft, Expected, same
from mask_mutations import all_values

Mutation = Callable[[np.random.Generator, Path], Expected]

UNSAFE_NAMES = (
    "../evil.csv", "../../../../tmp/evil", "/etc/evil", "\\\\server\\share\\evil", "C:\\evil.txt", "masks/../../evil",
    "a/..\\..\\evil", "..", "masks/..", "c:evil", "//evil", "./../evil", "x/\\../..\\evil",
)  # fmt: skip


def zipped(folder: Path, draft: Draft, *, prefix: str = "", compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """A draft as a zip beside its folder."""
    draft.write(folder)
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for item in sorted(folder.rglob("*")):
            if item.is_file():
                archive.write(item, prefix + str(item.relative_to(folder)))
    return path


def clean_zip(rng: np.random.Generator, folder: Path) -> Expected:
    masks = bool(rng.integers(2))
    draft = Draft.random(rng, masks=masks)
    prefix = ("", "submission/", "my sub (1)/", "ünï/")[int(rng.integers(4))]
    compression = (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)[int(rng.integers(4))]
    path = zipped(folder, draft, prefix=prefix, compression=compression)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._predictions.csv", b"\0\5\x16\7")
        archive.writestr(prefix + ".DS_Store", b"Bud1")
    return Expected(all_values(folder)) if masks else same(draft)


def added_entry(name: str | zipfile.ZipInfo, data: bytes, path: Path) -> None:
    """One more entry, whatever its name."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, data)


def unsafe_name(rng: np.random.Generator, folder: Path) -> Expected:
    path = zipped(folder, Draft.random(rng))
    info = zipfile.ZipInfo("x")
    info.filename = UNSAFE_NAMES[int(rng.integers(len(UNSAFE_NAMES)))]  # past the constructor, which cleans names
    added_entry(info, b"evil", path)
    return REFUSED


def special_entry(rng: np.random.Generator, folder: Path) -> Expected:
    path = zipped(folder, Draft.random(rng))
    info = zipfile.ZipInfo(("masks/case_01/liver.nii.gz", "link", "masks")[int(rng.integers(3))])
    kind = (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK)[int(rng.integers(5))]
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    added_entry(info, b"/etc/passwd", path)
    return REFUSED


def names_that_collide(rng: np.random.Generator, folder: Path) -> Expected:
    path = zipped(folder, Draft.random(rng))
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = ("predictions.csv", "PREDICTIONS.CSV", "Submission.yaml", "predictions.csv/x", "n" * 300)[
            int(rng.integers(5))
        ]
        added_entry(name, b"case_id,tumor_type,score\n", path)
    return REFUSED


def damaged_zip(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng, masks=bool(rng.integers(2)))
    path = zipped(folder, draft)
    data = bytearray(path.read_bytes())
    choice = int(rng.integers(5))
    if choice == 0:
        data = data[: int(rng.integers(len(data)))]
    elif choice == 1:
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif choice == 2:
        data = bytearray(rng.bytes(500))
    elif choice == 3:
        data[:0] = rng.bytes(50)  # a stub before it, as of a self-extracting archive
    else:
        start = data.rindex(b"PK\x01\x02")
        data[start + 20 : start + 28] = struct.pack(
            "<2I", *rng.integers(0, 2**32, 2).tolist()
        )  # sizes in the directory
    path.write_bytes(bytes(data))
    values = all_values(folder) if draft.masks else draft.values
    return Expected(values, may_refuse=True)  # a bit in a time stamp is no damage; a score never changes


def encrypted_zip(rng: np.random.Generator, folder: Path) -> Expected:
    path = zipped(folder, Draft.random(rng), compression=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    place = -1
    while (place := data.find(b"PK\x01\x02", place + 1)) >= 0:
        data[place + 8] |= 1
    path.write_bytes(bytes(data))
    return REFUSED


def zip_bomb(rng: np.random.Generator, folder: Path) -> Expected:
    path = zipped(folder, Draft.random(rng))
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("masks/case_01/liver.nii.gz", "w") as file,
    ):
        for _ in range(300):
            file.write(b"\0" * 1_000_000)
    return REFUSED


def lying_zip_bomb(rng: np.random.Generator, folder: Path) -> Expected:
    """The directory says a thousand bytes; the data go on for much longer."""
    path = zipped(folder, Draft.random(rng))
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("masks/case_01/liver.nii.gz", "w") as file,
    ):
        for _ in range(100):
            file.write(b"\0" * 1_000_000)
    data = bytearray(path.read_bytes())
    start = data.rindex(b"PK\x01\x02")
    data[start + 24 : start + 28] = struct.pack("<I", 1000)
    path.write_bytes(bytes(data))
    return REFUSED


BILLION_LAUGHS = "".join(
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\n",
        *(f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)),
        "team: *h\nmethod: m\n",
    ]
)
INFOS = (
    "team: team\n", "method: method\n", "", "[]", "team", "team: [1, 2]\nmethod: m\n", "team: 1\nmethod: 2\n",
    "team: t\nmethod: m\nteem: x\n", "team: ''\nmethod: m\n", "team: t\n  method: m\n", "team: t\n\tmethod: m\n", "{",
    "\0",
    "team: !!python/object/apply:os.system ['touch /tmp/evil']\nmethod: m\n", "team: &a [*a]\nmethod: m\n",
    BILLION_LAUGHS,
    "team: t\nmethod: m\ntraining_data: 5\n", "team: " + "t" * 300 + "\nmethod: m\n", "- team: t\n- method: m\n",
    "team: 2026-01-01\nmethod: m\n", "? [a, b]\n: c\n", "team: t\nmethod: m\ndescription: " + "d" * 20_000 + "\n",
    "[" * 5000, "team: t\nmethod: m\nlicence: null\n", "team: t\n---\nmethod: m\n", "%YAML 9.9\n---\nteam: t\n",
)  # fmt: skip
HOSTILE_TEXT = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=HYPERLINK(\"http://evil\")", "| a | b |",
    "[x](javascript:x)",
    "\u202eetis", "team\nwith lines", "\x1b[31mred", "'; DROP TABLE", "{{7*7}}", "${jndi:ldap://x}",
    "é ü 東京", "`id`", "&lt;b&gt;",
)  # fmt: skip


def bad_info(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    draft.write(folder)
    text = INFOS[int(rng.integers(len(INFOS)))].encode()
    if rng.integers(5) == 0:
        text = (b"\xff\xfe" + "team: t\nmethod: m\n".encode("utf-16-le"), b"team: \xe9\nmethod: m\n", b"#" * 2_000_000)[
            int(rng.integers(3))
        ]
    (folder / "submission.yaml").write_bytes(text)
    return REFUSED


def no_info(rng: np.random.Generator, folder: Path) -> Expected:
    Draft.random(rng).write(folder)
    (folder / "submission.yaml").unlink()
    if rng.integers(2):
        (folder / "submission.yaml").mkdir()
    return REFUSED


def hostile_info(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    for name in ("team", "method", "description", "licence", "contact"):
        draft.info[name] = HOSTILE_TEXT[int(rng.integers(len(HOSTILE_TEXT)))]
    draft.info["training_data"] = [HOSTILE_TEXT[int(rng.integers(len(HOSTILE_TEXT)))]]
    draft.write(folder)
    return same(draft)


def special_files(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    draft.write(folder)
    table = folder / "predictions.csv"
    choice = int(rng.integers(6))
    if choice == 0:
        (folder / ".DS_Store").write_bytes(b"x")
        (folder / "README.md").write_text("about")
        return same(draft)
    if choice == 1:
        moved = folder.with_name(folder.name + "-table")
        table.rename(moved)
        table.symlink_to(moved)
        return same(draft)
    table.unlink()
    if choice == 2:
        os.mkfifo(table)
    elif choice == 3:
        table.symlink_to("/nowhere")
    elif choice == 4:
        table.symlink_to("/etc/passwd")
    else:
        table.mkdir()
    return REFUSED


ARCHIVES: tuple[Mutation, ...] = (
    clean_zip, unsafe_name, unsafe_name, special_entry, names_that_collide, damaged_zip, damaged_zip, damaged_zip,
    encrypted_zip, bad_info, bad_info, no_info, hostile_info, hostile_info, special_files,
)  # fmt: skip
HEAVY_ARCHIVES: tuple[Mutation, ...] = (zip_bomb, lying_zip_bomb)
