"""Chains of equal expressions (``2 * 3 + 1 = 6 + 1 = 7``) found in tokens, and their values.

What might mean something else is marked as doubtful, and what cannot be read is left out: a wrong
reading of right arithmetic is worse than a wrong statement that is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from ..values.units import CURRENCIES, SCALES, UNITS, singular
from ._lex import Token
from ._segment import Segment

__all__ = ["chains"]

_BEGINS: Final = ("number", "open", "mark")
_UNIT_WORDS: Final = 3

_SAID: Final = {"plus": "+", "minus": "-", "times": "*"}
_SAID_BY: Final = {"divided": "/", "multiplied": "*"}
_EQUALS: Final = {"is", "equals", "gives", "makes"}
_ABOUT: Final = {"about", "approximately", "roughly", "around", "nearly", "almost"}
_FILLERS: Final = _ABOUT | {"exactly", "only", "just", "equal", "to", "still", "now"}
#: Words that cannot be part of a unit between a number and an operator.
_NO_UNIT: Final = _EQUALS | {
    *_SAID, *_SAID_BY, "of", "and", "or", "so", "then", "which", "that", "are", "was", "were",
    "has", "have", "had", "because", "since", "with", "for", "if", "but", "gets", "he", "she",
    "they", "it", "we", "from", "per", "every", "each", "than", "am", "pm", "percent",
    "mod", "remainder", "to",
}  # fmt: skip
#: Words before an expression that take part in it.
_TAKES_PART: Final = {
    *_SAID, *_SAID_BY, "of", "by", "half", "twice", "double", "triple", "square", "squared",
    "root", "sum", "difference", "product", "average", "mean", "over", "than", "and", "to",
    "from", "add", "subtract", "adding", "subtracting", "per", "third", "quarter", "minus",
    "negative", "log", "sin", "cos", "factorial", "mod", "modulo", "percent", *SCALES,
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
}  # fmt: skip
#: Labels that a number and a dash may follow: ``Day 2 - 3 + 4 = 7``.
_LABELS: Final = {
    "step", "day", "week", "part", "case", "example", "question", "line", "option", "number", "no",
    "equation", "month", "year", "chapter", "page", "round", "stage", "item", "problem", "method",
}  # fmt: skip
#: Words after a result that change what it says.
_CHANGES: Final = {
    *_SAID, *_SAID_BY, *SCALES, "more", "less", "fewer", "remainder", "r", "tens", "ones",
    "hundreds", "thousands", "tenths", "hundredths", "half", "halves", "third", "thirds",
    "quarter", "quarters", "fourths", "fifths", "mod", "factorial", "over", "squared", "cubed",
    "degrees", "base", "hundredth", "tenth", "thousandths", "millions", "point",
}  # fmt: skip
#: ``a total of 3 + 4 = 7``: nothing is multiplied.
_AMOUNTS: Final = {
    "total", "cost", "price", "amount", "profit", "sum", "score", "distance", "weight", "payment",
}  # fmt: skip


def chains(tokens: Iterable[Token]) -> Iterator[list[Segment]]:
    """Every chain of two or more segments, in order."""
    reader = _Reader(list(tokens))
    while reader.at < len(reader.tokens):
        if (found := reader.step()) is not None:
            yield found
    if (found := reader.flush(None)) is not None:
        yield found


class _Reader:
    """Reads one token after the other: an operand is wanted, or an operator."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self._done: list[Segment] = []
        self._now = Segment()
        self._opens: list[int] = []
        self._wants_operand = True
        self._unclean = False
        self._dangling = False  # an operator whose operand could not be read: 25 pupils + his 1 ...

    def step(self) -> list[Segment] | None:
        token = self.tokens[self.at]
        if token.kind == "mark":
            self._now.units.add(CURRENCIES.get(token.text, token.text))
            self.at += 1
            return None
        read = self._operand if self._wants_operand else self._operator
        if read(token):
            return None
        begun = bool(self._now.tokens or self._done)
        found = self.flush(token)
        # What cannot go on may begin anew: it is looked at once more, as an operand.
        self.at += not begun
        return found

    def _peek(self, by: int = 1) -> Token | None:
        at = self.at + by
        return self.tokens[at] if at < len(self.tokens) else None

    def _push(self, token: Token, *, operand: bool) -> bool:
        if not self._now.tokens and not self._done:
            self._look_back(token)
        self._now.tokens.append(token)
        self._wants_operand = operand
        self.at += 1
        return True

    def _look_back(self, token: Token) -> None:
        """What stands before a chain may take part in it."""
        last = self.tokens[self.at - 1] if self.at else None
        if last is None:
            return
        if last.kind == "mark" and self.at > 1:
            last = self.tokens[self.at - 2]
        if last.kind == "bad" or (last.kind == "word" and last.end == token.start):
            self._unclean = True
        if last.kind == "word":
            word = last.text.lower()
            following = self._peek()
            label = word in _LABELS and following is not None and following.text == "-"
            # a lone letter may be a variable, and a sign after a word an operator
            sign = token.text == "neg" or (len(word) == 1 and word not in "ai")
            takes_part = word in _TAKES_PART and not self._stands_apart(word)
            self._now.doubtful = takes_part or label or sign

    def _stands_apart(self, word: str) -> bool:
        """``..., and 3 + 4 = 7``, ``... = 7 and 3 + 4 = 7``, ``a total of 3 + 4 = 7``."""
        before = [t for t in self.tokens[max(0, self.at - 4) : self.at - 1] if t.kind != "mark"]
        if word == "of":
            return bool(before) and before[-1].text.lower() in _AMOUNTS
        kinds = [t.kind for t in before[-2:]]
        return word == "and" and (kinds[-1:] == ["end"] or kinds == ["equals", "number"])

    # An operand is wanted.

    def _operand(self, token: Token) -> bool:
        if token.kind == "number":
            return self._number(token)
        if token.kind == "open":
            if self._is_call(token):
                return False
            self._opens.append(len(self._now.tokens))
            return self._push(token, operand=True)
        if token.kind == "op" and token.text == "-":
            return self._negative(token)
        if token.kind == "op" and not self._now.tokens and self._is_decoration(token):
            self.at += 1
            return True
        if token.kind == "word" and self._done and not self._now.tokens:
            word = token.text.lower()
            self._now.about |= word in _ABOUT
            self.at += word in _FILLERS
            return word in _FILLERS
        return False

    def _is_call(self, token: Token) -> bool:
        last = self.tokens[self.at - 1] if self.at else None
        return last is not None and last.kind == "word" and last.end == token.start

    def _is_decoration(self, token: Token) -> bool:
        """Stars before a number, as in ``= **7**``: emphasis."""
        following = self._peek()
        glued = following is not None and following.start == token.end
        last = self.tokens[self.at - 1] if self.at else None
        apart = last is None or last.end < token.start or last.kind in ("end", "mark")
        stars = token.text == "*" or (token.text == "^" and token.end - token.start == 2)
        return stars and glued and (apart or bool(self._done))

    def _negative(self, token: Token) -> bool:
        following = self._peek()
        if following is None or following.start != token.end:
            return False
        if following.kind not in _BEGINS:
            return False
        return self._push(Token("op", "neg", token.start, token.end), operand=True)

    def _number(self, token: Token) -> bool:
        self._push(token, operand=False)
        slash, below = self._peek(0), self._peek()
        following = self._peek(0)
        if following is None or following.kind not in ("number", "word"):
            return True
        if following.kind == "number":  # two and a half: 2 1/2, or 2½
            slash, below = self._peek(1), self._peek(2)
            if following.value.denominator > 1:
                self._mixed(token, following.value, 1, following.end)
            elif (
                _is_slash(slash, following) and below is not None and below.value > following.value
            ):
                self._mixed(token, following.value / below.value, 3, below.end)
        elif following.start == token.end:
            self._glued(token, following)
        return True

    def _mixed(self, token: Token, fraction: Fraction, width: int, end: int) -> None:
        whole = Token("number", token.text, token.start, end, token.value + fraction)
        self._now.tokens[-1] = whole
        self._now.doubtful = True
        self.at += width

    def _glued(self, number: Token, word: Token) -> None:
        """Letters that touch a number: a unit (``5kg``), or something else (``3x``, ``5th``)."""
        name = singular(word.text)
        if name in UNITS or (len(name) > 2 and name.isalpha() and name not in SCALES):
            self._now.units.add(name)
            self._now.doubtful |= len(name) == 1 or word.text[0].isupper()
            self.at += 1
        else:
            self.tokens[self.at] = Token("bad", word.text, word.start, word.end)

    # An operator is wanted.

    def _operator(self, token: Token) -> bool:
        if token.kind in ("op", "times"):
            return self._operation(token)
        if token.kind in ("equals", "about"):
            return self._equals(token.kind == "about")
        if token.kind == "percent":
            return self._percent(token)
        if token.kind == "close":
            if not self._opens:
                return False
            self._opens.pop()
            return self._push(token, operand=False)
        if token.kind == "open":
            return self._product(token)
        if token.kind == "per":
            return self._rate()
        return token.kind == "word" and self._word(token)

    def _operation(self, token: Token) -> bool:
        if token.text == "^" and not self._is_power(token):
            return False
        if token.text == "/":  # 27/3/4 may be 27 by three quarters
            signs = [t.text for t in self._now.tokens[-4:] if t.kind in ("op", "open")]
            self._now.doubtful |= signs[-1:] == ["/"]
        text = "*" if token.kind == "times" else token.text
        return self._push(Token("op", text, token.start, token.end), operand=True)

    def _is_power(self, token: Token) -> bool:
        """Two stars with a blank on one side only are emphasis."""
        following = self._peek()
        if following is None or not (following.kind in _BEGINS or following.text == "-"):
            return False
        before, after = token.start - self._now.end, following.start - token.end
        return (before == 0) == (after == 0)

    def _percent(self, token: Token) -> bool:
        if self._now.tokens[-1].kind == "percent":
            return False
        return self._push(token, operand=False)

    def _product(self, token: Token) -> bool:
        """``2(3 + 4)``; with a blank before the bracket it is a remark."""
        last = self._now.tokens[-1]
        if last.end != token.start or last.kind not in ("number", "close"):
            return False
        # 1\frac{1}{4} is one and a quarter, or a product
        self._now.doubtful |= token.text == "frac" or any(t.text == "/" for t in self._now.tokens)
        self._now.tokens.append(Token("op", "*", token.start, token.start))
        self._opens.append(len(self._now.tokens))
        return self._push(token, operand=True)

    def _rate(self) -> bool:
        """``$5/hour``: a unit."""
        word = self._peek()
        self._now.units.add(f"/{singular(word.text)}" if word else "/")
        self.at += 2
        return True

    def _word(self, token: Token) -> bool:
        word, following = token.text.lower(), self._peek()
        if following is None:
            return False
        if word in _EQUALS:
            return (
                self._now.operates
                and not self._now.is_fraction
                and not self._opens
                and self._says_equal(following)
            )
        if word in _SAID and following.kind in _BEGINS:
            return self._spoken(token, _SAID[word], 0)
        if word in _SAID_BY and following.text.lower() == "by":
            return self._spoken(token, _SAID_BY[word], 1)
        if word == "of" and self._is_share() and following.kind in _BEGINS:
            return self._spoken(token, "*", 0)
        if word == "percent":
            return self._percent(Token("percent", token.text, token.start, token.end))
        return self._unit()

    def _spoken(self, token: Token, sign: str, skipped: int) -> bool:
        self._now.said += token.text.lower() != "of"
        self._now.doubtful |= self._now.said > 1
        self.at += skipped
        return self._push(Token("op", sign, token.start, token.end), operand=True)

    def _says_equal(self, following: Token) -> bool:
        at = 1
        while following.kind == "word" and following.text.lower() in _FILLERS:
            at += 1
            if (ahead := self._peek(at)) is None:
                return False
            following = ahead
        is_number = following.kind in ("number", "mark") or following.text == "-"
        return is_number and self._equals(False)

    def _is_share(self) -> bool:
        """Twenty percent, or a fraction: what ``of`` may follow."""
        last = self._now.tokens[-3:]
        texts = [t.text for t in last]
        return last[-1].kind == "percent" or last[-1].value.denominator > 1 or "/" in texts

    def _unit(self) -> bool:
        """Up to three words between a number and what goes on with it."""
        names: list[str] = []
        while (token := self._peek(len(names))) is not None and token.kind == "word":
            if not _names_unit(token.text) or len(names) == _UNIT_WORDS:
                break
            names.append(singular(token.text))
        token = self._peek(len(names))
        if names and self.tokens[self.at].start == self._now.end:
            self._now.doubtful = True  # (3/2)x
        if not names or token is None or not self._goes_on(token):
            return False
        self._now.units.update(names)
        self._now.doubtful |= any(n in SCALES or len(n) == 1 for n in names)
        # 2 pages/15 minutes: a rate, or a division
        self._now.doubtful |= token.text == "/" and self.tokens[self.at].start < token.start == (
            self.tokens[self.at + len(names) - 1].end
        )
        self.at += len(names)
        return True

    def _goes_on(self, token: Token) -> bool:
        said = token.kind == "word" and token.text.lower() in _EQUALS | set(_SAID)
        if token.kind == "op" and token.text == "-" and (after := self._after(token)):
            return after.kind in _BEGINS
        return said or token.kind in ("op", "equals", "about", "close", "times", "per")

    def _after(self, token: Token) -> Token | None:
        at = self.at
        while at < len(self.tokens) and self.tokens[at].start <= token.start:
            at += 1
        return self.tokens[at] if at < len(self.tokens) else None

    def _equals(self, about: bool) -> bool:
        if self._opens:  # (3 + 4 = 7): the bracket stands around the statement
            cut = self._opens[-1] + 1
            self._now.tokens = self._now.tokens[cut:]
            self._done.clear()
            self._unclean = False
            if not self._now.tokens:
                return False
        self._opens.clear()
        self._done.append(self._now)
        self._now = Segment(about=about)
        self._wants_operand = True
        self.at += 1
        return True

    def flush(self, token: Token | None) -> list[Segment] | None:
        """End the chain before ``token``. The chain, if there is one that can be read."""
        done, now = self._done, self._now
        if self._finished(now, token):
            self._remark(now, token)
            done = [*done, now]
        unclean, self._unclean = self._unclean or self._dangling, bool(now.tokens) or _taints(token)
        hangs = bool(now.tokens) and now.tokens[-1].kind == "op" and now.tokens[-1].text != "-"
        self._dangling = hangs or (self._dangling and token is not None and token.kind != "end")
        self._done, self._now, self._opens, self._wants_operand = [], Segment(), [], True
        if unclean and done:
            done = done[1:]
        return done if len(done) > 1 else None

    def _finished(self, now: Segment, token: Token | None) -> bool:
        """Whether the last segment is whole; a dash before a remark is taken off."""
        glued = token is not None and bool(now.tokens) and token.start == now.end
        if not now.tokens or self._opens or (glued and token is not None and token.kind == "bad"):
            return False
        if not self._wants_operand:
            return True
        dash = now.tokens[-1]
        remark = token is not None and token.kind in ("word", "end") and len(token.text) != 1
        if dash.text != "-" or not remark or dash.end == (token.start if token else 0):
            return False
        now.tokens.pop()
        return bool(now.tokens)

    def _blank_after(self, token: Token) -> bool:
        following = self._peek()
        return following is None or following.start > token.end

    def _counts(self) -> bool:
        """``= 3 of 4``, unlike ``= 3 of them``."""
        following = self._peek()
        return following is not None and following.kind != "word"

    def _remark(self, now: Segment, token: Token | None) -> None:
        """Words after a result: its unit, or something that changes it."""
        if token is not None:  # 7 (3 + 4) may be a product, and 1:3 a ratio
            ratio = token.text == ":" and token.start == now.end and not self._blank_after(token)
            now.doubtful |= token.kind in ("open", "bad") or ratio
        for i in range(_UNIT_WORDS):
            word = self._peek(i)
            if word is None or word.kind != "word" or token is None:
                return
            name = word.text.lower()
            now.doubtful |= (i == 0 and name == "of" and self._counts()) or (
                i < 2 and (name in _CHANGES or singular(name) in SCALES)
            )
            if singular(name) in UNITS:
                now.units.add(singular(name))


def _names_unit(word: str) -> bool:
    return word.lower() not in _NO_UNIT and not any(c.isdigit() or c == "_" for c in word)


def _taints(token: Token | None) -> bool:
    return token is not None and token.kind in ("bad", "op", "number", "times", "percent")


def _is_slash(slash: Token | None, above: Token) -> bool:
    return slash is not None and slash.text == "/" and slash.start == above.end
