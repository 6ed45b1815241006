"""What a LangChain runnable is made of, and copies of it that ask in our way.

Models stand inside bindings, retries, fallbacks and sequences. A parameter goes into a model's own
field, on a copy, because the names of keyword arguments differ from SDK to SDK and unknown ones
break them; what the class does not declare is not passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import BaseLLMOutputParser
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableLambda,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.passthrough import RunnableAssign
from pydantic import SecretStr

__all__ = [
    "FIELDS",
    "changed",
    "field_of",
    "has_parser",
    "models_in",
    "name_of",
    "one_at_a_time",
    "secrets_of",
    "with_fields",
]

Some = Runnable[Any, Any]

#: a parameter of ours -> the fields that classes have for it
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "max_tokens": (
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "num_predict",
        "max_new_tokens",
        "max_tokens_to_sample",
    ),
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "seed": ("seed", "random_seed"),
    "effort": ("reasoning_effort",),
}
_NAMES: Final = ("model_name", "model", "model_id", "deployment_name")


def models_in(runnable: Some) -> Iterator[BaseChatModel]:
    """The chat models that may answer, in the order in which they are asked."""
    match runnable:
        case BaseChatModel():
            yield runnable
        case RunnableBindingBase(bound=bound):
            yield from models_in(bound)
        case RunnableWithFallbacks(runnable=first, fallbacks=others):
            for one in (first, *others):
                yield from models_in(one)
        case RunnableSequence():
            for step in runnable.steps:
                yield from models_in(step)


def changed(runnable: Some, change: Callable[[BaseChatModel], BaseChatModel]) -> Some:
    """A copy whose chat models are changed; what holds none is returned as it is."""
    match runnable:
        case BaseChatModel():
            return change(runnable)
        case RunnableBindingBase(bound=bound):
            return runnable.model_copy(update={"bound": changed(bound, change)})
        case RunnableWithFallbacks(runnable=first, fallbacks=others):
            new = [changed(one, change) for one in others]
            return runnable.model_copy(
                update={"runnable": changed(first, change), "fallbacks": new}
            )
        case RunnableSequence(first=first, middle=middle, last=last):
            return runnable.model_copy(
                update={
                    "first": changed(first, change),
                    "middle": [changed(one, change) for one in middle],
                    "last": changed(last, change),
                }
            )
    return runnable


def field_of(model: BaseChatModel, parameter: str) -> str:
    """The field that the model's class has for a parameter of ours; "" if it has none."""
    declared = type(model).model_fields
    return next((name for name in FIELDS[parameter] if name in declared), "")


def with_fields(runnable: Some, values: Mapping[str, Any]) -> Some:
    """A copy that asks with these parameters, as far as its classes have them.

    Arguments that were bound to the model by the same names give way; of two limits on the answer
    the smaller one holds.
    """
    if not values:
        return runnable
    return changed(_unbound(runnable, values), lambda model: _set(model, values))


def _set(model: BaseChatModel, values: Mapping[str, Any]) -> BaseChatModel:
    update = {name: v for p, v in values.items() if (name := field_of(model, p))}
    limit = field_of(model, "max_tokens")
    if limit in update and isinstance(own := getattr(model, limit), int) and own > 0:
        update[limit] = min(own, update[limit])
    return model.model_copy(update=update)


def _unbound(runnable: Some, values: Mapping[str, Any]) -> Some:
    if not isinstance(runnable, RunnableBinding):
        return runnable
    bound = dict(runnable.kwargs)
    for parameter, value in values.items():
        for name in FIELDS[parameter]:
            if name in bound:
                own = bound[name]
                both = parameter == "max_tokens" and isinstance(own, int)
                bound[name] = min(own, value) if both else value
    return runnable.model_copy(update={"kwargs": bound, "bound": _unbound(runnable.bound, values)})


def has_parser(runnable: Some) -> bool:
    """It ends in a parser, as what ``with_structured_output`` returns does: no message comes."""
    match runnable:
        case BaseLLMOutputParser() | RunnableAssign():
            return True
        case RunnableBindingBase(bound=bound):
            return has_parser(bound)
        case RunnableSequence(last=last):
            return has_parser(last)
        case RunnableWithFallbacks(runnable=first):
            return has_parser(first)
    return False


def name_of(runnable: Some) -> str:
    """The name of the first model that has one."""
    for model in models_in(runnable):
        for attribute in _NAMES:
            found = getattr(model, attribute, None)
            if isinstance(found, str) and found:
                return found
    return ""


def one_at_a_time(runnable: Some) -> bool:
    """It answers from a thread in one piece: neither async nor a stream of its own."""
    models = list(models_in(runnable))
    if not models:
        return isinstance(runnable, RunnableLambda) and not hasattr(runnable, "afunc")
    base = BaseChatModel
    return any(
        type(m)._agenerate is base._agenerate
        and type(m)._astream is base._astream
        and type(m)._stream is base._stream
        for m in models
    )


def secrets_of(runnable: Some) -> list[str]:
    """Keys of the models, to be taken out of what is said about errors."""
    values = (v for model in models_in(runnable) for v in vars(model).values())
    return [v.get_secret_value() for v in values if isinstance(v, SecretStr)]
