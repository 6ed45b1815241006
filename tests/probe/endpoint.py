"""Reflection 70B behind vLLM, in small: the shapes of its wire, and everything that can be wrong.

The model knows one answer. What is real is the way that a prompt takes: a template, a tokenizer in
which the tags are tokens, generation with caps, stop strings and stop ids, and decoding with or
without special tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from reflectkit.testing import LoopbackServer, Received, Served, refusal

MODEL = "glaiveai/Reflection-Llama-3.1-70B"
TAGS = ("<thinking>", "</thinking>", "<output>", "</output>", "<reflection>", "</reflection>")
HEADER = "<|start_header_id|>{role}<|end_header_id|>"
DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
BEGIN, END = "<|begin_of_text|>", "<|eot_id|>"
ANSWER = (
    "<thinking>\nI add 2 and 3.\n<reflection>\n2 + 3 is 5, yes.\n</reflection>\nSo it is 5.\n"
    "</thinking>\n\n<output>\nThe answer is 5.\n</output>"
)
UNTRAINED = "The answer is 5."
PIECES = re.compile(r"<\|\w+\|>|</?(?:thinking|output|reflection)>|\s+|\w+|[^\w\s]")
SPELLED = re.compile(r"<\|\w+\|>|\s+|</?|\w+|[^\w\s]")


@dataclass(kw_only=True)
class Endpoint:
    """A vLLM server. The defaults are what is right; each field is something to get wrong."""

    model: str = MODEL
    answer: str = ANSWER
    #: decoding
    strips: str = "unless asked"  # "always", "never"
    parser: str = ""  # "greedy": all is reasoning; "right"
    keeps_end: bool = False
    #: tokenizer
    spelled: bool = False
    first_tag: int = 128_256
    vocabulary: int = 0
    routes: bool = True
    #: template
    dates: bool = False
    blank_line: bool = False
    drops_system: bool = False
    begins_twice: bool = False
    prefills: bool = False
    #: limits
    context: int = 131_072
    default_cap: int = 0
    obeys_cap: bool = True
    stops: bool = True
    #: what it does with a request
    continues: bool = True
    counts: str = "right"  # "none", "zero", "same"
    streams: bool = True
    says: str = ""
    strict_names: bool = True
    strict_fields: bool = False
    cuts_stop: bool = True
    several: bool = True
    repeats: bool = True
    row: Mapping[str, Any] = field(default_factory=dict)
    owner: str = "vllm"

    def server(self) -> LoopbackServer:
        """The server itself."""
        self._ids: dict[str, int] = {}
        self._asked = 0
        routes: dict[str, Any] = {"/v1/models": lambda _: whole(self._models())}
        if self.routes:
            routes |= {"/tokenize": self._tokenize, "/detokenize": self._detokenize}
        return LoopbackServer(self._chat, routes=routes)

    # --- the list of models

    def _models(self) -> dict[str, Any]:
        meta = {"meta": {"n_vocab": self.vocabulary}} if self.vocabulary else {}
        row = {"id": self.model, "object": "model", "owned_by": self.owner, **meta, **self.row}
        return {"object": "list", "data": [{"max_model_len": self.context, **row}]}

    # --- the tokenizer

    def pieces(self, text: str) -> list[str]:
        return (SPELLED if self.spelled else PIECES).findall(text)

    def _id(self, piece: str) -> int:
        if piece in TAGS:
            return self.first_tag + TAGS.index(piece)
        return self._ids.setdefault(piece, 1000 + len(self._ids))

    def _tokenize(self, request: Received) -> Served:
        asked = request.json
        text = self.prompt(asked) if "messages" in asked else asked["prompt"]
        ids = [self._id(piece) for piece in self.pieces(text)]
        return whole({"tokens": ids, "count": len(ids), "max_model_len": self.context})

    def _detokenize(self, request: Received) -> Served:
        known = {self._id(tag): tag for tag in TAGS} | {i: p for p, i in self._ids.items()}
        return whole({"prompt": "".join(known[i] for i in request.json["tokens"])})

    # --- the template

    def prompt(self, asked: Mapping[str, Any]) -> str:
        turns = list(asked["messages"])
        if self.drops_system:
            turns = [t for t in turns if t["role"] != "system"]
        begin = BEGIN * (2 if self.begins_twice else 1)
        text = begin + "".join(map(self._turn, turns))
        if asked.get("continue_final_message"):
            return text.removesuffix(END)
        opener = "<thinking>\n" if self.prefills else ""
        return text + HEADER.format(role="assistant") + "\n\n" + opener

    def _turn(self, turn: Mapping[str, str]) -> str:
        role = turn["role"]
        dates = DATES if self.dates and role == "system" else ""
        blank = "\n\n" if role != "system" or self.blank_line or self.dates else ""
        return f"{HEADER.format(role=role)}{blank}{dates}{turn['content']}{END}"

    # --- an answer

    def _chat(self, request: Received) -> Served:
        asked = request.json
        if self.strict_names and asked["model"] != self.model:
            return refusal(404, f"The model `{asked['model']}` does not exist.")
        known = ("model", "messages", "temperature", "stream", "stream_options", "max_tokens")
        unknown = asked.keys() - {*known, "stop", "n", "seed"}
        if self.strict_fields and unknown:
            return refusal(422, f"Unexpected keys in the request: {sorted(unknown)}")
        if asked.get("n", 1) > 1 and not self.several:
            asked["n"] = 1
        self._asked += 1
        prompt = self.prompt(asked)
        tokens, finish = self._generated(prompt, asked)
        events = self._events(asked, tokens, finish, len(self.pieces(prompt)))
        if asked.get("stream") and self.streams:
            return Served(tuple(map(event, events)), headers={"Content-Type": "text/event-stream"})
        return whole(self._whole(events, asked))

    def _generated(self, prompt: str, asked: Mapping[str, Any]) -> tuple[list[str], str]:
        tokens = self.pieces(self._said(prompt, asked))
        if not self.repeats:
            tokens.insert(3, " again" * self._asked)
        ends = [END] if self.stops else [END, *self.pieces("\n\nuser\n\nAnd then? " * 40)]
        tokens += ends
        cap = asked.get("max_tokens") or self.default_cap
        if cap and self.obeys_cap and cap < len(tokens):
            return tokens[:cap], "length"
        return tokens, "stop" if self.stops else "length"

    def _said(self, prompt: str, asked: Mapping[str, Any]) -> str:
        last = asked["messages"][-1]
        asks = asked.get("continue_final_message") and self.continues
        if last["role"] == "assistant" and asks:
            return self.answer.removeprefix(last["content"])
        if "2 + 3" not in prompt:
            return "Hello."
        told = "<thinking>" in prompt.partition("user<|end_header_id|>")[0]
        said = self.answer if told else UNTRAINED
        return said.removeprefix("<thinking>\n") if self.prefills else said

    def _events(
        self, asked: Mapping[str, Any], tokens: list[str], finish: str, prompt: int
    ) -> list[dict[str, Any]]:
        shown = list(self._shown(tokens, asked))
        base = {"model": self.says or self.model, "object": "chat.completion.chunk"}
        events: list[dict[str, Any]] = []
        for index in range(asked.get("n", 1)):
            events += [choice(index, delta) for delta in self._deltas(shown)]
            events.append(choice(index, {}, finish))
        if self.counts != "none":
            figures = {"prompt_tokens": prompt, "completion_tokens": len(tokens)}
            zero = {"prompt_tokens": 0, "completion_tokens": 0}
            same = {**figures, "prompt_tokens": 7}
            known = {"right": figures, "zero": zero, "same": same}
            events.append({"choices": [], "usage": known[self.counts]})
        return [{**base, **e} for e in events]

    def _shown(self, tokens: list[str], asked: Mapping[str, Any]) -> Iterator[str]:
        strips = self.strips == "always" or (
            self.strips == "unless asked" and asked.get("skip_special_tokens", True)
        )
        kept = takewhile(lambda t: self.keeps_end or not self.stops or t != END, tokens)
        texts = [t for t in kept if not (strips and t in TAGS and not self.spelled)]
        texts = [t for t in texts if t != END or self.keeps_end]
        stop = (asked.get("stop") or [""])[0]
        text = "".join(texts)
        if stop and stop in text and self.cuts_stop:
            texts = [text.partition(stop)[0]]
        yield from texts

    def _deltas(self, texts: list[str]) -> Iterator[dict[str, Any]]:
        yield {"role": "assistant", "content": ""}
        text = "".join(texts)
        if self.parser == "greedy":
            yield {"reasoning": text}
        elif self.parser == "right":
            thought, _, output = text.partition("</thinking>")
            yield {"reasoning": thought}
            yield {"content": output}
        else:
            yield from ({"content": piece} for piece in texts)

    def _whole(self, events: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
        texts: dict[int, dict[str, Any]] = {}
        found: dict[str, Any] = {"model": events[0]["model"], "object": "chat.completion"}
        for each in events:
            found |= {"usage": each["usage"]} if "usage" in each else {}
            for one in each["choices"]:
                message = texts.setdefault(one["index"], {"content": "", "finish": None})
                message["finish"] = one["finish_reason"] or message["finish"]
                for name in ("content", "reasoning"):
                    message[name] = message.get(name, "") + one["delta"].get(name, "")
        found["choices"] = [
            {"index": i, "message": m, "finish_reason": m.pop("finish")} for i, m in texts.items()
        ]
        return found


def choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def whole(data: Mapping[str, Any]) -> Served:
    return Served((json.dumps(data).encode(),), headers={"Content-Type": "application/json"})
