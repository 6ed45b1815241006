"""Which language a text is in: told by rules alone, or not told at all."""

from __future__ import annotations

import pytest

from reflectkit.verify._ifeval_language import detect
from reflectkit.verify._ifeval_profiles import PROFILES, SCRIPTS
from reflectkit.verify.ifeval import IFEval

#: One short text in each language that the data set asks for, and in some that look like them.
TEXTS = {
    "ar": "هذا هو الكتاب الذي كان على الطاولة في الصباح، وهو من أفضل الكتب.",
    "bg": "Това е една от книгите, които са на масата, но не е моята.",
    "bn": "এটি একটি সুন্দর বই এবং আমি এটি পড়তে ভালোবাসি।",
    "de": "Das ist eines der Bücher, die auf dem Tisch liegen, aber nicht meins.",
    "en": "This is one of the books that were on the table, but it is not mine.",
    "es": "Este es uno de los libros que están sobre la mesa, pero no es el mío.",
    "fa": "این یکی از کتاب‌هایی است که روی میز بود و من آن را دوست دارم.",
    "fi": "Tämä on yksi kirjoista, jotka olivat pöydällä, mutta se ei ole minun.",
    "fr": "C'est un des livres qui sont sur la table, mais ce n'est pas le mien.",
    "gu": "આ એક સુંદર પુસ્તક છે અને મને તે વાંચવું ગમે છે.",
    "hi": "यह उन किताबों में से एक है जो मेज पर थी, लेकिन वह मेरी नहीं है।",
    "it": "Questo è uno dei libri che sono sul tavolo, ma non è il mio.",
    "ja": "これは机の上にあった本の一冊ですが、私の本ではありません。",
    "kn": "ಇದು ಒಂದು ಸುಂದರ ಪುಸ್ತಕ ಮತ್ತು ನನಗೆ ಇದನ್ನು ಓದಲು ಇಷ್ಟ.",
    "ko": "이것은 탁자 위에 있던 책들 중 하나이지만 내 것은 아닙니다.",
    "mr": "हे टेबलावर असलेल्या पुस्तकांपैकी एक आहे, पण ते माझे नाही आणि मला ते आवडत नाही.",
    "ne": "यो टेबलमा भएको किताब मध्ये एक हो, तर यो मेरो होइन र मलाई मन पर्दैन।",
    "pa": "ਇਹ ਇੱਕ ਸੁੰਦਰ ਕਿਤਾਬ ਹੈ ਅਤੇ ਮੈਨੂੰ ਇਹ ਪੜ੍ਹਨਾ ਪਸੰਦ ਹੈ।",
    "pt": "Este é um dos livros que estão na mesa, mas não é o meu.",
    "ru": "Это одна из книг, которые были на столе, но она не моя.",
    "sw": "Hiki ni moja ya vitabu ambavyo vilikuwa kwenye meza, lakini si cha kwangu.",
    "ta": "இது ஒரு அழகான புத்தகம், இதைப் படிக்க எனக்குப் பிடிக்கும்.",
    "te": "ఇది ఒక అందమైన పుస్తకం మరియు నాకు దీన్ని చదవడం ఇష్టం.",
    "th": "นี่คือหนังสือเล่มหนึ่งที่อยู่บนโต๊ะ แต่ไม่ใช่ของฉัน",
    "uk": "Це одна з книг, що були на столі, але вона не моя, і я її не читав.",
    "ur": "یہ ان کتابوں میں سے ایک ہے جو میز پر تھی، لیکن وہ میری نہیں ہے۔",
    "vi": "Đây là một trong những cuốn sách ở trên bàn, nhưng không phải của tôi.",
    "zh": "这是桌子上的一本书，但不是我的。",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_sentence_is_enough(language: str) -> None:
    assert detect(TEXTS[language]) == language
    assert detect(TEXTS[language].upper()) == language


@pytest.mark.parametrize("language", TEXTS)
def test_only_the_right_language_passes(language: str) -> None:
    for asked in TEXTS:
        found = IFEval("language:response_language", language=asked).check(TEXTS[language])
        assert found.ok is (asked == language)
        assert bool(found.feedback) is (asked != language)


@pytest.mark.parametrize(
    "text", ["", "42", "...", "ok", "Berlin", "Paris, London, Tokyo", "x = y + 1", "xq zv wk " * 9]
)
def test_too_little_cannot_be_told(text: str) -> None:
    assert detect(text) is None
    check = IFEval("language:response_language", language="en")
    assert check.check(text or "-").ok is None


def test_neighbours_that_are_level_cannot_be_told() -> None:
    level = "og i det at en den til er som på de med han så"  # Danish and Norwegian
    assert detect(level) is None
    assert detect(f"{level} af og af ikke af nogen af dem hvad") == "da"
    assert detect(f"{level} av og av ikke av noen av dem hva") == "no"


def test_code_addresses_and_names_do_not_count() -> None:
    german = "Das ist der Code, den wir für die Aufgabe haben:"
    code = "```python\n" + "if this is not the same as that: return the and of\n" * 9 + "```"
    assert detect(f"{german}\n{code}") == "de"
    assert detect(f"{german} https://the.of/and-to-in-is-that-it") == "de"
    assert detect("Wir nutzen die New York Times und Google, aber das ist nicht alles.") == "de"


def test_mixed_scripts_need_a_leader() -> None:
    hindi = TEXTS["hi"]
    assert detect(f"{hindi} Python, JavaScript") == "hi"
    assert detect(TEXTS["ru"][:12] + TEXTS["th"][:12] + TEXTS["ko"][:12]) is None


def test_a_region_in_the_code_is_no_matter() -> None:
    assert IFEval("language:response_language", language="zh-cn").check(TEXTS["zh"]).ok is True


def test_profiles_are_of_known_scripts_and_lower_case() -> None:
    for profile in PROFILES.values():
        assert profile.script in SCRIPTS
        assert all(word == word.casefold() or "ß" in word for word in profile.words)
        assert len(profile.words) >= 25
