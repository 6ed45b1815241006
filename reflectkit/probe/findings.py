"""What can be wrong with an endpoint, as data: every finding with its meaning and its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["CATALOGUE", "Finding", "Known", "Severity"]

#: ``broken``: answers cannot be trusted or told apart. ``degraded``: they come, and are worse or
#: costlier than they need be. ``note``: different from other servers, and taken care of.
Severity = Literal["broken", "degraded", "note"]


@dataclass(frozen=True, slots=True)
class Known:
    """A kind of finding: how bad it is, what it means, how to mend it."""

    severity: Severity
    meaning: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. ``evidence``: what was seen, in a line."""

    id: str
    evidence: str

    @property
    def severity(self) -> Severity:
        return CATALOGUE[self.id].severity

    @property
    def meaning(self) -> str:
        return CATALOGUE[self.id].meaning

    @property
    def remedy(self) -> str:
        return CATALOGUE[self.id].remedy


_KEEP: Final = (
    'vLLM, SGLang: send extra={"skip_special_tokens": False}; llama.cpp: start it with --special; '
    "transformers serve: it cannot, use another server or mark the tags special: false."
)
_TEMPLATE: Final = (
    "Give the server the template of the training layout (vLLM: --chat-template; llama.cpp: "
    "--chat-template-file; Ollama: TEMPLATE): cookbook/serving has it."
)
_FILES: Final = (
    "Take the tokenizer files of the release whose weights you serve, or another conversion."
)

#: Every finding by its id.
CATALOGUE: Final[Mapping[str, Known]] = {
    # --- the protocol
    "tags-stripped": Known(
        "broken", "The model writes its tags, and the server takes them out of the text.", _KEEP
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
    "system-dropped": Known("broken", "The system text does not reach the model.", _TEMPLATE),
    "begins-twice": Known(
        "degraded",
        "The prompt begins with two tokens for the beginning of a text.",
        "Either the template or the tokenizer writes it, not both. " + _TEMPLATE,
    ),
    "template-dates": Known(
        "degraded",
        "The template writes dates into the prompt that were not there in training.",
        _TEMPLATE,
    ),
    "template-layout": Known("degraded", "The prompt is not laid out as in training.", _TEMPLATE),
    "context-small": Known(
        "degraded",
        "The context is smaller than the model's own.",
        "vLLM: --max-model-len; llama.cpp: --ctx-size (shared by its slots); Ollama: num_ctx.",
    ),
    "context-overstated": Known(
        "degraded",
        "The listing names a larger context than the one that answers.",
        "Count on the smaller one, or ask a provider that serves the whole.",
    ),
    # --- the end
    "output-cap": Known(
        "broken",
        "Without max_tokens the server cuts answers before they are complete.",
        "Send max_tokens, or raise the server's default (llama.cpp: --n-predict; Ollama: "
        "num_predict; vLLM: --generation-config vllm).",
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
    "end-token-shown": Known(
        "degraded",
        "The token that ends a turn is left in the text.",
        "Add it to the server's stop tokens, or pass it in stop=.",
    ),
    "runs-on": Known(
        "broken",
        "The model goes on after its answer: the server does not stop at the end of a turn.",
        "Give the server the model's stop ids (generation_config.json: eos_token_id; Ollama: "
        "PARAMETER stop), or pass stop=.",
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
        "A proxy may count wrongly: ask the server itself.",
    ),
    "not-streamed": Known(
        "degraded",
        "The answer comes in one piece although a stream was asked for.",
        "A proxy buffers it, or the server cannot stream.",
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
}
