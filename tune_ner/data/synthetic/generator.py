"""Synthetic Swedish patient information, annotated as it is written.

A sentence is made by rewriting: one of the sentence templates is drawn, each of its slots `<name>` is
replaced by a drawn alternative of that name in `GRAMMAR`, and so on until no slot is left. Templates mark
entities in the notation of the published corpus of 1177 Vårdguiden, `(disorder)`, `[drug]` and `{body}`; the
marks become spans and leave no trace in the text. Word lists carry no marks, so that one and the same word
can be drawn into a marked and an unmarked place.

What makes the task more than a dictionary:

- compounds and inflection keep producing forms that were not seen before;
- words with an everyday sense too (`lever`, `slag`, `tablett`) occur in either;
- `blåsa` and the hormones are of one type or another by context;
- drugs, and the generic words `medicinen` and `läkemedlet`, are entities where somebody takes them or is
  treated with them, not where they are goods that are sold, stored or described.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from random import Random

from tune_ner.data.corpus import BODY, DISORDER, DRUG, MEDICAL_TYPES, Corpus, Sentence, Span
from tune_ner.data.synthetic import lexicon
from tune_ner.errors import DataError

# ---- phrases with entities; an alternative that is repeated is drawn more often

_PHRASES: dict[str, tuple[str, ...]] = {
    "disease": (
        *("(<condition>)",) * 9,
        *("(<illness>)",) * 3,
        *("(<disorder term>)",) * 3,
        "(kronisk <illness.en>)",
        "(akut <illness.en>)",
        "(<injury.pl>)",
        "(<finding.pl>)",
        "(<finding.pl>)",
    ),
    "a finding": (
        *("en (<finding.en>)", "en <mild en> (<finding.en>)") * 3,
        *("ett (<finding.ett>)", "ett <mild ett> (<finding.ett>)"),
        *("en (<injury.en>)", "en <mild en> (<injury.en>)", "ett (<injury.ett>)"),
    ),
    "symptom": (
        *("<disease>",) * 4,
        *("<a finding>",) * 3,
        "(ont i <limb.def>)",
        "(ont i <organ.def>)",
        "(svullnad i <limb.def>)",
    ),
    "the disorder": (
        *("(<condition.def>)",) * 5,
        *("(<finding.def>)",) * 2,
        *("(<illness.def>)", "(<injury.def>)", "(<injury.defpl>)"),
    ),
    "drug": (
        *("[<common substance>]",) * 7,
        *("[<substance>]",) * 3,
        *("[<preparation.pl>]",) * 3,
        *("[<drug class.pl>]",) * 2,
        *("[<effect> <drug head>]",) * 2,
        "[<hormone>]",
        "[<effect> tabletter med <substance>]",
    ),
    "the drug": (
        *("[<generic>]",) * 3,
        *("[<preparation.def>]", "[<preparation.defpl>]", "[<drug class.defpl>]", "[<common substance>]"),
    ),
    "generic": (*("medicinen", "läkemedlet") * 2, "medicinerna", "läkemedlen", "tabletterna"),
    "ware": ("<common substance>", "<common substance>", "<substance>", "<preparation.pl>", "<vaccine>"),
    "the part": (
        *("{<organ.def>}",) * 4,
        *("{<limb.def>}",) * 3,
        *("{<tissue.defpl>}", "{<organ.defpl>}", "{<limb.defpl>}", "{<body term>}"),
        *("{vänster <paired>}", "{höger <paired>}"),
    ),
    "a limb": (*("{<limb.def>}",) * 3, "{vänster <paired>}", "{höger <paired>}"),
    "opening": ("ögat", "ögonen", "örat", "öronen", "näsan", "munnen", "halsen"),
    "the inside": (
        *("{<organ.def>}",) * 4,
        *("{<tissue.defpl>}", "{<organ.defpl>}", "{<tissue.def>}", "{<body term>}", "{brosket i <limb.def>}"),
    ),
}

GRAMMAR: Mapping[str, tuple[str, ...]] = lexicon.CIRCUMSTANCES | lexicon.WORDS | _PHRASES
"""Alternatives of every slot; a word list is named `family.form` as in `lexicon.inflections`."""

# ---- the sentences

DISORDER_SENTENCES = (
    "Om <who> har <disease> bör <staff> få veta om det ger <symptom> eller <symptom>.",
    "Vanliga tecken är <symptom>, <symptom> och <symptom>.",
    "<opener> kan <who> få <symptom> och <symptom>.",
    "<opener> är <disease> orsaken till att <who> får <symptom>.",
    "Exempel på sådana besvär är <disease>, <disease> och <disease>.",
    "Den som har haft <disease> löper större risk att få <symptom> <later>.",
    "<the disorder> brukar gå över <later>.",
    "När <the disorder> går över mår <who> bättre, men <disease> kan komma tillbaka <later>.",
    "Ring 1177 om <who> får <symptom> som inte går över <later>.",
    "Sök vård direkt om <who> får <symptom> eller <symptom>.",
    "Är det <disease> eller <disease>?",
    "Hur vet <who> om det är <disease>?",
    "<staff> kan undersöka om <who> har <disease> eller <disease>.",
    "Det går att vaccinera sig mot (<vaccinable>), men inte mot <disease>.",
    "Vaccination mot (<vaccinable>) och (<vaccinable>) ges <at place> <later>.",
    "<symptom> kan vara ett tecken på <disease> <reason>.",
    "Både <disease> och <disease> är vanligt hos <group>.",
    "Vid <disease> kan <who> även få (överkänslighet mot <substance>).",
    "<patient> som får (allergi mot <substance>) kan märka det som <symptom>.",
    "<staff> tar hand om <patient> som har <disease> <when>.",
    "I <aid.def> kan <who> skriva upp hur länge <the disorder> sitter i.",
)

DRUG_SENTENCES = (
    "Om <who> har <disease> kan <staff> skriva ut <drug> som ska tas <how often>.",
    "Vid <disease> används ofta <drug>, <drug> eller <drug>.",
    "<patient> med <disease> kan behandlas med <drug> <when>.",
    "Kombinera inte <drug> med <drug> utan att fråga <staff>.",
    "Fortsätt att ta <the drug> <how often> <when>.",
    "Sluta inte att använda <the drug> även om <the disorder> går över.",
    "<opener> behöver <who> ta <the drug> <how often>.",
    "Mot <disease> hjälper det att ta <drug>, men inte <drug>.",
    "<drug> lindrar <disease> och dämpar <the disorder>.",
    "Den som äter <drug> bör inte ta <drug> <when>.",
    "Kan <who> ta <drug> och <drug> samtidigt?",
    "Hur ofta ska <who> använda <the drug>?",
    "Små barn som har <disease> kan få <drug> eller [flytande medicin] i stället för <drug>.",
    "<who> kan vaccineras med [<vaccine>] som skyddar mot (<vaccinable>).",
    "En dos [<vaccine>] ges <at place> <later>.",
    "<who> kan byta från <drug> till <drug> <later>.",
    "<drug> kan ge <symptom> och <symptom> som biverkning.",
    "Börja med <drug> och gå sedan över till <drug> om <the disorder> inte ger med sig.",
    "Ta [<mineral>] <how often> om <who> också använder <drug>.",
    "<patient> som har brist på hormoner får ta [<hormone>] som <form> <how often>.",
    "<staff> ger <who> en spruta med [<hormone>] <later>.",
    "Behandlingen är [<hormone>] i form av <form> eller <drug>.",
)

BODY_SENTENCES = (
    "<disease> kan göra att <the inside> fungerar sämre.",
    "Då skadas <the inside> och <the inside>, och <who> kan få <symptom>.",
    "{<organ.gen>} förmåga att arbeta kan påverkas av <disease>.",
    "Rörligheten i <the part> kan minska när <who> har <disease>.",
    "Det gör att <the inside> svullnar och att <who> får <symptom>.",
    "Smörj <a limb> med <drug> <how often>.",
    "<drug> verkar i <the inside> <when>.",
    "Värm <a limb> <how often> och undvik att belasta <a limb> <when>.",
    "{Blodet} strömmar genom <the inside> och vidare till <the part>.",
    "Kan <disease> också påverka <the inside>?",
    "<staff> känner på <the part> för att se om <who> har <symptom>.",
    "{<body term>} och <the inside> påverkas av <drug>.",
    "{<tissue.pl>} finns bland annat i <the inside>.",
    "Kroppens eget {<hormone>} bildas i {<gland.def>}.",
    "Hormonet {<hormone>} frisätts från {<gland.def>} när <who> har <disease>.",
    "Då bildar {<gland.def>} mindre {<hormone>} än vanligt <when>.",
)

AMBIGUOUS_ENTITY_SENTENCES = (
    "En skadad {lever} kan inte bryta ner <drug> lika snabbt.",
    "En frisk {<organ.en>} påverkas mindre av <drug>.",
    "En sjuk {<organ.en>} kan göra att <who> får <symptom>.",
    "Ett friskt {hjärta} slår lugnt även när <who> tar <drug>.",
    "<who> kan få (ont i en axel) eller <symptom> <later>.",
    "Träna {rygg} och {axel} <how often> <when>.",
    "Massera {vad}, {arm} och {fot} <how often>.",
    "<opener> kan <who> få ett (tryck) över {bröstet} och <symptom>.",
    "Efter ett (slag) mot {<limb.def>} kan <who> få <symptom>.",
    "<who> kan få en (blåsa) på {<limb.def>} <later>.",
    "Punktera inte en (blåsa) på {<limb.def>} utan att fråga <staff>.",
    "(Blåsor) på {<limb.def>} läker <later>.",
    "Urinen samlas i {blåsan}, som töms <how often>.",
    "En full {blåsa} kan ge <symptom>.",
    "Stela {leder}, trötta {ben} och <symptom> är vanligt hos <group>.",
    "En svullen {led} kan göra att <who> får <symptom>.",
    "<who> kan få (torsk) i {munnen} av <drug>.",
    "<opener> kan <who> få (utslag) på {<limb.def>} och <symptom>.",
    "<symptom> kan bero på (svamp) i {<opening>}.",
    "En (sten) i {njuren} ger ofta <symptom> <when>.",
    "Ett (sår) på {<limb.def>} behöver tvättas <when>.",
    "<who> kan hamna i (chock) av <disease> <reason>.",
    "Svullna {mandlar} kan ge <symptom> hos <patient>.",
    "En stel {hand}, en kall {fot} eller ett svullet {öga} kan bero på <disease>.",
    "<who> kan ta en [tablett] <how often> mot <disease>.",
    "Ta [medicin] <how often> mot <disease>.",
    "Stryk [kräm] på {<limb.def>} <how often>.",
    "Ge [droppar] i {<opening>} <how often> <when>.",
    "(Hosta) och <disease> smittar lätt <when>.",
    "En svullen {tunga} kan vara ett tecken på <disease>.",
)

FIGURATIVE_SENTENCES = (
    "Många <group> lever ensamma och får hjälp med <chore> <when>.",
    "De som lever länge behöver ofta hjälp med <chore> <reason>.",
    "Hjulets axel på <vehicle> behöver smörjas innan <relative> går till <place>.",
    "<relative> har ett stort hjärta och hjälper <group> med <chore>.",
    "<relative> tog rygg på tränaren när gruppen gick till <place>.",
    "<staff> pratar aldrig bakom någons rygg om <matter>.",
    "Det finns flera slag av stöd för <group> som behöver hjälp med <chore>.",
    "Kontrollera vilket tryck däcken på <vehicle> har <when>.",
    "<who> kan fråga <staff> om <matter> utan tryck från <relative>.",
    "<staff> ber <who> att blåsa i ett rör <later>.",
    "<relative> ska blåsa upp ballonger i <room> <later>.",
    "<staff> leder en grupp för <group> <at place>.",
    "Många <group> led av ensamhet <when>.",
    "En lång led av stenar går från <room> till <place>.",
    "Bordet i <room> har tre ben och rymmer <vehicle> när <relative> hälsar på.",
    "Lägg en tablett under tallriken när <relative> dukar i <room> <later>.",
    "<relative> studerar medicin vid universitetet <when>.",
    "<relative> bjuder på kräm med mjölk till <food> <later>.",
    "Det syns droppar på fönstret i <room> <when>.",
    "Räkningen från <place> kom som en chock för <relative> <later>.",
    "En sten på vägen fick <relative> att stanna vid <place>.",
    "Man bör hosta i armvecket när man väntar på <staff> <at place>.",
    "<staff> tar hand om <matter> <later>.",
    "<staff> ser till att <matter> går hand i hand med <chore> <when>.",
    "<relative> fick kalla fötter inför <examination.def> <at place>.",
    "<relative> sår blommor bakom <place> <when>.",
    "Grinden är gjord av <mineral> och står intill <room> på <place>.",
    "Strö mandlar över <food> när <relative> kommer på besök <later>.",
    "Undvik tunga lyft i <room> <when>.",
    "<relative> lagar torsk till <food> <later>.",
    "<relative> plockar svamp i skogen bakom <place> <when>.",
    "Fråga <staff> vad <matter> innebär och vad <who> ska göra <later>.",
    "På stående fot kunde <staff> svara på frågor om <matter>.",
    "<staff> håller ett öga på <matter> och svarar <later>.",
    "Testet <at place> gav inget utslag hos <who> <later>.",
)

GOODS_SENTENCES = (
    "<generic> finns <at place> och kan hämtas <later>.",
    "Förvara <generic> i kylskåpet, inte i <room>.",
    "<staff> berättar om <generic> i <aid.def> <later>.",
    "Priset på <ware> har gått upp <at place>.",
    "Apoteket har slut på <ware> och får in mer <later>.",
    "Reklam för <ware> får inte visas på <place> <when>.",
    "Broschyren Fakta om <condition> finns <at place> och på biblioteket.",
    "Kursen Fakta om <illness> hålls <at place> <later>.",
    "Receptet på <generic> skickas till <place> <later>.",
)

PLAIN_SENTENCES = (
    "<opener> kan <who> <can do> <reason>.",
    "<who> har rätt att <can do> <later>.",
    "Det går bra att <can do> <reason>.",
    "Kan <who> <can do> <later>?",
    "När ska <who> <can do>?",
    "<staff> skickar en remiss till <care.def> <later>.",
    "<staff> går igenom <examination.def> och <chore> tillsammans med <who>.",
    "Inför <examination.def> får <who> vänta på <care.def> <when>.",
    "<examination> görs på <care.def> och tar inte lång tid <reason>.",
    "<opener> får <who> en kallelse till <care.def> från <staff>.",
    "<group> kan behöva extra stöd med <chore> <when>.",
    "Besöket på <care.def> kostar olika mycket beroende på <matter>.",
    "Resultatet av <examination.def> kommer <later>.",
    "Kommunen ansvarar för <matter> och <chore> <when>.",
    "Det är viktigt att <who> förstår <matter> innan <staff> bestämmer något.",
    "Hur går <examination.def> till på <care.def>?",
    "Skriv upp frågor till <staff> i <aid.def> <later>.",
    "<who> kan också <can do> och få stöd med <chore>.",
)

SENTENCES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.285, PLAIN_SENTENCES),
    (0.10, FIGURATIVE_SENTENCES),
    (0.045, GOODS_SENTENCES),
    (0.135, DISORDER_SENTENCES),
    (0.26, DRUG_SENTENCES),
    (0.095, BODY_SENTENCES),
    (0.08, AMBIGUOUS_ENTITY_SENTENCES),
)
"""The share of each group of sentences; the first three carry no entity."""


# ---- rewriting


@dataclass(slots=True)
class _Slot:
    """A place to fill with one of `choices`; the list is shared by all slots of that name."""

    choices: list[_Template]


@dataclass(frozen=True, slots=True)
class _Mark:
    """The start of an entity of type `label`, or with no label the end of the one that is open."""

    label: str | None


_Template = Sequence["str | _Slot | _Mark"]

_OPENING = {"(": DISORDER, "[": DRUG, "{": BODY}
_TEMPLATE_PIECE = re.compile(r"<(?P<slot>[^<>]+)>|(?P<open>[(\[{])|(?P<close>[)\]}])|[^<>()\[\]{}]+")


def _parse(template: str, slots: Mapping[str, _Slot]) -> _Template:
    """The literals, slots and marks of a template in order."""
    pieces: list[str | _Slot | _Mark] = []
    for match in _TEMPLATE_PIECE.finditer(template):
        if match["slot"]:
            pieces.append(slots[match["slot"]])
        elif match["open"]:
            pieces.append(_Mark(_OPENING[match["open"]]))
        elif match["close"]:
            pieces.append(_Mark(None))
        else:
            pieces.append(match[0])
    return tuple(pieces)


@cache
def _parsed_sentences() -> tuple[_Slot, ...]:
    """One slot per group of `SENTENCES`, with the whole grammar parsed behind it."""
    slots = {name: _Slot([]) for name in GRAMMAR}
    for name, alternatives in GRAMMAR.items():
        slots[name].choices.extend(_parse(alternative, slots) for alternative in alternatives)
    return tuple(_Slot([_parse(template, slots) for template in group]) for _, group in SENTENCES)


@dataclass(slots=True)
class _Draft:
    """A sentence in the making: its text in pieces, and the spans that are complete."""

    random: Random
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    start: int = 0
    label: str = ""
    spans: list[Span] = field(default_factory=list)

    def fill(self, slot: _Slot) -> None:
        """Draw one of the slot's choices and write it out, slots within it first to last."""
        # of Random's methods only random() is promised to give the same numbers in every version of Python
        for piece in slot.choices[int(self.random.random() * len(slot.choices))]:
            if isinstance(piece, str):
                self.pieces.append(piece)
                self.length += len(piece)
            elif isinstance(piece, _Slot):
                self.fill(piece)
            elif piece.label is not None:
                self.start, self.label = self.length, piece.label
            else:
                self.spans.append(Span(self.start, self.length, self.label))


def _draw(random: Random, group: _Slot) -> tuple[str, tuple[Span, ...]]:
    """A sentence of the group that names no entity twice ("lungan och lungan")."""
    while True:
        draft = _Draft(random)
        draft.fill(group)
        text = "".join(draft.pieces)
        if len({span.text_in(text) for span in draft.spans}) == len(draft.spans):
            return text[0].upper() + text[1:], tuple(draft.spans)


def synthetic_corpus(size: int = 1200, seed: int = 67) -> Corpus:
    """A corpus of `size` Swedish sentences about disorders, drugs and the body, for trials without real data.

    The same size and seed give the same corpus on every machine, and a smaller corpus is the beginning of
    a larger one with the same seed. Raises `DataError` when `size` is below 1.
    """
    if size < 1:
        raise DataError(f"a synthetic corpus of size {size} was asked for, expected a size of at least 1")
    random = Random(seed)
    groups = _parsed_sentences()
    bounds = tuple(accumulate(weight for weight, _ in SENTENCES))
    sentences = []
    for index in range(size):
        point = random.random() * bounds[-1]
        group = groups[next(i for i, bound in enumerate(bounds) if point < bound)]
        text, spans = _draw(random, group)
        sentences.append(Sentence(f"synthetic_{index}", text, spans, f"synthetic:{index + 1}"))
    return Corpus(f"synthetic:{size}", tuple(sentences), MEDICAL_TYPES)
