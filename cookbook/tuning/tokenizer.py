"""A Llama-3 style tokenizer: bytes, whole words, numbers, chat tokens and the six tags.

There are no merges: a piece of text (as the Llama-3 pattern cuts it) is one token when the
vocabulary has it, and single bytes otherwise. So every text can be encoded, and a word that is
not in the vocabulary is seen letter by letter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import prompts

from reflectkit.comparison.heldout import stories
from reflectkit.comparison.heldout.objects import FIRST, PUT, TAKE, TIP, WHERE
from reflectkit.comparison.heldout.problems import ASKED, COUNTED, TAILS
from reflectkit.comparison.heldout.words import (
    BOXES,
    DIRECT,
    HOLDERS,
    NAMES,
    OBJECTS,
    PLACES,
    THINGS,
)

NUMBERS = 400
CONTROL = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eot_id|>", "<|pad|>",
)  # fmt: skip
TAGS = ("<thinking>", "</thinking>", "<output>", "</output>", "<reflection>", "</reflection>")
CONTRACTIONS = r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
LETTER = r"[^\W\d_]"
PIECES = re.compile(
    rf"{CONTRACTIONS}|(?:[^\r\n\w]|_)?{LETTER}+|\d{{1,3}}| ?(?:[^\s\w]|_)+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATH = Path(__file__).with_name("vocabulary.json")


def marked(tags: tuple[str, ...]) -> re.Pattern[str]:
    """Splits a text at its control tokens and tags, and keeps them."""
    return re.compile("(" + "|".join(re.escape(t) for t in CONTROL + tags) + ")")


def byte_letters() -> list[str]:
    """The printable stand-ins of GPT-2 for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(extra)) for b in range(256)]


LETTERS = byte_letters()
BYTES = {letter: byte for byte, letter in enumerate(LETTERS)}


def stand_in(text: str) -> str:
    """A text with its bytes written as printable letters."""
    return "".join(LETTERS[b] for b in text.encode())


def texts() -> Iterable[str]:
    """Every text whose words deserve a token of their own."""
    yield from (prompts.THINKING, prompts.REFLECTION, prompts.CARD, prompts.HARNESS)
    for group in (
        prompts.MORE_THINKING, prompts.MORE_REFLECTION, prompts.PLAIN, prompts.AGAIN,
        prompts.WRONG, prompts.HINT, prompts.KEEP, ASKED, COUNTED, TAILS, FIRST, PUT, TIP, TAKE,
        WHERE, [t for t, _ in stories.TEMPLATES],
    ):  # fmt: skip
        yield from group
    spaced = [*NAMES, *THINGS, *BOXES, *OBJECTS, *HOLDERS, *DIRECT, *prompts.COMMON, *PLACES]
    for word in [*spaced, *PLACES["in"], *PLACES["on"]]:
        yield f"{word} {word}"
    for word in prompts.COMMON:
        yield word.capitalize()
    yield "the is with it stays taken out turned over falls are gives keep fix yes not again so"
    yield "system user assistant\n\n\n\n\n + - * = ( ) ? . , : ; / ... \" ' -  ->"


def vocabulary() -> list[str]:
    """All tokens in order: bytes, numbers, words, control tokens, tags."""
    found = list(LETTERS) + [str(n) for n in range(10, NUMBERS + 1)]
    known, special = set(found), marked(TAGS)
    spaced = [f" {chr(c)}" for c in range(ord("a"), ord("z") + 1)]
    for text in [*spaced, "\n\n", "\n", " ->", ").", ")?", "?\n", ".\n", *texts()]:
        for part in special.split(text):
            for piece in [] if special.fullmatch(part) else PIECES.findall(part):
                token = stand_in(piece)
                if token not in known and not piece.isdigit():
                    known.add(token)
                    found.append(token)
    return [*found, *CONTROL, *TAGS]


class Tokenizer:
    """Encodes and decodes; the same ids as llama.cpp with the exported file.

    `tags` are tokens that stand for themselves, in the text as well as in the vocabulary.
    """

    def __init__(self, tokens: list[str] | None = None, tags: tuple[str, ...] = TAGS) -> None:
        self.tokens = tokens or json.loads(PATH.read_text())
        self.tags = tags
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        self.whole = frozenset(CONTROL + tags)
        self.sizes = [len(t.encode()) if t in self.whole else len(t) for t in self.tokens]
        self._special = marked(tags)
        self._piece = lru_cache(200_000)(self._encode_piece)

    def __len__(self) -> int:
        return len(self.tokens)

    def _encode_piece(self, piece: str) -> tuple[int, ...]:
        token = stand_in(piece)
        whole = self.ids.get(token)
        return (whole,) if whole is not None else tuple(self.ids[c] for c in token)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text; control tokens and tags in it are recognised."""
        found: list[int] = []
        for part in self._special.split(text):
            if part in self.whole:
                found.append(self.ids[part])
            else:
                for piece in PIECES.findall(part):
                    found.extend(self._piece(piece))
        return found

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids, markup included."""
        parts: list[bytes] = []
        for index in ids:
            token = self.tokens[index]
            if token in self.whole:
                parts.append(token.encode())
            else:
                parts.append(bytes(BYTES[c] for c in token))
        return b"".join(parts).decode(errors="replace")


if __name__ == "__main__":
    PATH.write_text(json.dumps(vocabulary(), ensure_ascii=False, indent=0) + "\n")
    print(f"{len(Tokenizer())} tokens")
