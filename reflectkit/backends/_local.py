"""What backends in this process check before they work: arguments, and requests of text alone."""

from __future__ import annotations

from ..errors import ConfigurationError, MissingCapability
from ..messages import Request

__all__ = ["check_at_least", "check_text"]


def check_at_least(**numbers: tuple[int | None, int]) -> None:
    """Each argument's value and the least that it may be. Raises ``ConfigurationError``."""
    for name, (value, least) in numbers.items():
        if value is not None and value < least:
            raise ConfigurationError(f"{name} is {value}; it has to be at least {least}.")


def check_text(request: Request, engine: str) -> None:
    """Whether ``engine`` can answer: text, not empty, that is Unicode, with room for a token.

    Raises ``ConfigurationError``, and ``MissingCapability`` for images.
    """
    check_at_least(max_tokens=(request.max_tokens, 1))
    parts = [p for m in request.messages if not isinstance(m.content, str) for p in m.content]
    if any(part.get("type") != "text" for part in parts):
        raise MissingCapability(
            f"{engine} reads text alone.",
            capability="images",
            hint="Leave the other parts out, or use a server that takes them.",
        )
    if not any(m.text.strip() or m.tool_calls for m in request.messages):
        raise ConfigurationError("The prompt is empty.", hint="Put a question into a message.")
    try:
        "".join([request.prefix, *request.stop, *(m.text for m in request.messages)]).encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"The request's text is no Unicode ({error.reason}).",
            hint='Clean it first: text.encode(errors="replace").decode().',
        ) from None
