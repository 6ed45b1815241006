"""The class that vLLM asks. Written against vLLM 0.32's ``ReasoningParser``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.reasoning import ReasoningParser, ReasoningParserManager

from reflectkit.protocol import parse
from reflectkit_vllm.split import Split, Splitter, split

_ANSWER = re.compile(r"<output(?:\s[^<>]*)?>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:thinking|reflection|output)>")
#: tokens in which an opening tag fits, spelled one character a token
_TAIL = 64


@ReasoningParserManager.register_module("reflection")
class ReflectionReasoningParser(ReasoningParser):  # type: ignore[misc]  # not installed here
    """Reads text, not tokens: a grammar may spell the tags in pieces.

    vLLM makes one for each answer. It stays in charge of the stream to its end (``engine_based``),
    so that the tags of the answer itself are taken out as well.
    """

    engine_based_streaming = True

    def __init__(self, tokenizer: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(tokenizer, *args, **kwargs)
        self._splitter = Splitter()
        special = _special(tokenizer)
        self._marks = frozenset(special) - {i for i, text in special.items() if _is_tag(text)}
        self._special_tags = len(self._marks) < len(special)

    @property
    def reasoning_start_str(self) -> str:
        return "<thinking>"

    @property
    def reasoning_end_str(self) -> str:
        return "</thinking>"

    def adjust_request(self, request: Any) -> Any:
        """Keep the tags in the text where they are special tokens, which vLLM leaves out."""
        if self._special_tags:
            request.skip_special_tokens = False
            if hasattr(request, "spaces_between_special_tokens"):
                request.spaces_between_special_tokens = False
        return request

    def extract_reasoning(self, model_output: str, request: Any) -> tuple[str | None, str | None]:
        """Reasoning and content of a whole answer; None for an empty one."""
        found = split(parse(model_output))
        return found.reasoning or None, found.content or None

    def extract_reasoning_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
    ) -> DeltaMessage | None:
        """What ``delta_text`` adds; None if that is nothing yet."""
        return _message(self._splitter.feed(delta_text))

    def finish_streaming(self) -> DeltaMessage | None:
        """What was held back at the end of the answer."""
        return _message(self._splitter.finish())

    def has_engine_confirmed_reasoning_end(self) -> bool:
        """Never: what follows would pass unread, the answer's closing tag included."""
        return False

    def adjust_initial_state_from_prompt(self, prompt_token_ids: Sequence[int]) -> None:
        """Read the beginning of the answer that the prompt ends with, if there is one."""
        self._splitter.prefix(self._turn(prompt_token_ids))

    def is_reasoning_end(self, input_ids: Sequence[int]) -> bool:
        """Whether the answer section has begun in the current turn."""
        return _ANSWER.search(self._turn(input_ids)) is not None

    def is_reasoning_end_streaming(
        self, input_ids: Sequence[int], delta_ids: Iterable[int]
    ) -> bool:
        """Whether it begins with the latest tokens."""
        return _ANSWER.search(self._text(input_ids[-_TAIL:])) is not None

    def extract_content_ids(self, input_ids: list[int]) -> list[int]:
        """The tokens behind the answer's opening tag."""
        found = _ANSWER.search(self._text(input_ids))
        return input_ids[self._tokens_to(input_ids, found.end()) :] if found else []

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """Tokens up to the end of the last thinking, tags included."""
        sections = parse(self._text(token_ids)).sections
        ends = [s.end for s in sections if s.kind in ("thinking", "reflection")]
        return self._tokens_to(token_ids, max(ends)) if ends else 0

    def _text(self, ids: Sequence[int]) -> str:
        text: str = self.model_tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    def _turn(self, ids: Sequence[int]) -> str:
        """The text of the turn that is under way."""
        last = max((i for i, each in enumerate(ids) if each in self._marks), default=-1)
        return self._text(ids[last + 1 :])

    def _tokens_to(self, ids: Sequence[int], place: int) -> int:
        """How many tokens make up the text before ``place``."""
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if len(self._text(ids[:middle])) < place:
                low = middle + 1
            else:
                high = middle
        return low


def _special(tokenizer: Any) -> dict[int, str]:
    """The special tokens. Turns begin with one; some models have the tags among them."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    ids = {i for i, token in added.items() if token.special} | set(tokenizer.all_special_ids)
    return {i: tokenizer.decode([i]) for i in ids}


def _is_tag(text: str) -> bool:
    return _TAG.fullmatch(text.strip()) is not None


def _message(found: Split) -> DeltaMessage | None:
    if not found.reasoning and not found.content:
        return None
    return DeltaMessage(reasoning=found.reasoning or None, content=found.content or None)
