"""Reading and writing small files: atomic, deterministic, and with one clear error for each bad one."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem, RsuperBenchError
from rsuper_bench.benchmark.model_problems import model_problems
from rsuper_bench.benchmark.records import ID_PATTERN

Model = TypeVar("Model", bound=BaseModel)
MAX_ROWS = 10_000_000  # of any table
MAX_COLUMNS = 10_000
MAX_LINE = 16 * 1024**2


def sha256_bytes(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no NaN: the same value is the same text. Models are dumped as JSON first."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def pretty_json(value: Any) -> str:
    """Indented JSON that keeps the order of keys; no NaN."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def digest_of(value: Any) -> str:
    """Digest of a JSON-able value or model, independent of key order."""
    return sha256_bytes(canonical_json(value).encode())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block ends well, and vanishes if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_out_file(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Refuse a place where no file can be written, before the work for it starts.

    Args:
        path: The file.
        inputs: Files that are read; writing must not replace them.

    Raises:
        ConfigError: If it is a folder, a device or one of the inputs, or lies in a file.
    """
    if path.is_dir():
        raise ConfigError.of([Problem(f"--out {path}", "is a folder", "a file to write", "Name a file in it.")])
    if path.exists() and not path.is_file():
        found = "is a device or a pipe"
        raise ConfigError.of([Problem(f"--out {path}", found, "a file to write", "Name another file.")])
    if path.exists() and any(item.exists() and path.samefile(item) for item in inputs):
        found = "is a file that is read"
        raise ConfigError.of([Problem(f"--out {path}", found, "a file of its own", "Name another file.")])
    _check_parents(path)


def check_out_folder(path: Path, marker: str, names: Sequence[str], inputs: Sequence[Path] = ()) -> None:
    """Refuse a folder in which writing ``names`` would replace files of something else.

    Args:
        path: The folder; it need not exist.
        marker: File that an earlier result of the same kind has.
        names: Files and folders that will be written, and replaced where they exist.
        inputs: Files and folders that are read; nothing is written into them.

    Raises:
        ConfigError: If it is a file or a link to nothing, lies in an input, or holds one of the names without the
            marker.
    """
    if path.is_symlink() and not path.exists():
        found = "is a link to nothing"
        raise ConfigError.of([Problem(f"--out {path}", found, "a folder to write", "Name a folder.")])
    real = path.resolve()
    if inside := [item for item in inputs if item.exists() and item.resolve() in (real, *real.parents)]:
        found = f"lies in {inside[0]}, which is read"
        raise ConfigError.of([Problem(f"--out {path}", found, "a folder of its own", "Name another folder.")])
    if path.exists() and not path.is_dir():
        raise ConfigError.of([Problem(f"--out {path}", "is a file", "a folder to write", "Name a folder.")])
    _check_parents(path)
    taken = [] if (path / marker).is_file() else [name for name in names if (path / name).exists()]
    if taken:
        found = f"holds {', '.join(taken)} of something else"
        raise ConfigError.of([Problem(f"--out {path}", found, "a new or empty folder", "Name another folder.")])


def _check_parents(path: Path) -> None:
    for parent in path.absolute().parents:
        if parent.exists():
            if not parent.is_dir():
                raise ConfigError.of(
                    [Problem(f"--out {path}", f"{parent} is a file", "a path through folders", "Name another place.")]
                )
            return


def shown_cell(text: str, limit: int = 60) -> str:
    """A cell of a table in a message: escaped and cut if it is one word, and only its length if it may be prose.

    A missing quote or header can push the text of a report into any cell, and no message may hold that.
    """
    if any(character.isspace() for character in text.strip()):
        return f"a text of {len(text)} characters"
    return ascii(text if len(text) <= limit else f"{text[: limit - 3]}...")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with Unix line ends on every system."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def read_text(
    path: Path,
    error: type[RsuperBenchError] = DataError,
    *,
    encoding: str = "utf-8-sig",
    lenient: bool = False,
) -> str:
    """Read text, by default UTF-8 (a byte-order mark is tolerated).

    Args:
        path: The file.
        error: Class to raise.
        encoding: Of the text.
        lenient: Read bytes that are no text as U+FFFD.

    Raises:
        RsuperBenchError: Of the given class, when the file is missing, unreadable or in another encoding.
    """
    name = encoding.upper().removesuffix("-SIG")
    try:
        return path.read_text(encoding=encoding, errors="replace" if lenient else "strict")
    except FileNotFoundError:
        raise error.of([Problem(str(path), "no such file", "a readable file", "Check the path.")]) from None
    except UnicodeDecodeError as cause:
        raise error.of(
            [Problem(str(path), f"byte {cause.start} is not {name}", f"{name} text", f"Save the file as {name}.")]
        ) from None
    except OSError as cause:
        raise error.of(
            [Problem(str(path), f"cannot be read ({cause.strerror})", "a readable file", "Check the path and rights.")]
        ) from None


def read_model(path: Path, model: type[Model], error: type[RsuperBenchError] = ConfigError) -> Model:
    """Read a YAML or JSON file into a strict model.

    Raises:
        RsuperBenchError: Of the given class, listing every wrong key at once ("did you mean" included).
    """
    text = read_text(path, error)
    if path.suffix == ".json":
        return _json_model(text, model, path, error)
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as cause:
        line = getattr(getattr(cause, "problem_mark", None), "line", 0) + 1
        raise _unparsed(path, line, error) from None
    return check_model(value, model, str(path), error)


def _json_model(text: str, model: type[Model], path: Path, error: type[RsuperBenchError]) -> Model:
    """Straight from text to a model: a report of 25 000 cases would stand in memory twice."""
    try:
        return model.model_validate_json(text)
    except ValidationError as cause:
        first = cause.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            line = re.search(r"at line (\d+) column", first["msg"])
            raise _unparsed(path, int(line[1]) if line else 1, error) from None
        raise error.of(model_problems(cause, model, str(path))) from None


def _unparsed(path: Path, line: int, error: type[RsuperBenchError]) -> RsuperBenchError:
    return error.of([Problem(f"{path}:{line}", "cannot be parsed", "YAML or JSON", "Mend the syntax at this line.")])


def check_model(value: Any, model: type[Model], where: str, error: type[RsuperBenchError]) -> Model:
    """Validate a parsed value, turning every pydantic complaint into a :class:`Problem`."""
    try:
        return model.model_validate(value)
    except ValidationError as cause:
        raise error.of(model_problems(cause, model, where)) from None


def read_table(
    path: Path,
    required: Sequence[str],
    *,
    optional: Sequence[str] | None = None,
    error: type[RsuperBenchError] = DataError,
    where: str | None = None,
    delimiter: str = ",",
    encoding: str = "utf-8-sig",
    lenient: bool = False,
    max_rows: int = MAX_ROWS,
) -> list[dict[str, str]]:
    """Read a CSV as text: ``001`` stays ``001`` and ``NA`` stays ``NA``.

    Args:
        path: The file.
        required: Columns that must be there.
        optional: When given, any other column is an error.
        error: Class to raise.
        where: Name to show instead of the path.
        delimiter: Between cells.
        encoding: Of the text.
        lenient: Read bytes that are no text, and NUL, as U+FFFD instead of refusing the whole file.
        max_rows: A table of more is refused before it fills the memory.

    Returns:
        One dict a row, in file order, without any row that is wholly empty.
    """
    name = where or str(path)
    text = read_text(path, error, encoding=encoding, lenient=lenient)
    if lenient:
        text = text.replace("\0", "\ufffd")
    elif "\0" in text:
        where = f"{name}:{text[: text.index(chr(0))].count(chr(10)) + 1}"
        fix = "Export it again as CSV, or clean this line."
        raise error.of([Problem(where, "holds NUL bytes", "a CSV text file", fix)])
    if longest := next((length for length in map(len, io.StringIO(text)) if length > MAX_LINE), None):
        # Before csv makes a cell of every comma in it.
        fix = "Export it again as CSV."
        raise error.of([Problem(name, f"a line of {longest} characters", f"at most {MAX_LINE}", fix)])
    previous_limit = csv.field_size_limit(64 * 1024**2)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
        header_row = next(reader, None)
        rows = []
        for number, row in enumerate(reader, start=2):
            if any(cell.strip() for cell in row):
                rows.append((number, row))
            if len(rows) > max_rows:
                raise error.of([Problem(name, f"more than {max_rows} rows", "a smaller table", "Split the table.")])
    except csv.Error as cause:
        raise error.of(
            [
                Problem(
                    f"{name}:{reader.line_num}", f"not valid CSV ({cause})", "comma-separated rows", "Mend this line."
                )
            ]
        ) from None
    finally:
        csv.field_size_limit(previous_limit)
    if header_row is None:
        columns = f"columns {', '.join(required)}" if required else "a header line and rows"
        raise error.of([Problem(name, "empty file", columns, "Write a header line.")])
    header = [column.strip() for column in header_row]
    if len(header) == 1 and any(sign in header[0] for sign in ";\t" if sign != delimiter):
        found, fix = "columns separated by ';' or tabs", "Export it with commas, and decimals with a point."
        raise error.of([Problem(name, found, "a comma-separated table", fix)])
    if len(header) > MAX_COLUMNS:
        raise error.of([Problem(name, f"{len(header)} columns", f"at most {MAX_COLUMNS}", "Remove some.")])
    problems = [
        Problem(name, f"no column '{column}'", f"columns {', '.join(required)}", f"Add the column '{column}'.")
        for column in required
        if column not in header
    ]
    problems += [
        Problem(name, f"column {shown_cell(column)} stands twice", "each column once", "Remove one of them.")
        for column, times in sorted(Counter(header).items())
        if times > 1
    ]
    if optional is not None:
        known = {*required, *optional}
        problems += [
            Problem(
                name, f"unknown column {shown_cell(column)}", f"only {', '.join(sorted(known))}", "Remove or rename it."
            )
            for column in header
            if column not in known
        ]
    table = []
    for number, row in rows:
        if len(row) != len(header):
            problems.append(
                Problem(f"{name}: row {number}", f"{len(row)} cells", f"{len(header)} cells", "Quote text with commas.")
            )
            continue
        table.append(dict(zip(header, row, strict=True)))
    if problems:
        raise error.of(problems)
    return table


def id_problems(ids: Sequence[str], where: str, column: str) -> list[Problem]:
    """Complaints about unsafe and duplicate ids. Unsafe ids are shown escaped and cut."""
    pattern = re.compile(ID_PATTERN)
    problems = []
    seen: dict[str, int] = {}
    for number, value in enumerate(ids, start=2):
        if not pattern.fullmatch(value):
            shown = shown_cell(value, 40)
            problems.append(
                Problem(
                    f"{where}: row {number}: {column}", f"unsafe id {shown}", f"text like {ID_PATTERN}", "Rename it."
                )
            )
        elif value in seen:
            problems.append(
                Problem(
                    f"{where}: row {number}: {column}",
                    f"'{value}' is already in row {seen[value]}",
                    "each id once",
                    "Remove or rename one of them.",
                )
            )
        seen.setdefault(value, number)
    return problems


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """CSV with formula cells neutralised: text that starts with ``= + - @`` gets a leading apostrophe."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_safe_cell(row.get(column)) for column in columns])
    return buffer.getvalue()


def _safe_cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value
