"""From a client's settings to what corrects its answers: verifiers, a policy, instructions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .correction.policy import single
from .errors import ConfigurationError

if TYPE_CHECKING:
    from .correction.policy import Policy
    from .options import Settings
    from .verify import Verifier

__all__ = ["instructions", "oracle_refused", "policy_of", "verifiers_of"]

#: how often is asked where there is somebody to reject an answer
_USUAL: Final = 3
#: Fewer answers cannot speak against the first: of two that differ, either may be the wrong one.
_GUARD: Final = 3
#: What asks for structured output. The schema follows.
_AS_JSON: Final = "Give the final answer as JSON that fits this schema, and nothing else:"


def verifiers_of(settings: Settings) -> tuple[Verifier, ...]:
    """What judges the answers; the schema of ``output_type`` comes first.

    Raises ``ConfigurationError`` for a verifier that knows the right answer.
    """
    given = settings.verify
    verifiers: list[Any] = [given] if callable(given) else list(given)
    if settings.output_type is not None:
        from .verify import Schema

        verifiers.insert(0, Schema(settings.output_type))
    if any(getattr(v, "by", "") == "oracle" for v in verifiers):
        raise oracle_refused()
    return tuple(verifiers)


def oracle_refused() -> ConfigurationError:
    """What an oracle says outside a comparison would make the loop look better than it is."""
    return ConfigurationError(
        "A verifier knows the right answer (by='oracle'): that is for comparisons alone.",
        hint="Use one that can judge without it, or say by='rule' if it is no gold answer.",
    )


def policy_of(settings: Settings, verifiers: tuple[Verifier, ...]) -> Policy:
    """The policy that was chosen, or the one that fits the verifiers and the attempts."""
    if settings.policy is not None:
        return settings.policy
    attempts = settings.attempts or (_USUAL if verifiers else 1)
    if attempts == 1 or (attempts < _GUARD and not verifiers):
        return single()
    from .correction import Correct, GuardedReflection, stop

    # More than two that must agree mend less, for more tokens (benchmarks/policies.py).
    return Correct(stop=stop.attempts(attempts)) if verifiers else GuardedReflection()


def instructions(settings: Settings) -> str:
    """What tells a model how its answer has to look; "" for nothing."""
    wanted = settings.output_type
    if wanted is None:
        return ""
    if isinstance(wanted, Mapping):
        schema: Any = wanted
    else:
        schema = _schema_of(wanted)
    return f"{_AS_JSON}\n{json.dumps(schema, ensure_ascii=False, separators=(',', ':'))}"


def _schema_of(type_: Any) -> Any:
    from pydantic.errors import PydanticInvalidForJsonSchema

    from .verify._adapter import adapter_of

    try:
        return adapter_of(type_).json_schema()
    except PydanticInvalidForJsonSchema as error:
        raise ConfigurationError(
            f"{type_!r} has no JSON schema to tell the model: {error.message.splitlines()[0]}",
            hint="Use types that JSON has, or verify=Schema(...) and words of your own.",
        ) from error
