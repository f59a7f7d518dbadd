"""One question to an OpenAI-compatible server: asked again while that may help, and given up on with a reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType

import httpx
from pydantic import ValidationError

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.dataset_builder.extraction.llm.answers import Answer, answer_schema
from rsuper_bench.dataset_builder.extraction.llm.reply import AskAgainError, GaveUpError, Reply, parsed, read_reply
from rsuper_bench.dataset_builder.extraction.llm.retry import retry_after_s
from rsuper_bench.dataset_builder.extraction.llm.settings import LlmSettings, is_loopback

MAX_ANSWER_BYTES = 8 * 1024**2
LONGER = 4  # times as many tokens for an answer that was cut
CONNECT_TIMEOUT_S = 20.0
_JSON = {"Content-Type": "application/json"}
_BUSY = (408, 409, 425, 429)


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass
class Traffic:
    """What a run cost."""

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    waits: dict[str, int] = field(default_factory=dict)  # reason -> times asked again


@lru_cache(maxsize=64)
def _frame(model: str, prompt: str, answer: type[Answer], max_tokens: int, seed: int) -> tuple[bytes, bytes]:
    """What stands before and after the report in a request: the same for all reports, so written once."""
    asked = {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": answer.__name__, "strict": True, "schema": answer_schema(answer)},
        },
        "temperature": 0.0 if seed == 0 else 0.3,  # the same question without chance would get the same bad answer
        "seed": seed,
        "max_tokens": max_tokens,
    }
    opening = json.dumps({"model": model, "messages": [{"role": "system", "content": prompt}]}, ensure_ascii=False)
    before = opening.removesuffix("]}") + ', {"role": "user", "content": '
    return before.encode(), ("}], " + json.dumps(asked, ensure_ascii=False).removeprefix("{")).encode()


class LlmClient:
    """Asks one server. Use it as an async context manager.

    Args:
        settings: Where and how.
        sleep: Waits between attempts; tests put their own here.
    """

    def __init__(self, settings: LlmSettings, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.settings = settings
        self.traffic = Traffic()
        self._sleep = sleep
        self._idle: list[httpx.AsyncClient] = []
        self._all: list[httpx.AsyncClient] = []
        # Reading the certificates takes a while: once for all connections, and not at all where there are none.
        self._verify = httpx.create_ssl_context() if settings.endpoint.startswith("https:") else False

    async def __aenter__(self) -> LlmClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for http in self._all:
            await http.aclose()

    async def models(self) -> list[str] | None:
        """Names of the models the server offers; None where it does not tell.

        Raises:
            DataError: If the server cannot be reached or refuses the key.
        """
        try:
            with self._connection() as http:
                async with asyncio.timeout(CONNECT_TIMEOUT_S), http.stream("GET", "/models") as response:
                    status, data = response.status_code, await _bounded(response)
        except (httpx.HTTPError, TimeoutError, GaveUpError) as cause:
            found = f"no answer ({getattr(cause, 'reason', type(cause).__name__)})"
            fix = "Start the server, or correct the address."
            raise DataError.of([Problem(self.settings.endpoint, found, "a running server", fix)]) from None
        if status in (401, 402, 403) or 300 <= status < 400:
            self._check_for_all(status)
        try:
            return sorted(str(entry["id"]) for entry in json.loads(data)["data"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    async def ask(self, job: str, prompt: str, text: str, answer: type[Answer]) -> Answer:
        """Ask until there is a valid answer.

        Args:
            job: Id of the question; it seeds the jitter.
            prompt: The system message.
            text: The user message: a report.
            answer: Model whose schema the answer is held to.

        Raises:
            GaveUpError: After the last attempt, or where asking again does not help.
            ConfigError: If the server knows neither key nor model: no other report would fare better.
        """
        invalid = 0
        max_tokens = self.settings.max_tokens
        attempt = 0
        while True:
            attempt += 1
            try:
                reply = await self._post(self._body(prompt, text, answer, max_tokens, seed=invalid))
            except AskAgainError as problem:
                wait_s = self.settings.retry.wait_s(job, attempt, problem.retry_after_s)
                if wait_s is None:
                    raise GaveUpError(problem.reason, server_away=True) from None
                self._count_again(problem.reason)
                await self._sleep(wait_s)
                continue
            except _RefusedError as problem:
                if max_tokens > self.settings.max_tokens:  # the longer answer does not fit the model
                    raise GaveUpError("cut") from None
                raise GaveUpError(f"refused_{problem.status}", server_away=True) from None
            if reply.is_cut:
                if max_tokens > self.settings.max_tokens:
                    raise GaveUpError("cut")
                max_tokens *= LONGER
                self._count_again("cut")
                continue
            try:
                return answer.model_validate(parsed(reply.content))
            except ValidationError:
                reason = "invalid_answer"
            except (ValueError, RecursionError):
                reason = "invalid_json"
            invalid += 1
            if invalid > self.settings.invalid_retries:
                raise GaveUpError(reason)
            self._count_again(reason)

    def _count_again(self, reason: str) -> None:
        self.traffic.retries += 1
        self.traffic.waits[reason] = self.traffic.waits.get(reason, 0) + 1

    def _body(self, prompt: str, text: str, answer: type[Answer], max_tokens: int, *, seed: int) -> bytes:
        before, after = _frame(self.settings.model, prompt, answer, max_tokens, seed)
        try:
            return b"".join((before, json.dumps(text, ensure_ascii=False).encode(), after))
        except UnicodeEncodeError:
            raise GaveUpError("not_text") from None

    @contextmanager
    def _connection(self) -> Iterator[httpx.AsyncClient]:
        """A client with one connection, for one request at a time.

        One pool of many connections looks at each of them for every request, which costs more than the request itself.
        """
        http = self._idle.pop() if self._idle else self._connect()
        try:
            yield http
        finally:
            self._idle.append(http)

    def _connect(self) -> httpx.AsyncClient:
        settings = self.settings
        http = httpx.AsyncClient(
            base_url=settings.endpoint,
            headers={} if settings.api_key is None else {"Authorization": f"Bearer {settings.api_key}"},
            timeout=httpx.Timeout(settings.timeout_s, connect=min(CONNECT_TIMEOUT_S, settings.timeout_s)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            verify=self._verify,
            trust_env=not is_loopback(settings.endpoint),  # a proxy must not see what is meant to stay here
        )
        self._all.append(http)
        return http

    async def _post(self, body: bytes) -> Reply:
        self.traffic.requests += 1
        try:
            with self._connection() as http:
                async with (
                    asyncio.timeout(self.settings.timeout_s),  # of the whole request: a server may drip for ever
                    http.stream("POST", "/chat/completions", content=body, headers=_JSON) as response,
                ):
                    self._check_status(response)
                    data = await _bounded(response)
        except (TimeoutError, httpx.TimeoutException):
            raise AskAgainError("timeout") from None
        except httpx.HTTPError:
            raise AskAgainError("connection") from None
        reply = read_reply(data)
        self.traffic.prompt_tokens += reply.prompt_tokens
        self.traffic.answer_tokens += reply.answer_tokens
        return reply

    def _check_status(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in _BUSY or status >= 500:
            reason = "rate_limited" if status == 429 else f"server_error_{status}"
            raise AskAgainError(reason, retry_after_s(response.headers.get("Retry-After")))
        self._check_for_all(status)
        if status != 200:
            raise _RefusedError(status)

    def _check_for_all(self, status: int) -> None:
        """Stop at an answer that every other report would get too."""
        where = self.settings.endpoint
        if status in (401, 402, 403):
            fix = "Put a valid key into the environment variable that --api-key-env names."
            raise ConfigError.of([Problem(where, f"the server refuses the key ({status})", "a key it knows", fix)])
        if 300 <= status < 400 or status in (404, 405):
            fix = "Correct --endpoint or --model; GET /models of the server lists what it has."
            found = f"the server knows no such address or model ({status})"
            raise ConfigError.of([Problem(where, found, "a model it serves", fix)])


async def _bounded(response: httpx.Response) -> bytes:
    """The body of a response; not read to its end where it has none."""
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > MAX_ANSWER_BYTES:
            raise GaveUpError("answer_too_large")
    return bytes(data)
