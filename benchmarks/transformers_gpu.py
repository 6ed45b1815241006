"""Tokens a second of the transformers backend beside ``transformers.generate``, in one run.

    python benchmarks/transformers_gpu.py                 # a Llama 8B, random weights, bf16, a GPU
    python benchmarks/transformers_gpu.py --tiny          # the same on the processor, for tests
    python benchmarks/transformers_gpu.py --batches 1 8 32 64 --tokens 256 --json

No weights are fetched: the model is made from its configuration, as its speed does not depend on
what it says. Each way makes the same number of tokens for the same prompts, greedily, the end of
the turn switched off. The ways take turns; figures are medians over rounds, the first round is not
counted. ``generate`` gets all prompts as one batch of equal length, which suits it best, and gives
nothing before the end; the backend gets them as separate requests that stream.
"""

# ruff: noqa: E402 - this checkout is put on the path before reflectkit is imported

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if not os.environ.get("REFLECTKIT_TEST_INSTALLED"):
    sys.path.insert(0, str(ROOT))

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from reflectkit.backends.transformers import TransformersBackend, memory
from reflectkit.messages import Message, Request

#: Llama 3.1 8B
LARGE = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "max_position_embeddings": 8192,
    "rope_theta": 500_000.0,
}
TINY = {
    **LARGE,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
}
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"

Way = Callable[[int, int], Awaitable[None]]


def model_of(settings: dict[str, Any], device: str) -> Any:
    """A Llama with random weights, made where it is used."""
    dtype = torch.bfloat16 if device != "cpu" else torch.float32
    config = LlamaConfig(**settings, bos_token_id=None, eos_token_id=None, pad_token_id=0)
    with torch.device(device):
        torch.set_default_dtype(dtype)
        try:
            model = LlamaForCausalLM(config)
        finally:
            torch.set_default_dtype(torch.float32)
    return model.eval()


def tokenizer_of(size: int) -> Any:
    """A token for each byte, and the rest of the vocabulary in their spelling."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [a + b for a in letters for b in letters][: size - len(letters)]
    tokens = letters + words
    tokens += [f"<{n}>" for n in range(size - len(tokens))]
    inner = Tokenizer(models.BPE({t: n for n, t in enumerate(tokens)}, [], ignore_merges=False))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=TEMPLATE)


def prompt(number: int, length: int) -> str:
    """A text of ``length`` letters, and so of as many tokens."""
    return (f"{number} " + "abcdefgh" * length)[:length]


def ways(backend: TransformersBackend, model: Any, tokenizer: Any, length: int) -> dict[str, Way]:
    """By name: a coroutine that makes so many tokens for each of so many prompts."""

    async def ours(batch: int, tokens: int) -> None:
        async def one(number: int) -> None:
            last = None
            request = Request(
                messages=(Message("user", prompt(number, length)),),
                max_tokens=tokens,
                temperature=0.0,
                extra={"ignore_eos": True},
            )
            async for chunk in backend.stream(request):
                last = chunk
            assert last is not None
            assert last.usage is not None
            assert last.usage.completion == tokens

        await asyncio.gather(*(one(number) for number in range(batch)))

    async def theirs(batch: int, tokens: int) -> None:
        texts = [prompt(number, length) for number in range(batch)]
        ids = torch.tensor([tokenizer.encode(t, add_special_tokens=False) for t in texts])
        ids = ids.to(model.device)
        made = await asyncio.to_thread(
            model.generate,
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            pad_token_id=0,
        )
        assert made.shape[1] == ids.shape[1] + tokens

    return {"reflectkit": ours, "generate": theirs}


async def measure(options: argparse.Namespace, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """A row of figures for each size of batch."""
    model, tokenizer = model_of(settings, options.device), tokenizer_of(settings["vocab_size"])
    rows = []
    async with TransformersBackend(
        (model, tokenizer), name="random", max_batch=max(options.batches)
    ) as backend:
        await backend.load()
        found = ways(backend, model, tokenizer, options.prompt)
        for batch in options.batches:
            took: dict[str, list[float]] = {name: [] for name in found}
            for number in range(-1, options.rounds):
                for name in found if number % 2 else reversed(found):
                    began = time.perf_counter()
                    await found[name](batch, options.tokens)
                    if number >= 0:
                        took[name].append(time.perf_counter() - began)
            rate = {n: batch * options.tokens / statistics.median(t) for n, t in took.items()}
            rows.append({"batch": batch, **rate, "ratio": rate["reflectkit"] / rate["generate"]})
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tiny", action="store_true", help="a tiny model, on the processor")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--prompt", type=int, default=128, help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.device = "cpu" if options.tiny else "cuda"
    if not options.tiny and not torch.cuda.is_available():
        print("There is no GPU that torch can use; --tiny runs on the processor.", file=sys.stderr)
        return 2
    if options.tiny:
        torch.set_num_threads(1)
    settings = TINY if options.tiny else LARGE
    rows = asyncio.run(measure(options, settings))
    where = torch.cuda.get_device_name() if options.device == "cuda" else "processor"
    weights = memory(settings, dtype="float32" if options.tiny else "bfloat16").weights
    result = {"device": where, "torch": torch.__version__, "weights": weights, "rows": rows}
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        report(result, options)
    return 0


def report(result: dict[str, Any], options: argparse.Namespace) -> None:
    """The same for people."""
    print(f"{result['device']}, weights of {result['weights'] / 1e9:.1f} GB, tokens a second")
    print(f"prompts of {options.prompt} tokens, answers of {options.tokens}")
    print("  batch   reflectkit   generate   ratio")
    for row in result["rows"]:
        print(
            f"  {row['batch']:5}   {row['reflectkit']:10.0f}   {row['generate']:8.0f}"
            f"   {row['ratio']:5.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
