"""The standard unit tests of langchain-tests, for a server and for the embedded model."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_reflectkit import ChatReflectKit

SERDES = (
    "langchain_core loads classes of its own list alone, whatever a class says of itself; "
    "test_model.py shows the round trip with the class allowed"
)


class TestServer(ChatModelUnitTests):
    """A model at an address; nothing is sent."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatReflectKit

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"base_url": "http://127.0.0.1:9/v1", "model": "m"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return (
            {"REFLECTKIT_API_KEY": "key", "REFLECTKIT_BASE_URL": "http://127.0.0.1:9/v1"},
            {"model": "m"},
            {"api_key": "key", "base_url": "http://127.0.0.1:9/v1"},
        )

    @pytest.mark.xfail(strict=True, raises=ValueError, reason=SERDES)
    def test_serdes(self, model: BaseChatModel, snapshot: Any) -> None:
        super().test_serdes(model, snapshot)


class TestEmbedded(ChatModelUnitTests):
    """The embedded model, which is not loaded here."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatReflectKit

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "nano-reflect"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        # a key in the environment is none of the embedded model's business, and no fault
        env = {"REFLECTKIT_API_KEY": "key"}
        return env, {"model": "nano-reflect"}, {"api_key": "key", "model": "nano-reflect"}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        standard = super().standard_chat_model_params
        wire = ("api_key", "timeout", "max_retries")  # belong to a server
        return {name: value for name, value in standard.items() if name not in wire}

    @pytest.mark.xfail(strict=True, raises=ValueError, reason=SERDES)
    def test_serdes(self, model: BaseChatModel, snapshot: Any) -> None:
        super().test_serdes(model, snapshot)
