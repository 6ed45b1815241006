"""A hundred models with a valid object each, and twelve ways in which models break JSON."""

from __future__ import annotations

import datetime as dt
import enum
import json
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StrictInt,
    computed_field,
    create_model,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict  # the one that pydantic takes before Python 3.12


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    x: float
    y: float


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Movie(TypedDict):
    title: str
    year: int


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]

#: a type, and a value of it as JSON has it
FIELDS: list[tuple[Any, Any]] = [
    (int, 7),
    (float, 2.5),
    (bool, True),
    (str, "plain words"),
    (str, 'with "quotes" and {braces}'),
    (str, "two\nlines"),
    (str, "naïve 日本 😀"),
    (StrictInt, 3),
    (Decimal, "10.50"),
    (dt.date, "2024-02-29"),
    (dt.datetime, "2024-02-29T12:30:00Z"),
    (dt.time, "12:30:00"),
    (dt.timedelta, "PT5M"),
    (uuid.UUID, "12345678-1234-5678-1234-567812345678"),
    (Colour, "red"),
    (Level, 2),
    (Literal["a", "b"], "b"),
    (Literal[1, "one"], "one"),
    (Annotated[int, Field(gt=0, lt=10)], 9),
    (Annotated[str, Field(min_length=2, pattern="^[a-z]+$")], "abc"),
    (Annotated[list[int], Field(min_length=1, max_length=3)], [1, 2]),
    (int | str, "text"),
    (int | None, None),
    (list[str], ["a", "b"]),
    (list[list[int]], [[1], [2, 3]]),
    (dict[str, int], {"a": 1, "b c": 2}),
    (dict[str, list[Point]], {"p": [{"x": 1, "y": 2}]}),
    (tuple[int, str], [1, "x"]),
    (set[int], [1, 2]),
    (Point, {"x": 1.5, "y": -2}),
    (list[Point], [{"x": 0, "y": 0}, {"x": 1, "y": 1}]),
    (Point | None, {"x": 1, "y": 2}),
    (Pet, {"kind": "dog", "tricks": ["sit"]}),
    (list[Pet], [{"kind": "cat", "lives": 9}]),
    (Node, {"name": "a", "children": [{"name": "b", "children": []}]}),
    (Movie, {"title": "Alien", "year": 1979}),
    (bytes, "raw"),
    (Any, {"free": [1, None, True]}),
    (bool | int | None, False),
    (Annotated[float, Field(ge=-1, le=1)], -0.5),
]


class Aliased(BaseModel):
    total: int = Field(alias="totalAmount")


class Choices(BaseModel):
    name: str = Field(validation_alias=AliasChoices("name", "title"))


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class Checked(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def lower(cls, value: str) -> str:
        if value != value.lower():
            raise ValueError("must be in lower case")
        return value


class Totals(BaseModel):
    parts: list[int]
    total: int

    @model_validator(mode="after")
    def adds_up(self) -> Totals:
        if sum(self.parts) != self.total:
            raise ValueError("the parts do not add up")
        return self


class Derived(BaseModel):
    a: int

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def double(self) -> int:
        return 2 * self.a


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    day: dt.date
    n: int


class Tags(RootModel[list[str]]):
    pass


class Scores(RootModel[dict[str, float]]):
    pass


class Pets(RootModel[list[Pet]]):
    pass


class Line(BaseModel):
    name: str
    quantity: int = Field(gt=0)
    price: Decimal


class Invoice(BaseModel):
    number: str
    date: dt.date
    lines: list[Line]
    paid: bool = False
    note: str | None = None


class Deep(BaseModel):
    a: dict[str, list[dict[str, Point | None]]]


class Mutual(BaseModel):
    other: Mutual | None = None
    n: int = 0


BY_HAND: list[tuple[Any, Any]] = [
    (Aliased, {"totalAmount": 5}),
    (Choices, {"title": "x"}),
    (Closed, {"a": 1}),
    (Checked, {"text": "low"}),
    (Totals, {"parts": [1, 2], "total": 3}),
    (Derived, {"a": 2}),
    (Strict, {"day": "2024-01-01", "n": 1}),
    (Tags, ["a", "b"]),
    (Scores, {"a": 0.5}),
    (Pets, [{"kind": "cat", "lives": 1}, {"kind": "dog", "tricks": []}]),
    (Invoice, {"number": "A1", "date": "2024-03-01",
               "lines": [{"name": "pen", "quantity": 2, "price": "1.50"}], "paid": True,
               "note": None}),
    (Deep, {"a": {"k": [{"p": {"x": 1, "y": 2}, "q": None}]}}),
    (Mutual, {"other": {"other": {"other": None, "n": 3}, "n": 2}, "n": 1}),
    (Node, {"name": "r", "children": [{"name": "s", "children": [{"name": "t"}]}]}),
    (list[Invoice], [{"number": "A1", "date": "2024-03-01", "lines": []}]),
    (dict[str, Point], {"a": {"x": 1, "y": 2}}),
    (Movie, {"title": "Alien", "year": 1979}),
    (Cat | Dog, {"kind": "dog", "tricks": ["roll"]}),
    (list[int | str], [1, "a"]),
    (tuple[Point, Colour], [{"x": 1, "y": 2}, "blue"]),
]  # fmt: skip

SINGLE = [
    (create_model(f"Single{i}", value=(t, ...)), {"value": v}) for i, (t, v) in enumerate(FIELDS)
]
LISTED = [
    (
        create_model(f"Listed{i}", id=(int, ...), items=(list[t], ...), more=(t | None, None)),  # type: ignore[valid-type]  # made as it runs
        {"id": i, "items": [v, v]},
    )
    for i, (t, v) in enumerate(FIELDS)
]
SHAPES: list[tuple[Any, Any]] = [*SINGLE, *LISTED, *BY_HAND]


def pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _outside_strings(pattern: str, new: str, text: str) -> str:
    """Replace outside JSON strings."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    return "".join(p if i % 2 else re.sub(pattern, new, p) for i, p in enumerate(parts))


def _quoted(text: str) -> str:
    return re.sub(
        r'"((?:[^"\\]|\\.)*)"',
        lambda m: "'" + m[1].replace('\\"', '"').replace("'", "\\'") + "'",
        text,
    )


#: damage that leaves one meaning: the object must come out the same
SAFE: dict[str, Callable[[Any], str]] = {
    "fence": lambda v: f"```json\n{pretty(v)}\n```",
    "prose": lambda v: f"Sure {{as asked}}, here it is:\n\n{pretty(v)}\n\nI hope [that] helps!",
    "trailing commas": lambda v: _outside_strings(r"(\n\s*[}\]])", r",\1", pretty(v)),
    "single quotes": lambda v: _quoted(pretty(v)),
    "bare keys": lambda v: re.sub(r'(?m)^(\s*)"([A-Za-z_]\w*)":', r"\1\2:", pretty(v)),
    "comments": lambda v: "// the answer\n" + pretty(v).replace(",\n", ", // next\n") + " # done",
    "python": lambda v: repr(v),
    "line breaks": lambda v: pretty(v).replace("\\n", "\n"),
}
#: damage that does not: a fault with a place, never an object made up
UNSAFE: dict[str, Callable[[Any], str]] = {
    "cut off": lambda v: pretty(v)[:-1].rstrip(),
    "half": lambda v: pretty(v)[: len(pretty(v)) // 2],
    "doubled comma": lambda v: "[1,,2] " + pretty(v)[:-1] + ",,",
    "another type": lambda v: json.dumps([[[{"surprise": v}]]]),
}
