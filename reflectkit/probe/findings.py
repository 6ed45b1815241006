"""What can be wrong with an endpoint, as data: every finding with its meaning and its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["CATALOGUE", "Finding", "Known", "Severity"]

#: ``broken``: answers cannot be trusted or told apart. ``degraded``: they come, and are worse or
#: costlier than they need be. ``note``: different from other servers, and taken care of.
Severity = Literal["broken", "degraded", "note"]


@dataclass(frozen=True, slots=True)
class Known:
    """A kind of finding: how bad it is, what it means, how to mend it.

    ``servers``: the same in one kind of server's words, by the kind's name.
    """

    severity: Severity
    meaning: str
    mend: str
    servers: Mapping[str, str] = field(default_factory=dict)

    def remedy(self, kind: str = "unknown") -> str:
        """How to mend it on this kind of server; on all of them, if it is not known which."""
        if kind in self.servers:
            return " ".join(filter(None, (self.mend, f"{kind}: {self.servers[kind]}.")))
        each = "; ".join(f"{name}: {words}" for name, words in self.servers.items())
        return " ".join(filter(None, (self.mend, each and f"{each}.")))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. ``evidence``: what was seen, in a line; ``kind``: the kind of server."""

    id: str
    evidence: str
    kind: str = "unknown"

    @property
    def severity(self) -> Severity:
        return CATALOGUE[self.id].severity

    @property
    def meaning(self) -> str:
        return CATALOGUE[self.id].meaning

    @property
    def remedy(self) -> str:
        return CATALOGUE[self.id].remedy(self.kind)


_FIELD: Final = 'send extra={"skip_special_tokens": False}'
_KEEP: Final = {
    "vllm": _FIELD,
    "sglang": _FIELD,
    "llama.cpp": "start it with --special",
    "transformers": "it cannot; use another server, or mark the tags special: false",
}
_TEMPLATE: Final = "Give the server the template of the training layout: cookbook/serving has it."
_TEMPLATES: Final = {
    "vllm": "--chat-template",
    "sglang": "--chat-template",
    "llama.cpp": "--chat-template-file",
    "ollama": "TEMPLATE in the Modelfile",
}
_FILES: Final = (
    "Take the tokenizer files of the release whose weights you serve, or another conversion."
)

#: Every finding by its id.
CATALOGUE: Final[Mapping[str, Known]] = {
    # --- the protocol
    "tags-stripped": Known(
        "broken",
        "The model writes its tags, and the server takes them out of the text.",
        "Let it keep them; if the field was sent, a proxy drops it: ask the server itself.",
        _KEEP,
    ),
    "tags-need-a-field": Known(
        "note",
        "The server takes the tags out unless a request says otherwise; ours do.",
        "Other clients must send skip_special_tokens: false themselves.",
    ),
    "no-protocol": Known(
        "broken",
        "A model that was trained to reflect answers without thinking and output.",
        "These are other weights than the name says, or the system prompt does not reach the "
        "model. Use the right ones, or ask with mode='prompted'.",
    ),
    "thinking-absent": Known(
        "note",
        "A model that can think answers without any: it is switched off, or the server hides it.",
        "Switch it on (reasoning=..., or the server's chat template), or take it as it is.",
    ),
    "answer-empty": Known(
        "broken",
        "The answer has no text at all.",
        "See the server's log: often the first token ends the turn, because template and weights "
        "do not belong together.",
    ),
    "answer-swallowed": Known(
        "broken",
        "A reasoning parser on the server takes the whole answer for thinking.",
        "Start the server without --reasoning-parser, or with the one of integrations/vllm.",
    ),
    "split-by-server": Known(
        "note",
        "A reasoning parser on the server splits thinking off: reflections cannot be told apart.",
        "Leave it off where reflectkit is the client.",
    ),
    "opener-prefilled": Known(
        "degraded",
        "The prompt ends with the opening tag, so the answer begins inside thinking.",
        "Client(prefilled=True) reads it right; or take the tag out of the chat template.",
    ),
    "output-missing": Known(
        "broken",
        "The answer ended by itself and has no output section.",
        "Ask with a larger max_tokens; if it stays so, these are other weights than the name says.",
    ),
    # --- the tokenizer
    "tags-spelled": Known(
        "broken",
        "Tags that were trained as one token each are read and written in pieces.",
        "The six tokens are missing from the tokenizer. " + _FILES,
    ),
    "tag-ids": Known(
        "degraded",
        "The tags are tokens, and not the ones that they were in training.",
        "The tokenizer was repaired by hand. " + _FILES,
    ),
    "vocabulary": Known(
        "broken",
        "The model has fewer tokens than its tags need.",
        "These are the weights of an upload without the six rows. " + _FILES,
    ),
    # --- the prompt
    "system-dropped": Known(
        "broken", "The system text does not reach the model.", _TEMPLATE, _TEMPLATES
    ),
    "begins-twice": Known(
        "degraded",
        "The prompt begins with two tokens for the beginning of a text.",
        "Either the template or the tokenizer writes it, not both. " + _TEMPLATE,
        _TEMPLATES,
    ),
    "template-dates": Known(
        "degraded",
        "The template writes dates into the prompt that were not there in training.",
        _TEMPLATE,
        _TEMPLATES,
    ),
    "template-layout": Known(
        "degraded", "The prompt is not laid out as in training.", _TEMPLATE, _TEMPLATES
    ),
    "context-small": Known(
        "degraded",
        "The context is smaller than the model's own.",
        "Give it more.",
        {
            "vllm": "--max-model-len",
            "sglang": "--context-length",
            "llama.cpp": "--ctx-size (shared by its slots)",
            "ollama": "num_ctx",
        },
    ),
    "context-reduced": Known(
        "note",
        "The context is smaller than the model's own; it is roomy all the same.",
        "Enlarge it where prompts are long.",
    ),
    "context-overstated": Known(
        "degraded",
        "The listing names a larger context than the one that answers.",
        "Count on the smaller one, or ask a provider that serves the whole.",
    ),
    "float16": Known(
        "note",
        "The weights are said to be float16; they were trained in bfloat16.",
        "Where quality is in doubt, serve them in bfloat16, or a quantisation made from it.",
        {"vllm": "--dtype bfloat16", "sglang": "--dtype bfloat16"},
    ),
    # --- the end
    "output-cap": Known(
        "broken",
        "Without max_tokens the server cuts answers before they are complete.",
        "Send max_tokens, or raise the server's default.",
        {
            "vllm": "--generation-config vllm",
            "llama.cpp": "--n-predict",
            "ollama": "num_predict",
        },
    ),
    "cap-ignored": Known(
        "broken",
        "The answer has more tokens than max_tokens allowed.",
        "A proxy may drop the field: ask the server itself.",
    ),
    "cap-advertised": Known(
        "degraded",
        "The listing caps answers below what reflection needs.",
        "Ask a provider with a higher cap; thinking and answer share it.",
    ),
    "answers-capped": Known(
        "degraded",
        "An answer as long as reflection may need is refused.",
        "Send a smaller max_tokens, and ask a provider with a higher cap for hard questions.",
    ),
    "end-token-shown": Known(
        "degraded",
        "The token that ends a turn is left in the text.",
        "Add it to the server's stop tokens, or pass it in stop=.",
    ),
    "end-token-cut": Known(
        "note",
        "The token that ends a turn is left in the text; the profile's stop strings cut it here.",
        "Other clients must pass it in stop= themselves.",
    ),
    "runs-on": Known(
        "broken",
        "The model goes on after its answer: the server does not stop at the end of a turn.",
        "Give the server the model's stop ids, or pass stop=.",
        {
            "vllm": "eos_token_id in generation_config.json",
            "llama.cpp": "tokenizer.ggml.eos_token_id in the GGUF file",
            "ollama": "PARAMETER stop",
        },
    ),
    # --- what a server does with a request
    "usage-missing": Known(
        "degraded",
        "The server reports no usage: costs and budgets rest on estimates.",
        "Newer versions of most servers report it; see stream_options for streams.",
    ),
    "usage-implausible": Known(
        "degraded",
        "The usage does not fit the answer.",
        "A proxy may count wrongly, or a model thinks unseen: ask the server itself.",
    ),
    "not-streamed": Known(
        "degraded",
        "The answer comes in one piece although a stream was asked for.",
        "A proxy buffers it, or the server cannot stream.",
    ),
    "no-finish": Known(
        "degraded",
        "No answer says why it ended: one that was cut looks complete.",
        "A proxy may drop finish_reason: ask the server itself.",
    ),
    "no-done": Known(
        "note",
        "Streams end without [DONE].",
        "The finish reason is the end here; other clients may wait.",
    ),
    "model-substituted": Known(
        "degraded",
        "Another model than the one asked for says that it answered.",
        "Name a model from the list, or ask the provider what is served under this name.",
    ),
    "any-model-name": Known(
        "note",
        "A model that does not exist is answered for.",
        "Check the name yourself: this server will not.",
    ),
    "prefix-not-continued": Known(
        "degraded",
        "A server of a kind that goes on from a prefix opens a new turn.",
        "Its template closes the last message: check it; until then pass continues='no'.",
        {"llama.cpp": "start it without --no-prefill-assistant"},
    ),
    "prefix-goes-on": Known(
        "note",
        "A server of unknown kind goes on from a prefix.",
        "Pass kind='vllm', or continues='flags', and cut answers can be gone on with.",
    ),
    "stop-left": Known(
        "note",
        "A stop string is left in the text, or ignored.",
        "Ours are applied on this side as well; other clients must cut by themselves.",
    ),
    "n-ignored": Known(
        "note",
        "n: 2 does not give two answers.",
        "reflectkit.backends.several.answers asks twice.",
    ),
    "fields-refused": Known(
        "note",
        "Fields that the server does not know are refused.",
        "Optional ones are left out after the first refusal; see OpenAIBackend.refused.",
    ),
    "not-repeatable": Known(
        "note",
        "At temperature 0 two answers to one question differ.",
        "Batches on a GPU do that; if every answer differs, temperature is ignored.",
    ),
    "seed-ignored": Known(
        "note",
        "Two answers with one seed differ.",
        "Do not count on seeds here; temperature 0 may still repeat itself.",
    ),
}
