"""Mutations of ``predictions.csv`` and ``predictions.parquet``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from clean import REFUSED, Draft, Expected, naive_table, same

Mutation = Callable[[np.random.Generator, Path], Expected]

NUMBERS_ALIKE = ("{0}", "+{0}", "{0}0", " {0}", "{0} ", "{0}e0", "{0}E-0", "0{0}", '"{0}"')
BAD_NUMBERS = (
    "nan", "NaN", "inf", "-inf", "Infinity", "", " ", "abc", "0.5%", "1_0", "0x1", "1e999", "-0.1", "1.0001", "2",
    "=1+1",    "=cmd|' /C calc'!A0", "0,5", "１", "٠.٥", "½", "1.2.3", "--1", "1e", "None", "null", "true", "<b>1</b>",
    "0.5\u200b",    "1" * 400, "\u202e5.0", "+", ".", "e5", "0.5 0.5", "0.5f", "#REF!", "@SUM(1)", "\t", "\x1b[31m0.5",
)  # fmt: skip
BAD_IDS = (
    "../../etc/passwd", "/etc/passwd", "..", ".", "", " case_01", "case 01", "case_01 ", "case_01\u200b", "ｃase_01",
    "=case_01", "@case", "-case", "+case", "<script>alert(1)</script>", "case_01;rm -rf", "case\x00_01", "C" * 200,
    "case_01\\x", "CON", "case_99", "CASE_01", "case_1", "1", "nan", "\x1b[2Jcase", "case\u202e", "%2e%2e", "case_01/",
    "a:b", "${HOME}", "{{7*7}}", "'; DROP TABLE", "é", "\ufeffcase_01",
)  # fmt: skip
BAD_TYPES = (
    "Liver",
    "liver ",
    "livr",
    "",
    "hepar",
    "<img src=x onerror=alert(1)>",
    "liver\x00",
    "l\u0456ver",
    "=liver",
)


def write(folder: Path, draft: Draft, data: bytes | str) -> None:
    """A clean submission with another table."""
    draft.write(folder)
    (folder / "predictions.csv").write_bytes(data.encode() if isinstance(data, str) else data)


def quoted(cell: str) -> str:
    """A cell that csv reads as it is."""
    return '"' + cell.replace('"', '""') + '"'


def pick(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    """One of them."""
    return items[int(rng.integers(len(items)))]


def byte_order_mark(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng, volumes=bool(rng.integers(2)))
    write(folder, draft, b"\xef\xbb\xbf" + draft.table().encode())
    return same(draft)


def line_ends(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    end = ("\r\n", "\r", "\n\n", "\r\n\r\n", "\n,,\n")[int(rng.integers(5))]
    write(folder, draft, draft.table().replace("\n", end).removesuffix("\n" if rng.integers(2) else "\0"))
    return same(draft)


def order(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng, volumes=True)
    rows = draft.rows()
    columns = rng.permutation(4)
    body = [rows[1:][index] for index in rng.permutation(len(rows) - 1)]
    write(folder, draft, "".join(",".join(row[column] for column in columns) + "\n" for row in [rows[0], *body]))
    return same(draft)


def numbers_alike(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    rows = draft.rows()
    for row in rows[1:]:
        row[2] = pick(rng, NUMBERS_ALIKE).format(row[2])
    write(folder, draft, "".join(",".join(row) + "\n" for row in rows))
    return same(draft)


def edges(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    texts = {
        "0": 0.0,
        "1": 1.0,
        "-0.0": 0.0,
        "1e-400": 0.0,
        "1.": 1.0,
        ".5": 0.5,
        "0.9999999999999999999": 1.0,
        "5e-324": 5e-324,
    }
    rows = draft.rows()
    for row in rows[1:]:
        text = list(texts)[int(rng.integers(len(texts)))]
        row[2], draft.scores[row[0], row[1]] = text, texts[text]
    write(folder, draft, "".join(",".join(row) + "\n" for row in rows))
    return same(draft)


def encodings(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    name = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037")[int(rng.integers(6))]
    data = draft.table().encode(name)
    write(folder, draft, data)
    return Expected(draft.values, may_refuse=True) if naive_table(data) else REFUSED


def latin_comment(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    write(folder, draft, draft.table().encode() + "é,liver,0.5\n".encode("latin-1"))
    return REFUSED


def separators(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    text = draft.table().replace(",", (";", "\t", "|", " ")[int(rng.integers(4))])
    write(folder, draft, text.replace(".", ",") if rng.integers(2) else text)
    return REFUSED


def decimal_commas(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    rows = draft.rows()
    some = rng.integers(1, len(rows))
    rows[some][2] = quoted(f"0,{rng.integers(1, 999)}") if rng.integers(2) else f"0,{rng.integers(1, 999)}"
    write(folder, draft, "".join(",".join(row) + "\n" for row in rows))
    return REFUSED


def bad_number(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng, volumes=bool(rng.integers(2)))
    rows = draft.rows()
    column = int(rng.integers(2, len(rows[0])))
    text = pick(rng, BAD_NUMBERS)
    rows[int(rng.integers(1, len(rows)))][column] = quoted(text)
    data = "".join(",".join(row) + "\n" for row in rows)
    write(folder, draft, data)
    values = naive_table(data.encode())  # a volume may be empty or large
    return REFUSED if values is None else Expected(values, may_refuse=True)


def bad_id(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    rows = draft.rows()
    number = int(rng.integers(1, len(rows)))
    added = [quoted(pick(rng, BAD_IDS)), *rows[number][1:]]
    rows[number : number + int(rng.integers(2))] = [added]  # instead of a row, or besides
    write(folder, draft, "".join(",".join(row) + "\n" for row in rows))
    return REFUSED


def bad_type(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    rows = draft.rows()
    rows[int(rng.integers(1, len(rows)))][1] = quoted(pick(rng, BAD_TYPES))
    write(folder, draft, "".join(",".join(row) + "\n" for row in rows))
    return REFUSED


def other_types(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    write(folder, draft, draft.table() + "".join(f"case_0{n},spleen,0.{n}\n" for n in range(1, 1 + rng.integers(1, 6))))
    return same(draft)


def repeated_row(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    rows = draft.rows()
    twice = list(rows[int(rng.integers(1, len(rows)))])
    if rng.integers(2):
        twice[2] = "0.123"
    rows.insert(int(rng.integers(1, len(rows))), twice)
    write(folder, draft, "".join(",".join(row) + "\n" for row in rows))
    return REFUSED


def columns(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    rows = draft.rows()
    choice = int(rng.integers(5))
    if choice == 0:
        rows = [row[:2] for row in rows]
    elif choice == 1:
        rows = [[*row, "x"] for row in rows]
        rows[0][3] = pick(rng, ("label", "score", "=1+1", "<script>", "", "\x00", "Score", "volume", "reference"))
    elif choice == 2:
        rows[0][2] = pick(rng, ("Score", "score_", "prob", "SCORE", "sc\u043ere"))
    elif choice == 3:
        rows[int(rng.integers(1, len(rows)))].append("0.1")
    else:
        rows = rows[1:]
    write(folder, draft, "".join(",".join(row) + "\n" for row in rows))
    return REFUSED


def missing_rows(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    lost = list(draft.scores)[:: int(rng.integers(2, 5))]
    for key in lost:
        del draft.scores[key]
    draft.write(folder)
    if rng.integers(2):
        return REFUSED
    return Expected(draft.values, absent=frozenset(lost), missing="fail")


def cut_off(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    data = draft.table().encode()
    data = data[: int(rng.integers(len(data)))]
    write(folder, draft, data)
    values = naive_table(data)  # a number that was cut off is still a number: what the file says is what counts
    return REFUSED if values is None else Expected(values)


def flipped_bytes(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng, volumes=bool(rng.integers(2)))
    data = bytearray(draft.table().encode())
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(len(data)))
        choice = int(rng.integers(3))
        if choice == 0:
            data[place] = int(rng.integers(256))
        elif choice == 1:
            del data[place]
        else:
            data.insert(place, int(rng.choice(np.frombuffer(b'",\n\r\0.e-+=; \xff\xc3', np.uint8))))
    write(folder, draft, bytes(data))
    values = naive_table(bytes(data))
    return REFUSED if values is None else Expected(values, may_refuse=True)


def junk(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    head = b"case_id,tumor_type,score\n"
    contents = (
        b"",
        b"\n\n\n",
        b"\0" * 500,
        rng.bytes(800),
        head,
        b'"' + head,
        b"\xef\xbb\xbf",
        head + b'"case_01,liver,0.5\n' * 9,
        b"," * 100_000,
        b"PK\x03\x04" + rng.bytes(100),
        b"\n" * 300_000,
        head + b"a" * 3_000_000,
    )
    write(folder, draft, contents[int(rng.integers(len(contents)))])
    return REFUSED


def parquet_alike(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng, volumes=bool(rng.integers(2)))
    draft.with_table = False
    draft.write(folder)
    table = parquet_table(draft)
    if rng.integers(2):
        table = table.set_column(0, "case_id", table.column("case_id").dictionary_encode())
    pq.write_table(table, folder / "predictions.parquet", compression=("snappy", "zstd", "none")[int(rng.integers(3))])
    return same(draft)


def parquet_table(draft: Draft) -> pa.Table:
    """The rows of a draft."""
    rows = [{"case_id": key[0], "tumor_type": key[1], "score": score} for key, score in draft.scores.items()]
    for row, volume in zip(rows, draft.volumes.values(), strict=False):
        row["volume_mm3"] = volume
    return pa.Table.from_pylist(rows)


def parquet_damage(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    draft.with_table = False
    draft.write(folder)
    path = folder / "predictions.parquet"
    pq.write_table(parquet_table(draft), path, compression="none", use_dictionary=bool(rng.integers(2)))
    data = bytearray(path.read_bytes())
    choice = int(rng.integers(3))
    if choice == 0:
        data = data[: int(rng.integers(len(data)))]
    elif choice == 1:
        data = bytearray(b"PAR1" + rng.bytes(300) + b"PAR1")
    else:
        data[-int(rng.integers(1, 9))] ^= 1 << int(rng.integers(8))  # length of the footer, or the magic bytes
    path.write_bytes(bytes(data))
    return REFUSED


def parquet_flips(rng: np.random.Generator, folder: Path) -> Expected:
    """Flipped bytes anywhere: pages have no check sum, so a number may be another one; what can be read counts."""
    draft = Draft.random(rng)
    draft.with_table = False
    draft.write(folder)
    path = folder / "predictions.parquet"
    pq.write_table(parquet_table(draft), path, compression=("none", "zstd")[int(rng.integers(2))])
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 3))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    path.write_bytes(bytes(data))
    try:
        rows = pq.read_table(path).to_pylist()
        values = {(row["case_id"], row["tumor_type"]): (row["score"], None) for row in rows}
    except Exception:
        return REFUSED
    good = len(values) == len(rows) and values.keys() == draft.scores.keys()
    good = good and all(isinstance(score, float) and 0 <= score <= 1 for score, _ in values.values())
    return Expected(values, may_refuse=True) if good else REFUSED


def parquet_types(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    draft.with_table = False
    draft.write(folder)
    table = parquet_table(draft)
    choice = int(rng.integers(8))
    column, values = (
        ("case_id", pa.array(range(len(table)))),
        ("case_id", pa.array([None] * len(table), pa.string())),
        ("score", pa.array([None] * len(table), pa.float64())),
        ("score", pa.array(["0.5"] * len(table))),
        ("score", pa.array([float("nan")] * len(table))),
        ("score", pa.array([[0.5]] * len(table))),
        ("tumor_type", pa.array([b"liver"] * len(table))),
        ("score", pa.array([True] * len(table))),
    )[choice]
    table = table.set_column(table.column_names.index(column), column, values)
    pq.write_table(table, folder / "predictions.parquet")
    return REFUSED


def parquet_bomb(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    draft.with_table = False
    draft.write(folder)
    n = 6_000_000  # a few kilobytes: runs of one value
    indices = pa.array(np.zeros(n, np.int8))
    same_text = {
        name: pa.DictionaryArray.from_arrays(indices, [text])
        for name, text in (("case_id", "case_01"), ("tumor_type", "liver"))
    }
    table = pa.table({**same_text, "score": pa.array(np.zeros(n))})
    pq.write_table(table, folder / "predictions.parquet", compression="zstd")
    return REFUSED


def both_tables(rng: np.random.Generator, folder: Path) -> Expected:
    draft = Draft.random(rng)
    draft.write(folder)
    pq.write_table(parquet_table(draft), folder / "predictions.parquet")
    return REFUSED


TABLES: tuple[Mutation, ...] = (
    byte_order_mark, line_ends, order, numbers_alike, edges, encodings, latin_comment, separators, decimal_commas,
    bad_number, bad_number, bad_id, bad_id, bad_type, other_types, repeated_row, columns, missing_rows, cut_off,
    flipped_bytes, flipped_bytes, junk, parquet_alike, parquet_damage, parquet_flips, parquet_types,
    both_tables,
)  # fmt: skip
HEAVY_TABLES: tuple[Mutation, ...] = (parquet_bomb,)
