"""Writing a comparison: ``compare.json`` and ``compare.md``."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from rsuper_bench.benchmark.comparison_record import Comparison, Difference, Side
from rsuper_bench.benchmark.files import check_out_folder, pretty_json, write_text
from rsuper_bench.benchmark.markdown import NOT_DEFINED, escape, markdown_table, p_value, percent
from rsuper_bench.benchmark.out_lock import holding

COMPARISON_FILE = "compare.json"
PAGE = "compare.md"
WRITTEN = (PAGE, COMPARISON_FILE)  # in the order in which they take their place
_AREAS = ("auroc", "average_precision")


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write both files, made in a folder inside first; ``compare.json`` arrives last, so where it is both are.

    Raises:
        ConfigError: If files of something else would be replaced.
        DataError: If another comparison is at work in the folder.
    """
    with comparing(folder):
        check_out_folder(folder, COMPARISON_FILE, WRITTEN)
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=folder))
        try:
            write_text(partial / PAGE, comparison_markdown(comparison))
            write_text(partial / COMPARISON_FILE, pretty_json(comparison))
            (folder / COMPARISON_FILE).unlink(missing_ok=True)
            for name in WRITTEN:
                (partial / name).replace(folder / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def comparing(folder: Path) -> AbstractContextManager[object]:
    """Hold an out folder against a second comparison; may be entered again inside itself.

    Raises:
        DataError: If another comparison holds it.
    """
    return holding(folder, "comparing", "comparison")


def comparison_markdown(comparison: Comparison) -> str:
    """Render a comparison: one table a metric."""
    what = f"{comparison.n_cases} cases of {comparison.n_patients} patients, fingerprint `{comparison.fingerprint}`."
    parts = [
        f"# {_who(comparison.a)} beside {_who(comparison.b)} on {comparison.task}",
        *[f"> **{escape(statement)}**" for statement in comparison.statements],
        f"{what} A is the first of the two, and differences are A - B, on the same cases.",
        *_imputed(comparison),
    ]
    kinds = list(comparison.differences)
    for name in comparison.differences[kinds[0]]:
        items = {kind: comparison.differences[kind][name] for kind in kinds}
        if any(item.difference is not None for item in items.values()):
            parts += [f"## {name.replace('_', ' ')}", difference_table(name, items)]
    level = f"{100 * comparison.confidence:g} %"
    method = (
        f"Brackets are {level} intervals of the difference. With one case a patient: DeLong for the AUROC, Newcombe's "
        "paired interval and the exact McNemar test for sensitivity and specificity at the frozen thresholds. "
        "Otherwise, and for every other figure: a bootstrap over patients with operating points matched again in each "
        f"of {comparison.replicates} replicates (seed {comparison.seed}), and a test that exchanges the two methods' "
        "results patient by patient. P-values of a metric are Holm-corrected over the tumor types; the mean over types "
        "is one test and is not corrected. A method is called higher only where interval and corrected test agree. "
        "Each metric is its own family: with ten metrics looked at, some difference in one of them is expected."
    )
    return "\n\n".join([*parts, "## How it was measured", method]) + "\n"


def difference_table(name: str, items: dict[str, Difference]) -> str:
    """One row a tumor type."""

    def show(value: float | None) -> str:
        return NOT_DEFINED if value is None else f"{value:.3f}" if name in _AREAS else percent(value)

    rows = []
    for kind, item in items.items():
        p = item.p if kind == "mean" else item.p_holm
        interval = f" [{show(item.low)}, {show(item.high)}]" if item.low is not None else ""
        rows.append(
            [
                f"**{kind}**" if kind == "mean" else kind.replace("_", " "),
                show(item.a),
                show(item.b),
                f"{show(item.difference)}{interval}",
                p_value(item.p),
                p_value(p),
                item.test or NOT_DEFINED,
                {"a": "A", "b": "B", None: NOT_DEFINED}[item.higher],
                item.reason or "",
            ]
        )
    unit = "" if name in _AREAS else ", %"
    header = ["tumor type", f"A{unit}", f"B{unit}", f"A - B{unit}", "p", "p corrected", "test", "higher", "note"]
    return markdown_table(header, rows)


def _who(side: Side) -> str:
    return f"{escape(side.method)} ({escape(side.team)})"


def _imputed(comparison: Comparison) -> list[str]:
    return [
        f"**{label}: {side.imputed} missing predictions were scored the worst way.**"
        for label, side in (("A", comparison.a), ("B", comparison.b))
        if side.imputed
    ]
