"""Models of every build say in any company what ``generate`` of transformers says of each alone."""

from __future__ import annotations

import asyncio
import inspect
import random
from pathlib import Path
from typing import Any

import pytest

from hf_asking import generated
from reflectkit.backends.transformers import TransformersBackend
from reflectkit.errors import ConfigurationError
from reflectkit.messages import Message, Request

torch = pytest.importorskip("torch")  # reflectkit[transformers]
transformers = pytest.importorskip("transformers")  # reflectkit[transformers]

SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
}
#: name -> configuration, and whether rows of it can share a cache
BUILDS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "llama": ("LlamaConfig", SMALL, True),
    # a window that the prompts and answers are longer than
    "mistral": ("MistralConfig", {**SMALL, "sliding_window": 16}, True),
    "gemma3": (
        "Gemma3TextConfig",
        {**SMALL, "sliding_window": 16, "query_pre_attn_scalar": 16},
        True,
    ),
    "qwen3": ("Qwen3Config", SMALL, True),
    # positions as a slope, and no position ids
    "bloom": ("BloomConfig", {"hidden_size": 64, "n_layer": 3, "n_head": 4}, True),
    # positions that are learned, not turned
    "gpt2": ("GPT2Config", {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 512}, True),
    # experts
    "mixtral": ("MixtralConfig", {**SMALL, "num_local_experts": 4}, True),
    # recurrent layers between those of attention: no shared cache
    "qwen3_next": (
        "Qwen3NextConfig",
        {
            **SMALL,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
        },
        False,
    ),
}
TOKENS = 40


@pytest.fixture(scope="module", params=BUILDS)
def build(request: pytest.FixtureRequest, nano_pair: tuple[Any, Any]) -> tuple[Any, Any, bool]:
    """A model with random weights, the embedded model's tokenizer, and whether rows join."""
    config_class, settings, shared = BUILDS[request.param]
    tokenizer = nano_pair[1]
    config = getattr(transformers, config_class)(
        vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1, pad_token_id=0, **settings
    )
    transformers.set_seed(5)
    # small weights, or a head that is the embedding, give the same token for ever
    config.initializer_range, config.tie_word_embeddings = 0.5, False
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return model.eval(), tokenizer, shared


def requests() -> list[Request]:
    """Prompts of very different lengths."""
    draw = random.Random(3)
    lengths = (1, 30, 7, 60, 2, 15)
    prompts = [" ".join(str(draw.randrange(100)) for _ in range(n)) for n in lengths]
    return [
        Request(
            messages=(Message("user", prompt),),
            temperature=0.0,
            max_tokens=TOKENS - 5 * number,
            extra={"ignore_eos": True},
        )
        for number, prompt in enumerate(prompts)
    ]


async def text(backend: TransformersBackend, request: Request, late: float = 0) -> str:
    await asyncio.sleep(late)
    return "".join([chunk.text async for chunk in backend.stream(request)])


async def test_as_generate_says_alone(build: tuple[Any, Any, bool]) -> None:
    from reflectkit.backends._hf.cache import joins

    model, tokenizer, shared = build
    assert joins(model.config) == shared
    asked = requests()
    expected = [generated(model, tokenizer, r, eos_token_id=-1) for r in asked]
    assert min(len(set(words.split())) for words in expected) > 1
    async with TransformersBackend((model, tokenizer)) as backend:
        assert [await text(backend, r) for r in asked] == expected
        assert await asyncio.gather(*(text(backend, r) for r in asked)) == expected
        # each comes while the others are under way, the short ones last
        late = [text(backend, r, 0.01 * n) for n, r in enumerate(asked)]
        assert await asyncio.gather(*late) == expected


async def test_attention_without_a_mask_would_be_seen(build: tuple[Any, Any, bool]) -> None:
    """The check above can fail: with empty places looked at, rows in company say other things."""
    model, tokenizer, shared = build
    if not shared:
        pytest.skip("its rows are always alone")
    asked = requests()
    expected = [generated(model, tokenizer, r, eos_token_id=-1) for r in asked]

    class Careless(torch.nn.Module):  # type: ignore[misc, name-defined]  # torch has no types here
        """Somebody's model that forgets the mask."""

        def __init__(self) -> None:
            super().__init__()
            self._inner = [model]
            self.config, self.generation_config = model.config, model.generation_config

        def get_input_embeddings(self) -> Any:
            return model.get_input_embeddings()

        def forward(
            self,
            position_ids: Any,
            past_key_values: Any,
            attention_mask: Any = None,
            **given: Any,
        ) -> Any:
            new = "cache" in inspect.signature(model.forward).parameters
            state = {"cache" if new else "past_key_values": past_key_values}
            return model(position_ids=position_ids, **state, **given)

    async with TransformersBackend((Careless(), tokenizer)) as backend:
        assert [await text(backend, r) for r in asked] == expected
        assert await asyncio.gather(*(text(backend, r) for r in asked)) != expected


async def test_a_folder_of_another_build(build: tuple[Any, Any, bool], tmp_path: Path) -> None:
    """Saved and loaded again, by its folder alone."""
    model, tokenizer, _ = build
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    request = requests()[0]
    async with TransformersBackend(tmp_path, dtype="float32", device_map="cpu") as backend:
        assert await text(backend, request) == generated(model, tokenizer, request, eos_token_id=-1)


@pytest.mark.parametrize(
    ("config_class", "settings"),
    [
        ("MambaConfig", {"hidden_size": 64, "num_hidden_layers": 2}),
        ("RwkvConfig", {"hidden_size": 64, "num_hidden_layers": 2, "attention_hidden_size": 64}),
        ("RecurrentGemmaConfig", {**SMALL, "lru_width": 64, "attention_window_size": 16}),
    ],
)
async def test_models_that_would_forget_their_prompt(
    config_class: str, settings: dict[str, Any], nano_pair: tuple[Any, Any]
) -> None:
    """They keep their state elsewhere, and take no notice of a cache that they are given; those of
    which a newer version keeps it there answer as they do alone."""
    tokenizer = nano_pair[1]
    config = getattr(transformers, config_class)(vocab_size=len(tokenizer), **settings)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    try:
        async with TransformersBackend((model, tokenizer)) as backend:
            told = await asyncio.gather(*(text(backend, r) for r in requests()))
    except ConfigurationError as error:
        if "does not keep its state" not in str(error):
            raise
    else:
        assert told == [generated(model, tokenizer, r, eos_token_id=-1) for r in requests()]


@pytest.mark.parametrize(
    ("bits", "kind"), [("load_in_4bit", "Linear4bit"), ("load_in_8bit", "Linear8bitLt")]
)
@pytest.mark.filterwarnings("ignore")  # the package has some to say about processors
async def test_quantised_while_it_is_loaded(
    bits: str, kind: str, nano_pair: tuple[Any, Any], tmp_path: Path
) -> None:
    """The configuration goes through, and the model says what ``generate`` says with it."""
    pytest.importorskip("bitsandbytes")  # for quantized weights alone
    tokenizer = nano_pair[1]
    wide = {**SMALL, "hidden_size": 128, "intermediate_size": 256, "head_dim": 32}
    config = transformers.LlamaConfig(vocab_size=len(tokenizer), initializer_range=0.3, **wide)
    transformers.set_seed(5)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    quantised = transformers.BitsAndBytesConfig(
        **{bits: True}, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
    )
    async with TransformersBackend(
        tmp_path, device_map="cpu", dtype="float32", quantization_config=quantised
    ) as backend:
        texts = [await text(backend, r) for r in requests()]
        assert backend._worker.loaded is not None
        model = backend._worker.loaded.runner._model
        assert type(model.model.layers[0].mlp.up_proj).__name__ == kind
        assert texts == [generated(model, tokenizer, r, eos_token_id=-1) for r in requests()]
