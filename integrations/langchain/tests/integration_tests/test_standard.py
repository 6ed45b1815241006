"""The standard integration tests of langchain-tests, three times.

``TestInProcess``: the embedded models in this process. ``nano-tools`` answers where tools or JSON
are asked for, ``nano-reflect`` everything else. They take text alone.

``TestServer``: the same models behind llama.cpp's own HTTP server, with eyes and ears. No server
that runs offline takes documents or chooses among models; these tests are the loopback server's.

``TestLoopback``: a server of the OpenAI API that says exactly what is demanded (``scenario.py``),
with every capability on: documents go to it as the tests built them.

The files that some tests would fetch from the web are made here (``_made_here``).
"""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests

import llama
from langchain_reflectkit import ChatReflectKit
from scenario import exact, serving, summed

# the test of a recorded stream measures only what it has a recording of
pytestmark = pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")

#: these ask for tools or for JSON, of the model that knows them
CALLS: Final = frozenset(
    {
        "test_agent_loop",
        "test_anthropic_inputs",
        "test_bind_runnables_as_tools",
        "test_conversation",  # small talk, of which the other model knows nothing
        "test_image_tool_message",
        "test_json_mode",
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
    }
)
#: what no server here does: documents, and several models at one address
ELSEWHERE: Final = frozenset(
    {
        "test_ainvoke_with_model_override",
        "test_astream_with_model_override",
        "test_invoke_with_model_override",
        "test_pdf_inputs",
        "test_pdf_tool_message",
        "test_stream_with_model_override",
    }
)
#: one red dot
PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)


def silence() -> bytes:
    """A second of it, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(32_000))
    return file.getvalue()


@pytest.fixture(autouse=True)
def _made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(url: str, **_: Any) -> httpx.Response:
        content = silence() if url.endswith(".wav") else PNG
        return httpx.Response(200, content=content, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "nothing is fetched")


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """Nothing here is played back: every server is this machine's."""
    return {"ignore_localhost": True}


@pytest.fixture(scope="module")
def scenario() -> Iterator[dict[str, Any]]:
    with serving(exact, models=("loopback", "nano-base")) as server:
        yield {"base_url": server.url, "model": "loopback", "mode": "plain"}


@pytest.fixture(scope="module")
def reflect() -> Iterator[dict[str, Any]]:
    with llama.serving("nano-reflect") as where:
        yield where


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    senses = llama.write_senses(tmp_path_factory.mktemp("senses") / "senses.gguf", "nano-tools")
    with llama.serving("nano-tools", senses) as where:
        yield where


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
    def _who_answers(self, request: pytest.FixtureRequest) -> None:
        type(self).where = self.who(request.node.originalname, request)

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest, _who_answers: None) -> BaseChatModel:
        extra = getattr(request, "param", None) or {}
        return ChatReflectKit(**{**self.standard_chat_model_params, **self.where, **extra})

    def who(self, name: str, request: pytest.FixtureRequest) -> dict[str, Any]:
        """What the model of a test is made with."""
        raise NotImplementedError

    supports_json_mode = True
    enable_vcr_tests = True
    model_override_value = "nano-base"
    #: of usage
    details = ("reasoning_output", "cache_read_input")

    @property
    def supported_usage_metadata_details(self) -> Any:
        return {"invoke": list(self.details), "stream": list(self.details)}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        model = ChatReflectKit(**self.where)
        return summed(model.stream("What is 3 + 4?")) if stream else model.invoke("hi")

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        self.invoke_with_reasoning_output(stream=stream)
        return self.invoke_with_reasoning_output(stream=stream)


class _Senses(_Suite):
    supports_image_inputs = True
    supports_image_urls = True
    supports_image_tool_message = True
    supports_pdf_inputs = True
    supports_pdf_tool_message = True
    supports_audio_inputs = True
    supports_anthropic_inputs = True


class TestInProcess(_Suite):
    details = ("reasoning_output",)

    def who(self, name: str, request: pytest.FixtureRequest) -> dict[str, Any]:
        pytest.importorskip("xllamacpp", reason="needs the extra [local]")
        tools = {"model": "nano-tools"}
        return tools if name in CALLS else {"model": "nano-reflect"}


class TestServer(_Senses):
    supports_image_urls = False  # llama.cpp would fetch it from the web by itself

    def who(self, name: str, request: pytest.FixtureRequest) -> dict[str, Any]:
        sensed = name in ("test_image_inputs", "test_audio_inputs")
        fixture = "scenario" if name in ELSEWHERE else "reflect"
        found: dict[str, Any] = request.getfixturevalue(
            "tools" if name in CALLS or sensed else fixture
        )
        return found


class TestLoopback(_Senses):
    def who(self, name: str, request: pytest.FixtureRequest) -> dict[str, Any]:
        found: dict[str, Any] = request.getfixturevalue("scenario")
        return found
