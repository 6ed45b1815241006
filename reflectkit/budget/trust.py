"""What was learnt of a server's way with budgets: what it ignores is not relied on again."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["FAULTS", "Trust"]

#: What a server may be found to do -> what that means.
FAULTS: dict[str, str] = {
    "ignores_thinking": "it went on thinking beyond the budget that it had been told",
    "refuses_thinking": "it refuses the field that tells it how much to think",
    "ignores_max_tokens": "it wrote more tokens than max_tokens allows",
    "drops_prefix": "it does not go on from a prefix: it refuses it, or begins anew",
    "hides_thinking": "its thinking takes tokens and is not shown",
}


@dataclass(slots=True)
class Trust:
    """The faults of one server, as they were seen. One for each connection."""

    faults: set[str] = field(default_factory=set)

    def __contains__(self, fault: str) -> bool:
        return fault in self.faults

    def lose(self, fault: str) -> bool:
        """``fault`` was seen; True if it was for the first time."""
        assert fault in FAULTS, fault
        new = fault not in self.faults
        self.faults.add(fault)
        return new
