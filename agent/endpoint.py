"""How one request travels to a served Llama: the langchain client, what llama.cpp takes beside the standard, lost connections.

It knows no decision and reads no reply; agent/model.py does.
"""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from ..errors import ModelDown, ModelReplyInvalid
from .replies import grammar, portable

Message = Mapping[str, str]


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers. `scales` is given for llama.cpp servers only: each loaded LoRA with its scale in our requests."""

    url: str
    key: str
    name: str
    scales: tuple[float, ...] | None = None


class Connection:
    """The way to an endpoint, opened at the first request and shared by threads.

    `locate` tells the endpoint; it is asked again after a lost connection and may start a server that died.
    """

    def __init__(self, locate: Callable[[], Endpoint], *, timeout: float):
        self.timeout = timeout
        self._locate, self._lock = locate, threading.Lock()
        self._open: tuple[Endpoint, Any] | None = None

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
        probabilities: bool = False,
    ) -> Any:
        """The langchain message that came back. One request; after a lost connection one more, to the endpoint told then."""
        import openai

        opened = self._opened()
        with _translated(opened[0].url):
            try:
                return _send(*opened, messages, max_tokens, schema, probabilities)
            except openai.APITimeoutError:
                raise
            except openai.APIConnectionError:
                opened = self._opened(lost=opened[0])
                return _send(*opened, messages, max_tokens, schema, probabilities)

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> Iterator[Any]:
        """Langchain's message chunks as they are decoded; the last one has the usage."""
        endpoint, client = self._opened()
        with _translated(endpoint.url):
            yield from client.stream(list(messages), max_tokens=max_tokens, extra_body=_extra(endpoint, None))

    def close(self) -> None:
        """Forgets the client; the next request opens another."""
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None:
            opened[1].http_client.close()

    def _opened(self, lost: Endpoint | None = None) -> tuple[Endpoint, Any]:
        """The endpoint with its client; located anew when there is none yet or `lost` is still the one that is known."""
        with self._lock:
            if self._open is None or self._open[0] is lost:
                endpoint = self._locate()
                self._open = endpoint, _client(endpoint, self.timeout)
            return self._open


def offered(url: str, key: str, *, timeout: float = 10) -> list[str]:
    """The names of the models that a server offers. Raises `ModelDown`."""
    return [model["id"] for model in fetch(f"{url}/models", key, timeout=timeout).get("data", [])]


def fetch(address: str, key: str, *, body: Mapping[str, Any] | None = None, timeout: float = 10) -> Any:
    """What a server answers beside chat: a JSON value, by POST where there is a body. Raises `ModelDown`."""
    request = urllib.request.Request(
        address,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    local = [urllib.request.ProxyHandler({})] if urlsplit(address).hostname == "127.0.0.1" else []
    try:
        with urllib.request.build_opener(*local).open(request, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise ModelDown(address, f"HTTP {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise ModelDown(address, str(getattr(error, "reason", error))) from None


def _client(endpoint: Endpoint, timeout: float) -> Any:
    """The langchain client (1.3 s to import, so only here), on a transport of its own: langchain's is shared and never closed.

    Our own server is on this machine: no proxy of the environment stands before it.
    """
    import openai
    from langchain_openai import ChatOpenAI

    travel = openai.DefaultHttpxClient(trust_env=endpoint.scales is None)
    return ChatOpenAI(
        base_url=endpoint.url,
        api_key=endpoint.key,  # type: ignore[arg-type]  # pydantic makes the secret
        model=endpoint.name,
        temperature=0,
        timeout=timeout,  # type: ignore[call-arg]
        max_retries=0,
        stream_usage=True,
        http_client=travel,
    )


def _send(
    endpoint: Endpoint,
    client: Any,
    messages: Sequence[Message],
    max_tokens: int,
    schema: Mapping[str, Any] | None,
    probabilities: bool,
) -> Any:
    told = {"logprobs": True, "top_logprobs": 20} if probabilities else {}
    return client.invoke(list(messages), max_tokens=max_tokens, extra_body=_extra(endpoint, schema), **told)


def _extra(endpoint: Endpoint, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes into the body beside the standard fields.

    For llama.cpp the schema goes as a grammar of llguidance: its `response_format` lets a model begin with endless white
    space and takes 70 s over 10,000 options, the grammar 0.1 s. Every LoRA's scale is said, since an empty list would
    mean the server's default.
    """
    if endpoint.scales is not None:
        adapters = {"lora": [{"id": number, "scale": scale} for number, scale in enumerate(endpoint.scales)]}
        return adapters if schema is None else adapters | {"grammar": grammar(schema)}
    if schema is None:
        return {}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": portable(schema)}}}


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turns the client's errors into ours. A refused request (HTTP 400, 422: mostly too long a prompt) is no dead server."""
    import openai

    try:
        yield
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        raise ModelReplyInvalid("possible, because the server refused the request", error.message) from None
    except openai.APIStatusError as error:
        raise ModelDown(url, error.message) from None
    except openai.APITimeoutError:
        raise ModelDown(url, "no reply in time") from None
    except openai.OpenAIError as error:
        raise ModelDown(url, str(error.__cause__ or error).rstrip(".")) from None
