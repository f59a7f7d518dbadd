"""The files of a PACS export, however they are nested and named: which are DICOM, and what the others are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rsuper_bench.dataset_builder.dicom.headers import (
    Instance,
    SeriesInfo,
    is_directory,
    quiet,
    read_header,
    read_instance,
)

_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"}


@dataclass
class Export:
    """What an export holds.

    Attributes:
        unreadable: Paths of files that begin like DICOM and cannot be read, with the kind of error.
        n_other: Files that are not DICOM.
        n_archives: Those of them that are archives, and may hold DICOM files.
        n_links: Links to folders, and links that lead out of the export; they are not followed.
    """

    instances: list[Instance] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    n_files: int = 0
    n_other: int = 0
    n_archives: int = 0
    n_directories: int = 0
    n_links: int = 0


def read_export(root: Path) -> Export:
    """Read the header of every file below a folder, in the order of their paths."""
    with quiet():
        return _read_export(root)


def _read_export(root: Path) -> Export:
    export = Export()
    known: dict[SeriesInfo, SeriesInfo] = {}
    resolved = root.resolve()
    for path in _files(resolved, export):
        export.n_files += 1
        relative = path.relative_to(resolved).as_posix()
        try:
            header = read_header(path)
            directory = header is not None and is_directory(header)
            instance = None if header is None or directory else read_instance(header, path, relative)
        except Exception as cause:  # pydicom raises many types for a damaged file
            export.unreadable.append((relative, type(cause).__name__))
            continue
        if instance is not None:
            shared = known.setdefault(instance.info, instance.info)
            export.instances.append(replace(instance, info=shared))
        elif directory:
            export.n_directories += 1
        else:
            export.n_other += 1
            export.n_archives += path.suffix.lower() in _ARCHIVES
    return export


def _files(root: Path, export: Export) -> Iterator[Path]:
    """Files in the order of their paths; folders that cannot be read and links are noted instead."""

    def unreadable(cause: OSError) -> None:
        export.unreadable.append((Path(cause.filename).relative_to(root).as_posix(), type(cause).__name__))

    for folder, names, files in os.walk(root, onerror=unreadable):
        names.sort()
        export.n_links += sum(Path(folder, name).is_symlink() for name in names)
        for name in sorted(files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                export.n_links += 1
            else:
                yield path
