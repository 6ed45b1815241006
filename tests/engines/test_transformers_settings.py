"""How the transformers backend is told what to load and where: each mistake has its sentence."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest

from asking import ANSWER, ask
from asking import text_of as text
from hf_asking import ASK, REASONED, Pair, threads, torch
from reflectkit.backends.transformers import TransformersBackend
from reflectkit.errors import ConfigurationError
from reflectkit.protocol import parse


class TestSettings:
    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        for wrong in (tmp_path / "none", str(tmp_path / "none"), "./none", "a/b/c", ""):
            with pytest.raises(ConfigurationError, match="no folder"):
                TransformersBackend(wrong)
        with pytest.raises(ConfigurationError, match=r"holds no config\.json"):
            TransformersBackend(tmp_path)

    async def test_a_name_that_is_not_on_this_machine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is fetched unless told."""
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        backend = TransformersBackend("nobody/nothing", load={"token": "hf_secret123456"})
        with pytest.raises(ConfigurationError, match="local_files_only=False") as caught:
            await ask(backend, ASK)
        assert "secret" not in repr(backend) + str(caught.value)
        with pytest.raises(ConfigurationError, match="local_files_only=False"):
            await backend.load()
        await backend.aclose()
        assert threads() == []

    async def test_no_gpu(self, markov_folder: Path) -> None:
        if torch.cuda.is_available():
            pytest.skip("there is one")
        for where in ("cuda:0", {"": "cuda:0"}, {"": 0}):
            async with TransformersBackend(markov_folder, device_map=where) as backend:
                with pytest.raises(ConfigurationError, match="There is no GPU"):
                    await ask(backend, ASK)

    @pytest.mark.parametrize("where", ["cpu", "auto", {"": "cpu"}])
    async def test_device_maps_of_a_processor(self, markov_folder: Path, where: Any) -> None:
        async with TransformersBackend(markov_folder, device_map=where, threads=1) as backend:
            assert await text(backend, ASK) == ANSWER

    async def test_layers_that_are_put_away(self, nano_folder: Path, tmp_path: Path) -> None:
        """Parts of the model lie elsewhere and come when they are needed, as over several GPUs."""
        parts = ("model.embed_tokens", "model.layers", "model.norm", "model.rotary_emb", "lm_head")
        for away in ("model.layers", "model.embed_tokens"):
            where = {part: "disk" if part == away else "cpu" for part in parts}
            if away == "model.layers":
                del where["model.layers"]
                where |= {f"model.layers.{n}": "cpu" if n % 2 else "disk" for n in range(6)}
            async with TransformersBackend(
                nano_folder, device_map=where, threads=1, load={"offload_folder": str(tmp_path)}
            ) as backend:
                answers = await asyncio.gather(*(text(backend, REASONED) for _ in range(2)))
            assert [parse(a).issues for a in answers] == [(), ()]
            assert answers[0].endswith("28\n</output>")

    async def test_half_precision(self, markov_folder: Path) -> None:
        async with TransformersBackend(markov_folder, dtype="bfloat16", threads=1) as backend:
            assert await text(backend, ASK) == ANSWER
            assert backend._worker.loaded is not None
            assert backend._worker.loaded.runner._model.dtype == torch.bfloat16

    async def test_what_load_holds_goes_to_from_pretrained(self, markov_folder: Path) -> None:
        eager = {"attn_implementation": "eager"}
        async with TransformersBackend(markov_folder, load=eager, threads=1) as backend:
            texts = await asyncio.gather(*(text(backend, ASK) for _ in range(3)))
            assert texts == [ANSWER] * 3
        async with TransformersBackend(markov_folder, load={"nonsense": 1}) as backend:
            with pytest.raises(ConfigurationError, match="nonsense"):
                await backend.load()

    async def test_no_chat_template(self, markov_pair: Pair) -> None:
        bare = copy.copy(markov_pair[1])
        bare.chat_template = None
        async with TransformersBackend((markov_pair[0], bare)) as backend:
            with pytest.raises(ConfigurationError, match="chat_template="):
                await ask(backend, ASK)

    async def test_a_vocabulary_that_is_larger_than_the_model(
        self, markov_pair: Pair, nano_pair: Pair
    ) -> None:
        """As in the first upload of Reflection 70B, which had six tokens without a row."""
        async with TransformersBackend((markov_pair[0], nano_pair[1])) as backend:
            with pytest.raises(ConfigurationError, match="do not belong together"):
                await ask(backend, ASK)

    async def test_more_context_than_the_model_was_trained_for(self, markov_pair: Pair) -> None:
        async with TransformersBackend(markov_pair, context=4096) as backend:
            with pytest.raises(ConfigurationError, match="trained for 2048"):
                await ask(backend, ASK)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("max_batch", 0), ("context", 1), ("threads", 0), ("thinking_cap", -1)],
    )
    def test_numbers_below_the_least(self, markov_pair: Pair, name: str, value: int) -> None:
        with pytest.raises(ConfigurationError, match=name):
            TransformersBackend(markov_pair, **{name: value})  # type: ignore[arg-type]  # the names are tested, not the types

    def test_what_is_no_model(self) -> None:
        for wrong in (5, None, ("a", "b"), (1, 2, 3)):
            with pytest.raises(ConfigurationError, match="model"):
                TransformersBackend(wrong)  # type: ignore[arg-type]  # wrong on purpose

    def test_names(self, markov_folder: Path, markov_pair: Pair) -> None:
        assert repr(TransformersBackend(markov_folder)) == "TransformersBackend('markov')"
        assert TransformersBackend("org/model").model == "org/model"
        assert TransformersBackend(markov_pair).model == "markov"
