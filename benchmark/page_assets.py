"""Style and script that the pages of benchmark and leaderboard share, and the policy that lets only them run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files


@cache
def page_asset(name: str, package: str = "rsuper_bench.benchmark") -> str:
    """Text of a shipped file, such as ``page_style.css``."""
    return (files(package) / name).read_text(encoding="utf-8")


@cache
def content_policy(style: str, script: str) -> str:
    """A content security policy under which this style and this script run and nothing else is loaded or run.

    Even a name that slipped through the escaping could not act: it has not the digest.
    """
    parts = ["default-src 'none'", f"style-src '{_digest(style)}'"]
    if script:
        parts.append(f"script-src '{_digest(script)}'")
    return "; ".join([*parts, "img-src data:", "base-uri 'none'", "form-action 'none'"])


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
