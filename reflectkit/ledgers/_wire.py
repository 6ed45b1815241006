"""Orders as JSON values, for stores that keep them outside this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..budget.ledger import Cap, Claim, Demand, Order

__all__ = ["order_from", "order_value"]


def order_value(order: Order) -> dict[str, Any]:
    """The order as ``books.lua`` reads it."""
    demand = order.demand
    return {
        "id": order.id,
        "claims": [
            {
                "scope": claim.scope,
                "shortage": claim.shortage,
                "caps": [[cap.key, cap.most] for cap in claim.caps],
            }
            for claim in order.claims
        ],
        "demand": {
            "prompt": demand.prompt,
            "completion": demand.completion,
            "floor": demand.floor,
            "price_prompt": demand.price_prompt,
            "price_completion": demand.price_completion,
            "calls": demand.calls,
        },
    }


def order_from(value: Mapping[str, Any]) -> Order:
    """The order that such a value stands for."""
    demand = dict(value["demand"])
    return Order(
        id=value["id"],
        claims=tuple(
            Claim(
                scope=claim["scope"],
                shortage=claim["shortage"],
                caps=tuple(Cap(key, most) for key, most in claim["caps"]),
            )
            for claim in value["claims"]
        ),
        demand=Demand(least=demand.pop("floor"), **demand),
    )
