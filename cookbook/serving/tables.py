"""The two tables of this folder's README: ``python tables.py`` draws them, a test compares.

One is computed from the model's architecture, the other is ``checked.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
PART = re.compile(r"(?P<head><!-- drawn: (?P<name>\w+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL)

# Reflection 70B: Llama 3.1 70B with six tokens more, and an output head of its own
LAYERS, WIDTH, FEED, HEADS, KEYS, VOCABULARY = 80, 8192, 28672, 64, 8, 128262
HEAD = WIDTH // HEADS
GIB = 2**30

#: numbers of the layers, which can be rounded; of embedding and head, which stay as they are
ROUNDED = LAYERS * (2 * WIDTH * WIDTH + 2 * WIDTH * KEYS * HEAD + 3 * WIDTH * FEED)
REST = LAYERS * 2 * WIDTH + WIDTH + 2 * VOCABULARY * WIDTH
#: bytes a token takes in the cache: keys and values of every layer, 16 bits each
TOKEN = 2 * LAYERS * KEYS * HEAD * 2

#: bytes of the weights, and the cards; GGUF: the sizes of published files
FORMS: Mapping[str, tuple[float, str]] = {
    "bfloat16": (2.0 * (ROUNDED + REST), "two of 80 GB; one of 141 GB leaves next to no context"),
    "fp8": (ROUNDED + 2.0 * REST, "one of 80 GB for a few answers at once, better one of 141 GB"),
    "GGUF Q8_0": (75e9, "as fp8"),
    "GGUF Q4_K_L": (42.1e9, "one of 48 GB, its context short: 44 GB were measured at 4,096 tokens"),
    "GGUF Q2_K_L": (29.4e9, "two of 24 GB, its context short"),
}


def memory() -> str:
    """Weights, and with them the cache of one answer of 8,192 and of 131,072 tokens."""
    rows = [
        f"| {name} | {size / 1e9:.0f} GB, {size / GIB:.0f} GiB "
        f"| {(size + 8192 * TOKEN) / GIB:.0f} GiB | {(size + 131072 * TOKEN) / GIB:.0f} GiB "
        f"| {cards} |"
        for name, (size, cards) in FORMS.items()
    ]
    head = "| weights | alone | with 8,192 tokens | with 131,072 | cards |"
    return "\n".join([head, "|---|---:|---:|---:|---|", *rows])


def checked() -> str:
    """A row for each recipe, with a link to it."""
    recipes = tomllib.loads((HERE / "checked.toml").read_text("utf-8"))["recipe"]
    rows = [
        f"| [`{r['file']}`]({r['file']}) | **{r['mark']}** | {r['how']} | {r['by']} |"
        for r in recipes
    ]
    return "\n".join(["| recipe | mark | how | again by |", "|---|---|---|---|", *rows])


PARTS: Mapping[str, Callable[[], str]] = {"memory": memory, "checked": checked}


def drawn(page: str) -> str:
    """The page with both tables drawn anew."""
    return PART.sub(lambda m: f"{m['head']}\n{PARTS[m['name']]()}\n\n{m['tail']}", page)


if __name__ == "__main__":
    readme = HERE / "README.md"
    readme.write_text(drawn(readme.read_text("utf-8")), "utf-8")
