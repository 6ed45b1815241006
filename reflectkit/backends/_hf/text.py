"""A model's tokenizer and chat template: prompts in, text out, nothing stripped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ...errors import BackendStatus, ConfigurationError
from .ask import Ask

__all__ = ["Detokenizer", "Text"]

#: a character that is not whole yet is decoded to this
_BROKEN: Final = "\ufffd"
#: tokens that a broken end is waited for; a character has at most four bytes
_PATIENCE: Final = 16


class Text:
    """Guards a tokenizer, which is asked from several threads and is safe in one at a time."""

    def __init__(self, tokenizer: Any, chat_template: str | None = None) -> None:
        self._tokenizer = tokenizer
        self._template = {"chat_template": chat_template} if chat_template else {}
        self._lock = threading.Lock()
        #: what single tokens are, as far as somebody asked: every step asks for some
        self._singles: dict[int | None, str] = {}
        self._begins: dict[str, list[int]] = {}
        if not (chat_template or getattr(tokenizer, "chat_template", None)):
            raise ConfigurationError(
                "The model's tokenizer has no chat template.",
                hint="Pass the model's own as chat_template=; a wrong one ruins every answer.",
            )

    def render(self, ask: Ask) -> str:
        """The prompt as text, without the prefix. Raises ``BackendStatus`` (400)."""
        messages = [dict(m) for m in ask.messages]
        fixed = {"tokenize": False, "add_generation_prompt": True}
        given = {**self._template, **ask.template, **fixed}
        try:
            with self._lock:
                text: str = self._tokenizer.apply_chat_template(messages, **given)
        except Exception as error:  # a template is a program, and may raise anything
            raise BackendStatus(
                f"The model's chat template refused the messages: {error}",
                status=400,
                retryable=False,
                hint="Many templates take turns of user and assistant alone, one after the other.",
            ) from error
        return text

    def encode(self, text: str) -> list[int]:
        """The token ids of ``text``; markers that are tokens count as one, nothing is added."""
        with self._lock:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, special tokens included."""
        single = ids[0] if len(ids) == 1 else None
        if single in self._singles:
            return self._singles[single]
        with self._lock:
            text: str = self._tokenizer.decode(
                list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        if single is not None:
            self._singles[single] = text
        return text

    def beginning(self, text: str) -> list[int]:
        """The tokens whose text begins with ``text``; the whole vocabulary is read once."""
        if text not in self._begins:
            ids = range(len(self._tokenizer))
            self._begins[text] = [i for i in ids if self.decode([i]).startswith(text)]
        return self._begins[text]

    def special(self, ids: Sequence[int]) -> list[int]:
        """Those of ``ids`` that are special tokens of this vocabulary."""
        added: Mapping[int, Any] = self._tokenizer.added_tokens_decoder
        return [i for i in ids if i in added and added[i].special]


class Detokenizer:
    """Text from tokens that come one by one: only whole characters, and nothing twice.

    A token's text depends on its neighbours, so each is decoded together with the one before.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], before: Sequence[int] = ()) -> None:
        self._decode = decode
        self._ids = _context(decode, before)
        self._read = len(self._ids)

    def feed(self, token: int) -> str:
        """The text that ``token`` completes."""
        self._ids.append(token)
        new = self._new()
        waits = len(self._ids) - self._read < _PATIENCE
        return "" if new.endswith(_BROKEN) and waits else self._taken(new)

    def finish(self) -> str:
        """What was held back: a character that was never completed."""
        return self._taken(self._new()) if len(self._ids) > self._read else ""

    def _new(self) -> str:
        old = self._decode(self._ids[: self._read]) if self._read else ""
        return self._decode(self._ids)[len(old) :]

    def _taken(self, text: str) -> str:
        self._ids = self._ids[self._read :]
        self._read = len(self._ids)
        return text


def _context(decode: Callable[[Sequence[int]], str], before: Sequence[int]) -> list[int]:
    """The last token of ``before``, and as many earlier ones as make its text whole."""
    sizes = range(1, min(len(before), _PATIENCE) + 1)
    whole = (size for size in sizes if not decode(before[-size:]).startswith(_BROKEN))
    return list(before[-next(whole, 1) :])
