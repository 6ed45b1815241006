"""What languages look like: the scripts that belong to one, and frequent words of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = ["PROFILES", "SCRIPTS", "Profile"]

#: Script -> ranges of its letters, and the language if it is (nearly) the only one written in it.
SCRIPTS: Final[dict[str, tuple[str, str]]] = {
    "latin": (r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff", ""),
    "cyrillic": (r"\u0400-\u052f", ""),
    "arabic": (r"\u0620-\u064a\u066e-\u06d5\u06fa-\u06ff\u0750-\u077f\ufb50-\ufefc", ""),
    "devanagari": (r"\u0900-\u0963\u0971-\u097f", ""),
    "han": (r"\u3400-\u4dbf\u4e00-\u9fff", "zh"),
    "kana": (r"\u3041-\u30ff", "ja"),
    "hangul": (r"\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e", "ko"),
    "greek": (r"\u0370-\u03ff\u1f00-\u1fff", "el"),
    "hebrew": (r"\u05d0-\u05ea", "he"),
    "bengali": (r"\u0980-\u09e3\u09f0-\u09ff", "bn"),
    "gurmukhi": (r"\u0a00-\u0a65\u0a70-\u0a7f", "pa"),
    "gujarati": (r"\u0a80-\u0ae5\u0af0-\u0aff", "gu"),
    "tamil": (r"\u0b80-\u0be5", "ta"),
    "telugu": (r"\u0c00-\u0c65", "te"),
    "kannada": (r"\u0c80-\u0ce5", "kn"),
    "malayalam": (r"\u0d00-\u0d65\u0d7a-\u0d7f", "ml"),
    "thai": (r"\u0e00-\u0e4e", "th"),
    "georgian": (r"\u10a0-\u10ff", "ka"),
    "armenian": (r"\u0530-\u058f", "hy"),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """``words`` are frequent ones; ``marks`` are pieces of words that neighbours do not have."""

    script: str
    words: frozenset[str] = field(repr=False)
    marks: tuple[str, ...] = ()


def _profile(script: str, words: str, marks: str = "") -> Profile:
    return Profile(script, frozenset(words.split()), tuple(marks.split()))


#: By ISO 639-1 code.
PROFILES: Final[dict[str, Profile]] = {
    "en": _profile(
        "latin",
        "the of and to a in is that it for was on are as with his they at be this have from or had "
        "by but not what all were we when your can said there use an each which she do how their "
        "if will up other about out many then them these so some her would make like him into has "
        "look two more go see no could my than been who its now did get may over only our after i "
        "you me he am because please should here where just also very one any",
        "tion ing",
    ),
    "es": _profile(
        "latin",
        "el la los las de del que y en un una por con para no se su al lo como más pero sus le ya "
        "o este esta sí porque entre cuando muy sin sobre también me hasta hay donde quien desde "
        "todo nos durante todos uno les ni contra otros ese eso mi es son fue ser está están era "
        "tiene puede",
        "ción ñ ¿ ¡",
    ),
    "pt": _profile(
        "latin",
        "o a os as de do da dos das que e em um uma por com para não se na no nas nos ao à mais "
        "mas como seu sua ou ser quando muito há já está eu também só pelo pela até isso ela entre "
        "era depois sem mesmo aos seus quem me esse eles você foi são é tem uns meu minha pode",
        "ção ções ão õe",
    ),
    "fr": _profile(
        "latin",
        "le la les de des du un une et à en que qui dans pour pas sur au aux avec ce cette ces son "
        "sa ses se il elle nous vous ils elles est sont était être avoir ne plus par ou mais comme "
        "tout faire leur leurs si on même je tu mon votre notre aussi très où sans peut",
        "qu' l' d' c' œ ê",
    ),
    "de": _profile(
        "latin",
        "der die das und in den von zu mit sich des auf für ist im dem nicht ein eine als auch es "
        "an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so "
        "zum war haben nur oder aber vor zur bis mehr durch man sein wurde wenn ich du wir ihr mir "
        "kann ihre keine",
        "ß sch ung keit",
    ),
    "it": _profile(
        "latin",
        "il lo la i gli le di del della dei delle che e è a in un una per con non si sono da come "
        "più ma anche al alla nel nella su dal dalla questo questa se ci suo sua ha hanno essere o "
        "tutto molto quando io mi ti ne loro cui perché così era stato degli può",
        "zione zioni tà ggi dell' l'",
    ),
    "nl": _profile(
        "latin",
        "de het een en van ik te dat die in is niet op zijn met voor er aan ook maar als dan bij "
        "nog uit naar heeft hij ze wij je worden wordt kan deze dit om door over of geen meer haar "
        "hun was werd zou moet u",
        "ij aa oe sch",
    ),
    "sv": _profile(
        "latin",
        "och att det i en jag hon som han på den med var sig för så till är men ett om hade de av "
        "icke mig du henne då sin nu har inte hans honom skulle hennes där min man ej vid kunde "
        "något från ut när efter upp vi dem vara vad över än kan eller",
        "ä ö å ck",
    ),
    "da": _profile(
        "latin",
        "og i jeg det at en den til er som på de med han af for ikke der var mig sig men et har om "
        "vi min havde ham hun nu over da fra du ud sin dem os op man hans hvor eller hvad skal "
        "selv her alle vil blev kunne ind når være",
        "æ ø å hv",
    ),
    "no": _profile(
        "latin",
        "og i jeg det at en et den til er som på de med han av ikke der så var meg seg men ett har "
        "om vi min mitt ha hadde hun nå over da ved fra du ut sin dem oss opp man kan hans hvor "
        "eller hva skal selv her alle vil ble kunne inn når være",
        "ø å øy hv",
    ),
    "pl": _profile(
        "latin",
        "i w nie na się z do to że jest o jak za od po co a dla jego przez jej czy tak ale ich "
        "tym są był było być może już tylko ten ta te oraz które który która przed bardzo lub ma "
        "jeśli pod tego",
        "ł ż ą ę ś ć ń sz cz rz",
    ),
    "cs": _profile(
        "latin",
        "a v se na je že to s z do o i pro za ve k by ale jako po si od jeho tak však nebo byl jen "
        "která které který jsou jsem není pokud má být až už ne této tento při také",
        "ř ě ů č š ž ý",
    ),
    "ro": _profile(
        "latin",
        "și de în a la cu pe nu este un o care că din să mai se pentru au ca dar fi sau lui cel "
        "cea sunt ce ei am fost prin după până acest această ne vă am îi le",
        "ă ț ș î ţ ş",
    ),
    "hu": _profile(
        "latin",
        "a az és hogy nem is egy ez azt meg de volt ha csak van már el mint vagy kell még fel ki "
        "lesz minden most ezt lehet be pedig nagyon ami aki",
        "ő ű gy sz ö",
    ),
    "fi": _profile(
        "latin",
        "ja on ei se että hän oli en ole mutta joka kun niin tämä ne olen sen jos kuin minä sitä "
        "ovat hänen myös tai mitä vain nyt sinä me te he jotka jo ollut voi ovat olla siitä tässä "
        "oma sekä kanssa hyvin voit",
        "ää yy uu ii aa ssa ssä lla llä sta stä",
    ),
    "tr": _profile(
        "latin",
        "ve bir bu da de için ile çok ne o daha gibi kadar olarak en ama var olan ben sen biz ise "
        "değil her mi ki sonra kendi şey diye oldu olduğu veya yok bunu",
        "ı ğ ş lar ler",
    ),
    "vi": _profile(
        "latin",
        "là và của có không được các một cho trong những này với người đã để khi tôi đến nhưng như "
        "về từ ra cũng ở làm nhiều hơn sẽ vào đó nếu bạn anh em chúng rất thể phải ta lại năm trên",
        "ư ơ đ ạ ả ấ ầ ậ ắ ặ ẹ ế ề ệ ị ọ ố ồ ộ ớ ờ ợ ụ ứ ừ ự ỏ",
    ),
    "id": _profile(
        "latin",
        "yang dan di ini itu dengan untuk dari dalam tidak akan pada ke juga saya ada oleh adalah "
        "mereka bisa kami atau karena sudah anda kita seperti lebih dia tersebut telah dapat bahwa "
        "satu saat hanya kepada",
        "nya kan meng",
    ),
    "sw": _profile(
        "latin",
        "na ya wa kwa ni la katika za cha kuwa hii hiyo kama yake lakini au vya si huo hilo pia "
        "watu mtu wakati sana kila huu mimi wewe yeye sisi wao yangu yako wetu hapa baada bila "
        "kutoka hadi ili nini tu bado tena siku moja ambayo ambao haya hizi hizo zaidi kabla",
        "wana kuna mwa nya kwe",
    ),
    "ru": _profile(
        "cyrillic",
        "и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой что "
        "весь год от так о для ты же все тот мочь вы человек такой его только или ещё бы себя один "
        "как уже до как если её их при был была было были есть чтобы",
        "ы э ё ого ться",
    ),
    "uk": _profile(
        "cyrillic",
        "і в не на я що з до це він а як та у за по від його але вони ми ви для так або її їх про "
        "бути є був була було були цей ця які який яка якщо ще вже тільки після при щоб",
        "і ї є ґ",
    ),
    "bg": _profile(
        "cyrillic",
        "и на да в се не е от за с по че са си към като това до ще но от един една как или той тя "
        "които който която му им беше има само може още бъде след при ли ми аз вие ние те тези "
        "този тази много през е също",
        "ът ъ ята ите ието",
    ),
    "sr": _profile(
        "cyrillic",
        "и у је да се на су за од са који која које као али није не то или што биo био била сам "
        "смо сте по из до ако може он она ово овај",
        "ј љ њ ћ ђ џ",
    ),
    "ar": _profile(
        "arabic",
        "في من على أن إلى التي الذي هذا هذه عن مع كان كانت ما لا هو هي بعد قد كل لم بين أو ذلك عند "
        "كما إن ثم حتى إذا لكن غير أي هناك نحن أنا أنت يمكن يكون تكون و",
        "ة إ أ ؤ ى",
    ),
    "fa": _profile(
        "arabic",
        "و در به از که این را با است برای آن یک خود تا کرد بر هم نیز گفت می شود شد ها اما یا شما "
        "من ما هر بود باید دارد کند اند او آنها های شده نمی همه پس اگر چه کنید",
        "پ چ ژ گ می‌ ها",
    ),
    "ur": _profile(
        "arabic",
        "کے کی میں ہے کا اور سے کو ہیں نے پر یہ اس کہ کر بھی نہیں ایک تھا جو تو ہو وہ ہی لیے گیا "
        "تھے آپ کیا ان تھی ہوئے رہے کرنے لئے یا ساتھ جا دیا کوئی",
        "ے ٹ ڈ ڑ ں ھ ہ",
    ),
    "hi": _profile(
        "devanagari",
        "है हैं के का की में और से को पर यह नहीं एक कि था थे थी हो ने लिए भी जो तो कर इस वह ही गया "
        "साथ होता करने अपने कुछ हम आप मैं या जा रहा रहे रही किया दिया ये उन उस हुए वे सकते कोई "
        "बहुत ड़ ढ़ ों",
    ),
    "mr": _profile(
        "devanagari",
        "आहे आहेत आणि या हे ही ते होते होता होती नाही मी तो तर पण की व हा त्या मला काही असे किंवा "
        "केले केला त्याच्या आपल्या आपण तुम्ही झाले झाला असते करून एक जे ती अशा सर्व खूप",
        "ळ च्या मध्ये ांना साठी ण्या ाचा ाची ाचे",
    ),
    "ne": _profile(
        "devanagari",
        "छ छन् र यो हो पनि लागि थियो थिए गर्न गरेको भएको भने तर हुन् हुन्छ छैन तपाईं म मा को का की "
        "गर्ने गरे भयो यस त्यो एक हामी हाम्रो धेरै नै ले वा गर्नुहोस् सबै",
        "हरू हरु लाई ेको न्छ गर्",
    ),
}
