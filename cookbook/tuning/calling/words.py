"""Words and values: real English, made-up words, numbers, codes, and letters of many scripts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

#: lists of words by name, one a line
LISTS = dict(
    line.split(": ", 1)
    for line in Path(__file__).with_name("words.txt").read_text("utf-8").splitlines()
)


def _listed(name: str) -> list[str]:
    return LISTS[name].split()


#: what the standard tests of LangChain use is never drawn
HELD = (
    "magic", "get_weather", "adder", "unicode_customer", "greeting", "pirate", "cats", "joke",
    "punchline", "setup", "San Francisco", "sunny", "你好", "こんにちは", "株式会社",
)  # fmt: skip

NOUNS = _listed("nouns")
READ = _listed("read")
ACT = _listed("act")
ADJECTIVES = _listed("adjectives")
FILLERS = (
    "I am planning a trip.", "My {n} is {a}.", "We talked about the {n} yesterday.",
    "I am in a hurry.", "Good morning.", "Hi!", "Hello.", "Hey there,", "I have a question.",
    "The {n} in the {m} looks {a}.", "Thanks for your help so far.", "It is about my {n}.",
    "My {n} needs a {a} {m}.", "I just bought a {a} {n}.", "One more thing.", "OK.", "So,",
)  # fmt: skip
PLACES = ("North", "Port", "Fort", "New", "Lake", "Mount", "Saint", "East", "Upper", "Old")
ONSETS = _listed("onsets")
VOWELS = ["a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ea", "ee", "oo", "ou"]
CODAS = ["", "", "", "n", "r", "l", "s", "t", "m", "k", "nd", "st", "x", "sh", "ck", "rt"]
ACCENTED = "áàâäãåéèêëíìîïóòôöõøúùûüçñßšžčřłżğışæœ"
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
GREEK = "αβγδεζηθικλμνξοπρστυφχψω"


def invented(rng: random.Random, most: int = 3) -> str:
    """A word that sounds as if it were one."""
    count = rng.randint(1, most)
    parts = (rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(count))
    return "".join(parts)


def word(rng: random.Random) -> str:
    """A noun, real or made up."""
    return rng.choice(NOUNS) if rng.random() < 0.6 else invented(rng)


def sentence(rng: random.Random, short: int = 3, long: int = 8) -> str:
    """Words in a row, with a capital and a full stop."""
    words = [rng.choice((word(rng), rng.choice(ADJECTIVES), rng.choice(("the", "a", "is", "of",
             "and", "to", "in", "with", "for", "not", "it"))))
             for _ in range(rng.randint(short, long))]  # fmt: skip
    return " ".join(words).capitalize() + rng.choice("...!")


def filler(rng: random.Random) -> str:
    """Something said beside the point."""
    return rng.choice(FILLERS).format(n=rng.choice(NOUNS), m=rng.choice(NOUNS),
                                      a=rng.choice(ADJECTIVES))  # fmt: skip


# --- values --------------------------------------------------------------------------------------


def _range(first: int, last: int, sizes: tuple[int, int]) -> Callable[[random.Random], str]:
    def draw(rng: random.Random) -> str:
        return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(*sizes)))

    return draw


def _letters(alphabet: str) -> Callable[[random.Random], str]:
    def draw(rng: random.Random) -> str:
        words = ["".join(rng.choice(alphabet) for _ in range(rng.randint(3, 8)))
                 for _ in range(rng.choice((1, 1, 2)))]  # fmt: skip
        return " ".join(words).title()

    return draw


def accented(rng: random.Random) -> str:
    """A capitalised word with a letter or two that English lacks."""
    letters = list(invented(rng))
    for _ in range(rng.randint(1, 2)):
        letters[rng.randrange(len(letters))] = rng.choice(ACCENTED)
    return "".join(letters).capitalize()


SCRIPTS = (
    _range(0x4E00, 0x9FA5, (1, 4)), _range(0x4E00, 0x9FA5, (2, 6)), _range(0x3041, 0x3093, (2, 6)),
    _range(0x30A1, 0x30F3, (2, 6)), _range(0xAC00, 0xD7A3, (2, 4)), _letters(CYRILLIC),
    _letters(GREEK), accented, accented, _range(0x0621, 0x064A, (3, 8)),
    lambda rng: SCRIPTS[0](rng) + SCRIPTS[2](rng), lambda rng: SCRIPTS[3](rng) + SCRIPTS[0](rng),
)  # fmt: skip


def foreign(rng: random.Random) -> str:
    """A name in another script."""
    return rng.choice(SCRIPTS)(rng)


def proper(rng: random.Random) -> str:
    """A capitalised name of one word."""
    return invented(rng).capitalize() if rng.random() < 0.75 else rng.choice(NOUNS).capitalize()


def name(rng: random.Random) -> str:
    """A name of one to three words."""
    kinds: Sequence[Callable[[], str]] = (
        lambda: proper(rng), lambda: proper(rng), lambda: f"{proper(rng)} {proper(rng)}",
        lambda: f"{rng.choice(PLACES)} {proper(rng)}", lambda: foreign(rng),
        lambda: f"{proper(rng)}-{proper(rng)}",
        lambda: f"{proper(rng)} {proper(rng)} {proper(rng)}",
        lambda: f"{proper(rng)}'s" if rng.random() < 0.3 else proper(rng),
    )  # fmt: skip
    return rng.choice(kinds)()


def place(rng: random.Random) -> str:
    """A place, now and then with its region."""
    if rng.random() < 0.25:
        region = rng.choice(("".join(rng.choices("ABCDEFGHIKLMNOPRSTUVWXYZ", k=2)), proper(rng)))
        return f"{name(rng)}, {region}"
    return name(rng)


def phrase(rng: random.Random) -> str:
    """Some words, most of them small."""
    kinds: Sequence[Callable[[], str]] = (
        lambda: word(rng), lambda: invented(rng), lambda: f"{rng.choice(ADJECTIVES)} {word(rng)}s",
        lambda: f"{word(rng)} {word(rng)}", lambda: f"{rng.choice(ADJECTIVES)} {word(rng)}",
        lambda: f"{word(rng)} of {proper(rng)}", lambda: f"{invented(rng)} {invented(rng)}",
        lambda: " ".join(word(rng) for _ in range(rng.randint(3, 5))),
    )  # fmt: skip
    return rng.choice(kinds)()


def code(rng: random.Random) -> str:
    """An identifier."""
    big, small, digits = "ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"

    def some(letters: str, n: int) -> str:
        return "".join(rng.choices(letters, k=n))

    kinds: Sequence[Callable[[], str]] = (
        lambda: f"{some(big, rng.randint(1, 3))}-{some(digits, rng.randint(1, 5))}",
        lambda: some(big + digits, rng.randint(3, 8)), lambda: some(small + digits, 6),
        lambda: f"{some(small, 3)}_{some(digits, 3)}", lambda: some("0123456789abcdef", 8),
        lambda: f"{some(big, 2)}{some(digits, 4)}/{some(digits, 2)}",
        lambda: f"{invented(rng)}.{rng.choice(('txt', 'py', 'pdf', 'csv', 'md'))}",
    )  # fmt: skip
    return rng.choice(kinds)()


def email(rng: random.Random) -> str:
    host = f"{invented(rng, 2)}.{rng.choice(('com', 'org', 'net', 'io', 'de', 'example'))}"
    return f"{invented(rng, 2)}{rng.choice(('', '.', '_'))}{invented(rng, 2)}@{host}"


def url(rng: random.Random) -> str:
    return f"https://{invented(rng, 2)}.{rng.choice(('com', 'org', 'net'))}/{invented(rng, 2)}"


def date(rng: random.Random) -> str:
    year, month, day = rng.randint(1950, 2049), rng.randint(1, 12), rng.randint(1, 28)
    months = "January February March April May June July August September October November December"
    return rng.choice((f"{year}-{month:02}-{day:02}", f"{year}-{month:02}-{day:02}",
                       f"{day} {months.split()[month - 1]} {year}", f"{day:02}.{month:02}.{year}",
                       f"{months.split()[month - 1]} {day}"))  # fmt: skip


def clock(rng: random.Random) -> str:
    hour, minute = rng.randint(1, 23), rng.randint(0, 59)
    return rng.choice((f"{hour:02}:{minute:02}", f"{hour}:{minute:02}",
                       f"{1 + hour % 12} {rng.choice(('am', 'pm'))}"))  # fmt: skip


def whole(rng: random.Random) -> str:
    """An integer of any length, short ones more often."""
    size = rng.choice((1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6))
    number = rng.randint(10 ** (size - 1), 10**size - 1) if size > 1 else rng.randint(0, 9)
    return f"-{number}" if number and rng.random() < 0.08 else str(number)


def decimal(rng: random.Random) -> str:
    """A number that may have a fraction."""
    if rng.random() < 0.4:
        return whole(rng)
    return f"{whole(rng)}.{rng.randint(1, 10 ** rng.randint(1, 3) - 1)}"


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "name": name, "place": place, "phrase": phrase, "text": sentence, "code": code,
    "email": email, "url": url, "date": date, "clock": clock, "foreign": foreign,
}  # fmt: skip
