"""How exact the exact counters are, and how well the others learn.

    python benchmarks/counting.py [--data FOLDER] [--tokenizer NAME=FILE[=PATTERN]] [--base NAME]
        [--runs N] [--kind KIND] [--learned]

Nothing is downloaded. Tokenizers are taken where they lie: in tiktoken's cache, in the installed
packages ``litellm``, ``llama-models``, ``dashscope`` and ``mistral-common`` (benchmarks/
requirements.txt names the first), and what ``--tokenizer`` names. English text comes from Python's
documentation and from ``*.jsonl`` files under ``--data`` (or $REFLECTKIT_DATA), code from Python's
library, Chinese, Japanese and Korean from the translations of this system's programs; JSON and
digits are made up.
"""

from __future__ import annotations

import argparse
import base64
import gettext
import json
import os
import pydoc_data.topics
import random
import statistics
import sysconfig
import time
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reflectkit.budget import LearnedCounter
from reflectkit.counters import counter_from, counter_named
from reflectkit.counters.encodings import is_cached
from reflectkit.counters.vocabulary import LLAMA3, QWEN2
from reflectkit.models.embedded import embedded_models

Count = Callable[[str], int]
KINDS = ("prose", "code", "Chinese", "Japanese", "Korean", "CJK", "JSON", "digits")
LOCALES = {
    "Chinese": ["zh_CN"],
    "Japanese": ["ja"],
    "Korean": ["ko"],
    "CJK": ["zh_CN", "zh_TW", "ja", "ko"],
}
STAGES = (5, 20, 100)
SHORTEST, LONGEST = 400, 6000


# --- texts ---------------------------------------------------------------------------------------


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


@cache
def documents(kind: str, data: str) -> list[str]:
    """Long texts of one kind, found on this machine."""
    if kind == "prose":
        files = sorted(Path(data).rglob("*.jsonl")) if data else []
        rows = (json.loads(row) for f in files for row in f.read_text("utf-8").splitlines()[:1500])
        found = [text for row in rows for text in strings(row) if len(text) > 120]
        return found or [t for t in pydoc_data.topics.topics.values() if len(t) > 500]
    if kind == "code":
        library = Path(sysconfig.get_paths()["stdlib"])
        headers = sorted(Path("/usr/include").rglob("*.h"))[:150]
        return [f.read_text("utf-8", "replace") for f in [*sorted(library.glob("*.py")), *headers]]
    return [t for name in LOCALES[kind] for t in translations(name)]


def translations(locale: str) -> Iterator[str]:
    for path in sorted(Path("/usr/share/locale", locale, "LC_MESSAGES").glob("*.mo")):
        try:
            with path.open("rb") as file:
                catalog = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # all of it; no public name
        except (OSError, UnicodeDecodeError):
            continue
        said = [v for v in catalog.values() if isinstance(v, str) and _is_foreign(v)]
        if len(said) > 20:
            yield "\n".join(said)


def _is_foreign(text: str) -> bool:
    return len(text) > 8 and sum(ord(c) > 0x2E80 for c in text) > 0.4 * len(text)


def json_text(rng: random.Random) -> str:
    words = [*"abcdefgh", "price", "quantity", "status", "created", "address", "city", "note"]

    def value(depth: int) -> Any:
        plain = (rng.randrange(10 ** rng.randrange(1, 8)), round(rng.random() * 1000, 2), None)
        if depth < 3 and rng.random() < 0.3:
            return {rng.choice(words): value(depth + 1) for _ in range(rng.randrange(1, 7))}
        if depth < 3 and rng.random() < 0.2:
            return [value(depth + 1) for _ in range(rng.randrange(1, 5))]
        return rng.choice([*plain, rng.random() < 0.5, " ".join(rng.choices(words, k=4))])

    rows = [{w: value(0) for w in rng.sample(words, 8)} for _ in range(25)]
    return json.dumps(rows, indent=rng.choice([None, 2, 4]))


def digits(rng: random.Random) -> str:
    shapes: tuple[Callable[[], str], ...] = (
        lambda: str(rng.randrange(10 ** rng.randrange(1, 9))),
        lambda: f"{rng.random() * 1000:.3f}",
        lambda: f"{rng.randrange(10**6):,}",
        lambda: f"20{rng.randrange(10, 30)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
    )
    shape, between = rng.choice(shapes), rng.choice([", ", " ", "\n", " + ", ";"])
    return between.join(shape() for _ in range(1800))


def calls(kind: str, number: int, seed: int, data: str, least: int = SHORTEST) -> list[str]:
    """Texts of ``least`` to ``LONGEST`` characters, evenly on a logarithmic scale."""
    rng = random.Random(f"{kind} {seed}")
    if kind == "mixed":
        columns = [calls(k, number, seed, data) for k in ("prose", "code", "CJK", "JSON", "digits")]
        return [rng.choice(row) for row in zip(*columns, strict=True)]
    made = {"JSON": json_text, "digits": digits}.get(kind)
    texts: list[str] = []
    while len(texts) < number:
        size = int(least * (LONGEST / least) ** rng.random()) // (2 if kind in LOCALES else 1)
        text = made(rng) if made else rng.choice(documents(kind, data))
        while kind == "prose" and len(text) < size:
            text += "\n\n" + rng.choice(documents(kind, data))
        at = rng.randrange(max(len(text) - size, 1))
        texts.append(text[at : at + size])
    return [t for t in texts if t]


def odd_texts(number: int) -> list[str]:
    """Random bytes as text, blanks, tags, odd capitals, symbols: what tokenizers trip over."""
    rng = random.Random(5)
    blanks = " \n\t\r\u00a0\u2003\u3000\x0b\x0c\x1c\x85ab1."
    tags = ("<thinking>", "</output>", "<|eot_id|>", "<EOT>", " ", "\n", "a", "<", ">", "thinking")
    endings = ("'S", "'ll", "'Re", "'ſ", "ſ", "K", "I'm", " ", "'", "é", "e\u0301", "ǅ", "Ⅻ", "½")
    blocks = ((0x1F300, 0x1F700), (0x200D, 0x200E), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (32, 12288))

    def one() -> str:
        size = rng.randrange(1, 80)
        raw = rng.randbytes(size)
        return rng.choice(
            (
                lambda: raw.decode("latin-1"),
                lambda: raw.decode("utf-8", "replace"),
                lambda: "".join(chr(rng.randrange(*rng.choice(blocks))) for _ in range(size)),
                lambda: "".join(rng.choices(blanks, k=size)),
                lambda: "".join(rng.choices(tags, k=size)),
                lambda: "".join(rng.choices(endings, k=size)),
            )
        )()

    known = ("".join(c for c in one() if unicodedata.category(c) != "Cn") for _ in range(number))
    return [text for text in known if text]


# --- tokenizers ----------------------------------------------------------------------------------


def installed(package: str, *parts: str) -> Path | None:
    """A file inside an installed package, which is not imported."""
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    path = Path(next(iter(folders)), *parts) if folders else None
    return path if path and path.exists() else None


def hugging_face_files() -> dict[str, Path]:
    folder = ("litellm_core_utils", "tokenizers")
    names = ("anthropic", "deepseek")
    found = {n: installed("litellm", *folder, f"{n}_tokenizer.json") for n in names}
    return {name: path for name, path in found.items() if path}


def tekken() -> Count | None:
    """Mistral's vocabulary, as tiktoken reads it."""
    import tiktoken

    path = installed("mistral_common", "data", "tekken_240911.json")
    if path is None:
        return None
    data = json.loads(path.read_text("utf-8"))
    config = data["config"]
    size = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {base64.b64decode(t["token_bytes"]): t["rank"] for t in data["vocab"][:size]}
    encoding = tiktoken.Encoding(
        "tekken", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens={}
    )
    return lambda text: len(encoding.encode_ordinary(text))


def truths(given: list[str]) -> dict[str, Count]:
    """Every real tokenizer that is at hand."""
    found: dict[str, Count] = {}
    for name in ("cl100k_base", "o200k_base"):
        if is_cached(name):
            found[name] = counter_named(name).count
    llama = installed("llama_models", "llama3", "tokenizer.model")
    qwen = installed("dashscope", "resources", "qwen.tiktoken")
    if llama:
        found["llama 3"] = counter_from(llama).count
    if qwen:
        found["qwen"] = counter_from(qwen, pattern=QWEN2).count
    found |= {name: counter_from(path).count for name, path in hugging_face_files().items()}
    if (mistral := tekken()) is not None:
        found["tekken"] = mistral
    for option in given:
        name, path, *pattern = option.split("=", 2)
        found[name] = counter_from(path, pattern=pattern[0] if pattern else None).count
    return found | {"embedded": counter_from(embedded_models()["nano-reflect"]).count}


# --- tables --------------------------------------------------------------------------------------


def exact_table(data: str) -> None:
    texts = odd_texts(1400)
    for kind in (*KINDS[:3], "JSON", "digits", "mixed"):
        texts += calls(kind, 100, 3, data, least=20)
    print(f"exact: {len(texts)} texts\n")
    print(
        f"{'tokenizer':14}{'tokens':>9}{'mismatches':>12}{'seconds':>9}{'reference':>11}  against"
    )
    for name, counter, reference, against in references():
        began = time.perf_counter()
        ours = [counter(text) for text in texts]
        between = time.perf_counter()
        theirs = [reference(text) for text in texts]
        took, other = between - began, time.perf_counter() - between
        wrong = sum(a != b for a, b in zip(ours, theirs, strict=True))
        print(f"{name:14}{sum(theirs):>9}{wrong:>12}{took:>9.2f}{other:>8.2f}  {against}")


def references() -> Iterator[tuple[str, Count, Count, str]]:
    """Counters and what they are compared with: special tokens count as one."""
    if find_spec("tokenizers"):
        from tokenizers import Tokenizer

        for name, path in hugging_face_files().items():
            theirs = Tokenizer.from_file(str(path))
            ours = counter_from(path)
            yield name, _emitted(ours), _encoded(theirs), "tokenizers"
    if (model := installed("llama_models", "llama3", "tokenizer.model")) is not None:
        import tiktoken

        ranks = counter_from(model).tokenizer.vocabulary.ranks
        encoding = tiktoken.Encoding(
            "llama 3", pat_str=LLAMA3, mergeable_ranks=dict(ranks), special_tokens={}
        )
        ours = counter_from(model)
        yield "llama 3", ours.count, lambda t: len(encoding.encode_ordinary(t)), "tiktoken"
    if find_spec("xllamacpp"):
        yield from embedded()


def _emitted(counter: Any) -> Count:
    return lambda text: int(counter.count(text, special=True))


def _encoded(tokenizer: Any) -> Count:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def embedded() -> Iterator[tuple[str, Count, Count, str]]:
    import asyncio

    from reflectkit.backends.nano import NanoBackend

    model = NanoBackend("nano-reflect")
    asyncio.run(model.load())
    counter = counter_from(embedded_models()["nano-reflect"])
    assert model.count is not None
    yield "embedded", _emitted(counter), model.count, "llama.cpp"
    asyncio.run(model.aclose())


def learned_table(options: argparse.Namespace) -> None:
    base, runs = options.base, options.runs
    known = truths(options.tokenizer)
    start = known.get(base)
    based = base if start else "none"
    print(f"\nlearned from base: {based}; {runs} runs of 120 calls of {SHORTEST}-{LONGEST} letters")
    print(
        "median error after 5, 20, 100 calls; then, from 20 on: calls within the bound, its slack\n"
    )
    print(f"{'kind':10}{'tokenizer':14}{'5':>7}{'20':>7}{'100':>7}{'within':>9}{'slack':>8}")
    for kind in options.kind or (*KINDS, "mixed"):
        texts = [calls(kind, 120, seed, options.data) for seed in range(runs)]
        for name, truth in known.items():
            if name != base:
                print(f"{kind:10}{name:14}{learned_row(start, truth, texts)}")


def learned_row(base: Count | None, truth: Count, runs: list[list[str]]) -> str:
    errors: dict[int, list[float]] = {stage: [] for stage in STAGES}
    held: list[bool] = []
    slack: list[float] = []
    for texts in runs:
        counter = LearnedCounter(base)
        for number, text in enumerate(texts):
            tokens, high = truth(text), counter.upper(text)
            stage = max((s for s in STAGES if s <= number), default=0)
            if stage:
                errors[stage].append(abs(counter.count(text) / tokens - 1))
            if number >= 20:
                held.append(high >= tokens)
                slack.append(high / tokens - 1)
            counter.learn(text, tokens)
    shown = "".join(f"{statistics.median(errors[s]):>7.2%}" for s in STAGES)
    return f"{shown}{sum(held) / len(held):>9.2%}{statistics.median(slack):>8.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", default=os.environ.get("REFLECTKIT_DATA", ""))
    parser.add_argument("--tokenizer", action="append", default=[], metavar="NAME=FILE[=PATTERN]")
    parser.add_argument("--base", default="o200k_base", help="what is learnt from; none: nothing")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--kind", action="append", default=[], choices=(*KINDS, "mixed"))
    parser.add_argument("--learned", action="store_true", help="the second table alone")
    options = parser.parse_args()
    if folder := installed("litellm", "litellm_core_utils", "tokenizers"):
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
    if not options.learned:
        exact_table(options.data)
    learned_table(options)


if __name__ == "__main__":
    main()
