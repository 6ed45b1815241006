"""What came of a loop around somebody else's model, for ``response_metadata["reflectkit"]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reflectkit import Reply

__all__ = ["record_of"]


def record_of(reply: Reply) -> dict[str, Any]:
    """What came of the attempts, in plain values that a checkpoint keeps."""
    return {
        "status": reply.status,
        "attempts": len(reply.attempts),
        "chosen": reply.chosen,
        "because": reply.because,
        "stopped_by": reply.stopped_by,
        "verdicts": [
            {"name": v.name, "ok": v.ok, "by": v.by, "feedback": v.feedback} for v in reply.verdicts
        ],
        "tokens": {"prompt": reply.usage.prompt, "completion": reply.usage.completion},
        "exact": reply.usage.exact,
    }
