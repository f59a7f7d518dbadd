"""What a run of the language-model extractor needs to know."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.dataset_builder.extraction.llm.retry import RetryPolicy

KEY_VARIABLE = "RSUPER_BENCH_LLM_KEY"


@dataclass(frozen=True)
class LlmSettings:
    """How to reach a model and how hard to try.

    Attributes:
        endpoint: Base URL of an OpenAI-compatible server, ``/v1`` included; see :func:`checked_endpoint`.
        model: Name the server knows the model by.
        api_key: Sent as bearer token. It stays out of ``repr``.
        concurrency: Requests in flight.
        timeout_s: For one whole request.
        max_tokens: Length of an answer; one that is cut there is asked for once more with four times as many.
        invalid_retries: How often an answer that is not what the schema says is asked for again.
        retry: When the server is busy, broken or away.
    """

    endpoint: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    concurrency: int = 32
    timeout_s: float = 300.0
    max_tokens: int = 4096
    invalid_retries: int = 2
    retry: RetryPolicy = field(default_factory=RetryPolicy)


def checked_endpoint(url: str) -> str:
    """The base URL of a server; ``/v1`` is added to one without a path.

    Raises:
        ConfigError: If it is no http(s) URL, or holds a password, a query or a fragment.
    """
    import httpx  # not above: the name of the variable is needed where httpx is not installed

    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        good = good and not any(character.isspace() for character in url.strip())
        httpx.URL(url.strip())
    except (ValueError, httpx.InvalidURL):  # the second for a host name that cannot be one
        good = False
    if not good:
        fix = "Write it like http://localhost:8000/v1."
        raise ConfigError.of([Problem("--endpoint", "not the address of a server", "an http or https URL", fix)])
    if parts.username or parts.password or parts.query or parts.fragment:
        found = "an address with a password, '?' or '#'"
        fix = f"Put a key into the environment variable {KEY_VARIABLE}."
        raise ConfigError.of([Problem("--endpoint", found, "a plain address: keys do not belong in it", fix)])
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_loopback(endpoint: str) -> bool:
    """Whether what is sent to an endpoint stays on this machine."""
    host = urlsplit(endpoint).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
