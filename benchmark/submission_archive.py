"""Finding the files of a submission: a folder, a zip that may be hostile, or a dataset repo on the Hub."""

from __future__ import annotations

import stat
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rsuper_bench.benchmark.errors import ConfigError, Problem, SubmissionError
from rsuper_bench.benchmark.release import is_hub_name

MAX_FILES = 500_000
MAX_BYTES = 64 * 1024**3
MAX_RATIO = 200  # unpacked over packed, for archives that unpack to more than FREE_BYTES
FREE_BYTES = 256 * 1024**2
_PIECE = 1024**2
_NOISE = {".DS_Store", "__MACOSX", "Thumbs.db", ".git", ".gitattributes", ".cache"}


@dataclass(frozen=True)
class SubmissionFolder:
    """The folder that holds the submission, and the temporary folder that must live as long."""

    path: Path
    shown: str
    keep: tempfile.TemporaryDirectory[str] | None = None


def open_submission_folder(source: str | Path) -> SubmissionFolder:
    """Find the files of a submission.

    Args:
        source: A folder, a zip of it, or ``org/name[@revision]`` of a dataset repo.

    Raises:
        ConfigError: If it is none of the three.
        SubmissionError: If the archive is damaged or unsafe, or the Hub does not give the repo.
    """
    path = Path(source)
    if path.is_dir():
        return SubmissionFolder(_inside_one_folder(path), path.name or str(path))
    if path.is_file():
        if path.suffix.lower() in (".csv", ".parquet", ".yaml", ".gz"):
            fix = "Name the folder the file is in."
            raise SubmissionError.of([Problem(path.name, "one file", "a folder or a zip of it", fix)])
        keep = tempfile.TemporaryDirectory(prefix="rsuper-bench-submission-")
        try:
            unpack_zip(path, Path(keep.name))
        except BaseException:
            keep.cleanup()
            raise
        return SubmissionFolder(_inside_one_folder(Path(keep.name)), path.name, keep)
    if is_hub_name(str(source)):
        return SubmissionFolder(_inside_one_folder(_from_hub(str(source))), str(source))
    raise ConfigError.of(
        [Problem(str(source), "no such submission", "a folder, a zip or org/name[@revision]", "Check the path.")]
    )


def is_noise(path: PurePosixPath | Path) -> bool:
    """Whether a name is litter that file managers and git leave behind."""
    return any(part in _NOISE or part.startswith("._") for part in path.parts)


def _inside_one_folder(folder: Path) -> Path:
    """Step into one extra top folder, the classic accident of zipping."""
    entries = [entry for entry in sorted(folder.iterdir()) if not is_noise(Path(entry.name))]
    if len(entries) == 1 and entries[0].is_dir() and entries[0].name != "masks":
        inner = entries[0]
        if not (inner / "predictions").is_dir():  # <case_id>/predictions/ of the R-Super layout is no extra folder
            return inner
    return folder


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repo, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repo, repo_type="dataset", revision=revision or None))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as cause:
        raise SubmissionError.of(
            [
                Problem(
                    name,
                    f"not a folder, and the Hub gave {type(cause).__name__}",
                    "a submission",
                    "Check the name, the revision, `hf auth login` and the network.",
                )
            ]
        ) from None


def unpack_zip(source: Path, target: Path) -> None:
    """Unpack a zip by our own rules: no absolute names, no ``..``, no links, bounded count, size and ratio.

    Raises:
        SubmissionError: Listing every unsafe entry, before anything is written; or when the data is damaged or larger
            than its directory says.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [entry for entry in archive.infolist() if not is_noise(_entry_path(entry))]
            problems = _archive_problems(source, entries)
            if problems:
                raise SubmissionError.of(problems)
            for entry in entries:
                if not entry.is_dir():
                    _unpack_entry(archive, entry, target / _entry_path(entry), source.name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as cause:
        raise SubmissionError.of(
            [
                Problem(
                    source.name,
                    f"not a readable zip ({type(cause).__name__})",
                    "an unencrypted zip file",
                    "Zip the submission folder again.",
                )
            ]
        ) from None


def _entry_path(entry: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(entry.filename.replace("\\", "/"))


def _archive_problems(source: Path, entries: list[zipfile.ZipInfo]) -> list[Problem]:
    problems = []
    seen: set[str] = set()
    for entry in entries:
        path = _entry_path(entry)
        found = None
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or ":" in str(path) or not path.parts:
            found = "a path that leaves the archive"
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            found = "a link or a special file"
        elif entry.flag_bits & 0x1:
            found = "an encrypted file"
        elif not entry.is_dir() and str(path).casefold() in seen:
            found = "a name that stands twice"
        if found:
            shown = ascii(entry.filename[:80])
            problems.append(Problem(f"{source.name}: {shown}", found, "plain files", "Zip the folder again."))
        seen.add(str(path).casefold())
    if len(entries) > MAX_FILES:
        problems.append(Problem(source.name, f"{len(entries)} files", f"at most {MAX_FILES}", "Send fewer files."))
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if unpacked > MAX_BYTES:
        problems.append(
            Problem(source.name, f"unpacks to {unpacked} bytes", f"at most {MAX_BYTES}", "Send a folder instead.")
        )
    if unpacked > FREE_BYTES and unpacked > MAX_RATIO * packed:
        problems.append(
            Problem(
                source.name,
                f"unpacks to {unpacked // max(packed, 1)} times its size",
                f"at most {MAX_RATIO} times",
                "Send a folder instead, or compress the masks (.nii.gz).",
            )
        )
    return problems


def _unpack_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, shown: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as packed, target.open("xb") as file:
        while piece := packed.read(_PIECE):
            written += len(piece)
            if written > entry.file_size:  # the directory of the zip lied about the size
                raise SubmissionError.of(
                    [
                        Problem(
                            f"{shown}: {entry.filename[:80]!a}",
                            f"more than the {entry.file_size} bytes it declares",
                            "a zip with a true directory",
                            "Zip the folder again.",
                        )
                    ]
                )
            file.write(piece)
