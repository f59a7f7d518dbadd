"""A report in a file of its own: text, or the text of a PDF."""

from __future__ import annotations

from pathlib import Path

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import read_text
from rsuper_bench.dataset_builder.rejection import CaseError, Reason

_MAX_BYTES = 20 * 1024**2
_MAX_PAGES = 50


def read_report_file(path: Path, *, name: str) -> str:
    """The text of a report.

    Args:
        path: ``.txt`` or ``.pdf``.
        name: The case, for messages.

    Raises:
        CaseError: Damaged, too large, or without text (a scanned page has none).
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _refuse(name, Reason.UNUSABLE, "larger than a report can be")
        text = _pdf(path) if path.suffix.lower() == ".pdf" else read_text(path)
    except CaseError:
        raise
    except ModuleNotFoundError:
        raise _refuse(
            name, Reason.UNUSABLE, "a PDF, and pypdf is not installed: pip install -e '.[build]' in the clone"
        ) from None
    except DataError as cause:
        raise CaseError.because(Reason.UNUSABLE, cause.problems) from None
    except Exception as cause:  # pypdf raises many types for a damaged file
        raise _refuse(name, Reason.UNUSABLE, f"cannot be read ({type(cause).__name__})") from None
    if not text.strip():
        raise _refuse(name, Reason.EMPTY_REPORT, "no text")
    return text.strip()


def _pdf(path: Path) -> str:
    import logging

    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = PdfReader(path)
    return "\n".join(page.extract_text() for page in reader.pages[:_MAX_PAGES])


def _refuse(name: str, reason: Reason, found: str) -> CaseError:
    return CaseError.because(reason, [Problem(f"case {name}: report", found, "a report with text", "Check the file.")])
