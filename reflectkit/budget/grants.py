"""The honest record of an attempt's limits: asked for, granted, spent, and who made them hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..reply import EnforcedBy, Grant

if TYPE_CHECKING:
    from ..messages import Usage
    from .bounds import Bounds
    from .meter import Meter
    from .purse import Allowance

__all__ = ["grants"]

#: tokens by which counts of the same thinking may differ: its tags
_NEAR: Final = 4


def grants(
    allowance: Allowance,
    bounds: Bounds,
    meter: Meter,
    usage: Usage,
    *,
    cut: str,
    full: bool,
    told: bool,
) -> tuple[Grant, ...]:
    """One for each limit that the attempt had. ``full``: a server ended an answer at the length
    that it was told. ``told``: it took the cap on thinking."""
    spent = {
        "thinking": meter.thinking or usage.thinking or 0,
        "thinking_floor": meter.thinking,
        "reflection": meter.longest_reflection,
        "reflections": meter.reflections,
        "output": meter.output,
        "completion": usage.completion,
    }
    by = dict(allowance.by)
    found = []
    for limit, used in spent.items():
        granted: Any = getattr(allowance.caps, limit)
        if granted is None or (limit == "thinking_floor" and not granted):
            continue
        found.append(
            Grant(
                limit=limit,
                requested=bounds.get(limit),
                granted=granted,
                spent=used,
                enforced_by=_enforcer(limit, allowance, used, cut, full, told),
                by=by.get(limit, ""),
                told=told if limit == "thinking" else limit == "completion",
            )
        )
    return tuple(found)


def _enforcer(
    limit: str, allowance: Allowance, spent: int, cut: str, full: bool, told: bool
) -> EnforcedBy:
    caps = allowance.caps
    if cut == limit:
        return "nobody" if limit == "thinking_floor" and spent < caps.thinking_floor else "client"
    if limit == "thinking_floor":
        return "" if spent >= caps.thinking_floor else "nobody"
    if limit == "completion":
        return "server" if full and not cut else ""
    granted: int = getattr(caps, limit)
    if spent > granted + caps.grace + _NEAR:
        return "nobody"
    reached = limit == "thinking" and spent >= granted - _NEAR
    return "server" if told and reached else ""
