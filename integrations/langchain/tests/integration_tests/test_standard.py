"""The standard integration tests of langchain-tests, all capabilities on.

Who answers:

- the ids of ``CONTENT`` demand words or arguments that a model of 1.6 million weights does not
  find, or the fields of servers that report more: a loopback server that says just that
  (``scenario.py``);
- all others: the embedded model. In ``TestInProcess`` llama.cpp runs in this process, in
  ``TestServer`` behind llama.cpp's own HTTP server.

The files that some tests would fetch from the web are made here (``_made_here``); the documents go
to the loopback server as the tests built them.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_reflectkit import ChatReflectKit
from scenario import exact, serving

# the test of a recorded stream measures only what it has a recording of
pytestmark = pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")

#: These demand content.
CONTENT: Final = frozenset(
    {
        "test_agent_loop",
        "test_anthropic_inputs",
        "test_audio_inputs",
        "test_bind_runnables_as_tools",
        "test_conversation",
        "test_image_inputs",
        "test_image_tool_message",
        "test_json_mode",
        "test_pdf_inputs",
        "test_pdf_tool_message",
        "test_structured_few_shot_examples",
        "test_structured_output",
        "test_structured_output_async",
        "test_structured_output_optional_param",
        "test_structured_output_pydantic_2_v1",
        "test_tool_calling",
        "test_tool_calling_async",
        "test_tool_calling_with_no_arguments",
        "test_tool_choice",
        "test_tool_message_error_status",
        "test_tool_message_histories_list_content",
        "test_tool_message_histories_string_content",
        "test_unicode_tool_call_integration",
        # a server with a second model, and with figures of a cache
        "test_ainvoke_with_model_override",
        "test_astream_with_model_override",
        "test_invoke_with_model_override",
        "test_stream_with_model_override",
        "test_usage_metadata",
        "test_usage_metadata_streaming",
    }
)
#: one red dot
PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)


@pytest.fixture(autouse=True)
def _made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(url: str, **_: Any) -> httpx.Response:
        return httpx.Response(200, content=PNG, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "nothing is fetched")


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """Nothing here is played back: every server is this machine's."""
    return {"ignore_localhost": True}


@pytest.fixture(scope="module")
def scenario() -> Iterator[str]:
    with serving(exact, models=("loopback", "other")) as server:
        yield server.url


@pytest.fixture(scope="module")
def llama() -> Iterator[dict[str, Any]]:
    """llama.cpp's own HTTP server of the embedded model."""
    xllamacpp = pytest.importorskip("xllamacpp")
    from reflectkit.backends.nano import embedded_models

    params, key = xllamacpp.CommonParams(), secrets.token_hex(16)
    params.model.path = str(embedded_models()["nano-reflect"])
    params.model_alias = {"nano-reflect"}
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.verbosity, params.n_ctx, params.n_parallel = 0, 4096, 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.use_jinja = params.special = True
    server = xllamacpp.Server(params)
    server.handle_metrics()  # answered once its loop runs
    yield {"base_url": f"{server.listening_address}/v1", "model": "nano-reflect", "api_key": key}
    del server


class _Suite(ChatModelIntegrationTests):
    where: dict[str, Any]

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatReflectKit

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.where

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 200}

    @pytest.fixture(autouse=True)
    def _who_answers(self, request: pytest.FixtureRequest, scenario: str) -> None:
        name = request.node.originalname
        served = {"base_url": scenario, "model": "loopback", "mode": "plain"}
        type(self).where = served if name in CONTENT else self.real(request)

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest, _who_answers: None) -> BaseChatModel:
        extra = getattr(request, "param", None) or {}
        return ChatReflectKit(**{**self.standard_chat_model_params, **self.where, **extra})

    def real(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        raise NotImplementedError

    supports_image_inputs = True
    supports_image_urls = True
    supports_image_tool_message = True
    supports_pdf_inputs = True
    supports_pdf_tool_message = True
    supports_audio_inputs = True
    supports_anthropic_inputs = True
    supports_json_mode = True
    enable_vcr_tests = True
    model_override_value = "other"

    @property
    def supported_usage_metadata_details(self) -> Any:
        known = ["reasoning_output", "cache_read_input"]
        return {"invoke": known, "stream": known}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        model = ChatReflectKit(**self.where)
        if not stream:
            return model.invoke("hi")
        first, *rest = model.stream("hi")
        return sum_of([first, *rest])

    invoke_with_cache_read_input = invoke_with_reasoning_output


def sum_of(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


class TestInProcess(_Suite):
    def real(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        pytest.importorskip("xllamacpp")
        return {"model": "nano-reflect"}


class TestServer(_Suite):
    def real(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        found: dict[str, Any] = request.getfixturevalue("llama")
        return found
