"""Sources by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rsuper_bench.benchmark.errors import ConfigError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import read_model, sha256_file
from rsuper_bench.dataset_builder.raw_case import Source

PLANTED_CASES = 24  # unless --n says otherwise


@dataclass(frozen=True)
class SourceOptions:
    """Everything a source can be told on the command line; each takes some of it."""

    seed: int = 0
    input: Path | None = None
    config: Path | None = None
    ct: Path | None = None
    organs: Path | None = None
    labels: Path | None = None
    n: int | None = None
    reject_bad: bool = False
    out: Path | None = None  # of the release; no secret may lie in it

    def digest_parts(self) -> dict[str, Any]:
        """What cases depend on: values, and the content of single files (not their places)."""
        parts: dict[str, Any] = {"seed": self.seed, "n": self.n}
        for name in ("config", "ct", "organs", "labels"):
            path = getattr(self, name)
            parts[name] = sha256_file(path) if path is not None and path.is_file() else path and str(path)
        return parts


@dataclass(frozen=True)
class SourceKind:
    """How a source is made.

    Attributes:
        make: Called with the options.
        needs: Options that must be given.
        takes: Options that may be given; any other is a wrong call.
        strict: Whether an unusable case is an error unless ``--reject-bad`` is given: so for what users bring. What a
            generator cannot make goes to ``rejected.csv``.
    """

    make: Callable[[SourceOptions], Source]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    strict: bool = False


def _phantom(options: SourceOptions) -> Source:
    from rsuper_bench.dataset_builder.phantom import PhantomSource
    from rsuper_bench.dataset_builder.phantom.config import PhantomConfig, load_phantom_config

    config = PhantomConfig() if options.config is None else load_phantom_config(options.config)
    if options.n is not None:
        sizes = {"n_train": None, "n_validation": None, "n_test": None}
        config = PhantomConfig.model_validate(config.model_dump() | sizes | {"n_cases": options.n})
    return PhantomSource(config, options.seed)


def _planted(options: SourceOptions) -> Source:
    from rsuper_bench.dataset_builder.planted import PlantedConfig, PlantedSource

    if options.ct is None or options.organs is None or options.labels is None:
        raise _missing("planted", ["ct", "organs", "labels"])
    absent = [
        Problem(f"{_flag(name)} {path}", "no such file", "a file", "Check the path.")
        for name, path in (("ct", options.ct), ("organs", options.organs), ("labels", options.labels))
        if not path.is_file()
    ]
    if absent:
        raise ConfigError.of(absent)
    config = PlantedConfig() if options.config is None else read_model(options.config, PlantedConfig)
    n = PLANTED_CASES if options.n is None else options.n
    return PlantedSource(options.ct, options.organs, options.labels, n, options.seed, config)


def _folder(options: SourceOptions) -> Source:
    from rsuper_bench.dataset_builder.folder import FolderSource

    if options.input is None:
        raise _missing("folder", ["input"])
    source = FolderSource.open(options.input, config=options.config, reject_bad=options.reject_bad)
    if source.config.organ_masks is None:
        return source
    from rsuper_bench.dataset_builder.organ_masks import WithOrganMasks

    return WithOrganMasks(source, source.config.organ_masks)


def _dicom(options: SourceOptions) -> Source:
    from rsuper_bench.dataset_builder.organ_masks import WithOrganMasks

    try:
        from rsuper_bench.dataset_builder.dicom import DicomSource, load_dicom_config
    except ModuleNotFoundError as cause:
        raise _not_installed("dicom", cause, "dicom") from None
    if options.input is None:
        raise _missing("dicom", ["input"])
    config = load_dicom_config(options.config, export=options.input.absolute(), out=options.out)
    source = DicomSource.open(options.input, config)
    return source if config.organ_masks is None else WithOrganMasks(source, config.organ_masks)


def _public(name: str) -> Callable[[SourceOptions], Source]:
    def make(options: SourceOptions) -> Source:
        from rsuper_bench.dataset_builder.public import open_public_source

        if options.input is None:
            raise _missing(name, ["input"])
        return open_public_source(name, options.input, options.config)

    return make


PUBLIC = ("merlin", "pants", "abdomenatlas", "ct_rate")
SOURCES: dict[str, SourceKind] = {
    "phantom": SourceKind(_phantom, takes=("config", "n")),
    "planted": SourceKind(_planted, needs=("ct", "organs", "labels"), takes=("config", "n")),
    "folder": SourceKind(_folder, needs=("input",), takes=("config", "reject_bad"), strict=True),
    "dicom": SourceKind(_dicom, needs=("input",), takes=("config",)),
    **{name: SourceKind(_public(name), needs=("input",), takes=("config",)) for name in PUBLIC},
}


def open_source(name: str, options: SourceOptions) -> Source:
    """Make a source by name.

    Raises:
        ConfigError: Unknown name ("did you mean"), options that do not fit, or an extra that is not installed.
        DataError: From the source itself.
    """
    if name not in SOURCES:
        close = get_close_matches(name, list(SOURCES), n=1)
        fix = f"Did you mean '{close[0]}'?" if close else "Choose one of them."
        raise ConfigError.of(
            [Problem("--source", f"unknown source {name[:40]!a}", f"one of {', '.join(SOURCES)}", fix)]
        )
    kind = SOURCES[name]
    given = [
        item.name
        for item in fields(options)
        if item.name not in ("seed", "out") and getattr(options, item.name) not in (None, False)
    ]
    missing = [need for need in kind.needs if need not in given]
    if missing:
        raise _missing(name, missing)
    extra = [option for option in given if option not in (*kind.needs, *kind.takes)]
    if extra:
        takes = ", ".join(_flag(option) for option in (*kind.needs, *kind.takes)) or "no option of its own"
        raise ConfigError.of(
            [Problem(_flag(option), f"source '{name}' does not take it", takes, "Leave it out.") for option in extra]
        )
    return kind.make(options)


def _missing(name: str, options: list[str]) -> ConfigError:
    flags = " ".join(_flag(option) for option in options)
    message = f"error: --source {name}: {flags} missing; expected a value.\n       Add it."
    return ConfigError(message, [Problem(f"--source {name}", f"{flags} missing", "a value", "Add it.")])


def _not_installed(name: str, cause: ModuleNotFoundError, extra: str) -> RsuperBenchError:
    fix = f"pip install -e '.[{extra}]' in the clone"
    return ConfigError.of([Problem(f"--source {name}", f"{cause.name} is not installed", "it", fix)])


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"
