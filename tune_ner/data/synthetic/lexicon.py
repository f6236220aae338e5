"""Swedish words for the synthetic corpus: nouns with their inflection, compounds, multi-word terms.

A noun is written as its article, its base form and then its definite, plural and definite plural forms:
`en lunga -n lungor lungorna`. A form that starts with a hyphen is an ending of the base form, `=` is the
base form itself, and forms that one does not use are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun and its inflected forms; a form that is not in use is empty."""

    article: str
    base: str
    definite: str = ""
    plural: str = ""
    definite_plural: str = ""

    def after(self, first: str) -> Noun:
        """The compound of `first` and this noun, which keeps the gender and inflection of its last member."""
        forms = (self.base, self.definite, self.plural, self.definite_plural)
        return Noun(self.article, *(first + form if form else "" for form in forms))


def nouns(listing: str) -> tuple[Noun, ...]:
    """The nouns of a comma-separated listing in the notation of this module."""
    return tuple(_noun(*entry.split()) for entry in listing.split(","))


def _noun(article: str, base: str, *forms: str) -> Noun:
    def spelled(form: str) -> str:
        return base if form == "=" else base + form[1:] if form[0] == "-" else form

    return Noun(article, base, *map(spelled, forms))


def compounds(firsts: str, heads: str) -> tuple[Noun, ...]:
    """Every compound of a first member (separated by blanks) and a head (a listing of nouns)."""
    return tuple(head.after(first) for head in nouns(heads) for first in firsts.split())


def terms(listing: str) -> tuple[str, ...]:
    """The terms, of one word or several, of a comma-separated listing."""
    return tuple(" ".join(term.split()) for term in listing.split(","))


def words(listing: str) -> tuple[str, ...]:
    """The words of a listing separated by blanks."""
    return tuple(listing.split())


def genitive(form: str) -> str:
    """The genitive of a form; Swedish adds no second s after s, x or z."""
    return form if form[-1] in "sxz" else form + "s"


def inflections(name: str, family: Iterable[Noun]) -> dict[str, tuple[str, ...]]:
    """The word lists of a family of nouns, by grammatical form.

    `NAME` holds base forms, `NAME.en` and `NAME.ett` those of one gender, and `NAME.def`, `NAME.gen`,
    `NAME.pl` and `NAME.defpl` the definite, definite genitive, plural and definite plural forms.
    """
    family = tuple(family)
    lists = {
        "": [noun.base for noun in family],
        ".en": [noun.base for noun in family if noun.article == "en"],
        ".ett": [noun.base for noun in family if noun.article == "ett"],
        ".def": [noun.definite for noun in family if noun.definite],
        ".gen": [genitive(noun.definite) for noun in family if noun.definite],
        ".pl": [noun.plural for noun in family if noun.plural],
        ".defpl": [noun.definite_plural for noun in family if noun.definite_plural],
    }
    return {name + form: tuple(words) for form, words in lists.items() if words}


# ---- disorders: conditions stand without an article ("har astma"), findings with one ("har ett magsår")

CONDITIONS = nouns(
    "en astma -n, en migrän -en, en diabetes, en feber -n, en hosta -n, en huvudvärk -en, en klåda -n,"
    "en yrsel -n, ett illamående -t, en influensa -n, en demens -en, en epilepsi -n, en psoriasis,"
    "en gikt -en, en artros -en, en benskörhet -en, en mässling -en, en påssjuka -n, en kikhosta -n,"
    "en difteri -n, en stelkramp -en, en polio -n, en malaria -n, en tuberkulos -en, en snuva -n,"
    "en nästäppa -n, en halsbränna -n, en ångest -en, en sömnlöshet -en, en bältros -en, en halsfluss -en,"
    "en bronkit -en, en ischias, en reumatism -en, en höfeber -n, en hjärtklappning -en, en andnöd -en,"
    "en allergi -n, en förstoppning -en, en diarré -n, en blodbrist -en, en impetigo, en skabb -en"
)

ILLNESSES = (
    compounds(
        "lung hals led muskel sen ögon öron bihåle blindtarms bukspottkörtel lever njur tarm hud tandkötts "
        "livmoder prostata hjärtmuskel hjärtsäcks hjärnhinne mag näs bröst urinblåse slemhinne nerv kärl "
        "sköldkörtel knäleds höftleds axel armbågs",
        "en inflammation -en",
    )
    + compounds(
        "lung hals led ögon öron hud sår urinvägs luftvägs tarm mag blod svamp virus bakterie näs mun nagel "
        "tand njur lever skelett",
        "en infektion -en",
    )
    + compounds(
        "lung hjärt lever njur tarm mag led muskel hud ögon blod kärl nerv hjärn ämnesomsättnings demens "
        "sköldkörtel tandkötts binjure infektions",
        "en sjukdom -en",
    )
    + compounds(
        "lung lever njur tarm mag hud bröst prostata livmoder urinblåse hals mun skelett blod sköldkörtel "
        "bukspottkörtel strup tung testikel äggstocks",
        "en cancer -n",
    )
    + compounds("mag rygg nack led muskel tand öron knä höft axel fot bröst hals", "en värk -en")
    + compounds("mag rygg nack led muskel tand knä höft axel fot bröst hals nerv", "en smärta -n")
    + compounds("led nack rygg muskel knä höft axel finger morgon", "en stelhet -en")
    + compounds("hjärt njur lever andnings binjure", "en svikt -en")
    + compounds("mun hud ögon hals", "en torrhet -en")
    + compounds(
        "pollen nöt jordnöts katt hund häst ägg mjölk fisk skaldjurs nickel kvalster mögel penicillin latex "
        "björk gräs geting soja sesam vete läkemedels",
        "en allergi -n",
    )
)

FINDINGS = nouns(
    "en infektion -en -er -erna, en inflammation -en -er -erna, en tumör -en -er -erna,"
    "ett magsår -et = -en, en blodpropp -en -ar -arna, en stroke -n, ett getingstick -et = -en,"
    "ett insektsbett -et = -en, ett skavsår -et = -en, en vrickning -en -ar -arna,"
    "en fraktur -en -er -erna, en hjärnskakning -en -ar -arna, en blödning -en -ar -arna,"
    "en svullnad -en -er -erna, en rodnad -en -er -erna, ett nässelutslag -et = -en,"
    "en kramp -en -er -erna, ett eksem -et = -en, en förkylning -en -ar -arna, en depression -en -er -erna,"
    "en hjärtinfarkt -en -er -erna, ett ljumskbråck -et = -en, en vårta -n vårtor vårtorna,"
    "en böld -en -er -erna, en liktorn -en -ar -arna, en stukning -en -ar -arna"
)

INJURIES = (
    compounds(
        "hjärn rygg nack knä led muskel nerv hud ögon öron tand lever njur lung hjärt fot hand finger axel "
        "höft sen skelett skall korsbands frost",
        "en skada -n skador skadorna",
    )
    + compounds("mag tarm hjärn hud lung ögon muskel led näs slemhinne", "en blödning -en -ar -arna")
    + compounds("hjärn lever njur lung hud mag tarm skelett bröst", "en tumör -en -er -erna")
    + compounds("led knä fot ben ansikts hand hals ögonlocks läpp slemhinne lymfkörtel", "en svullnad -en -er -erna")
    + compounds("ben fot mun mag läpp finger häl bränn tryck", "ett sår -et = -en")
    + compounds("mag muskel vad ben fot hand tå tarm luftrörs", "en kramp -en -er -erna")
    + compounds("hand fot hals ansikts blöj vinter kontakt", "ett eksem -et = -en")
    + compounds("ben arm handleds lårbens revbens finger tå käk fotleds", "en fraktur -en -er -erna")
)

DISORDER_TERMS = terms(
    "hepatit A, hepatit B, hepatit C, hög feber, grå starr, grön starr, röda hund, för högt blodtryck,"
    "för lågt blodtryck, typ 1-diabetes, typ 2-diabetes, svårt att sova, svårt att andas, falsk krupp,"
    "HPV-infektion, RS-virus, TBE, hiv, reumatoid artrit, multipel skleros, högt kolesterol"
)

VACCINABLE = terms(
    "TBE, hepatit A, hepatit B, mässling, påssjuka, röda hund, polio, difteri, kikhosta, stelkramp,"
    "influensa, vattkoppor, bältros, tuberkulos, rabies, kolera, covid-19, lunginflammation"
)

# ---- drugs: substances are not inflected, the rest is

SUBSTANCES = words(
    """
    paracetamol ibuprofen naproxen diklofenak ketoprofen acetylsalicylsyra tramadol morfin oxikodon
    kodein amoxicillin flukloxacillin doxycyklin klindamycin erytromycin ciprofloxacin nitrofurantoin
    trimetoprim metronidazol omeprazol esomeprazol lansoprazol pantoprazol metformin glipizid
    sitagliptin empagliflozin semaglutid liraglutid simvastatin atorvastatin rosuvastatin pravastatin
    enalapril ramipril lisinopril losartan kandesartan valsartan amlodipin felodipin metoprolol
    bisoprolol atenolol propranolol furosemid spironolakton warfarin apixaban rivaroxaban dabigatran
    klopidogrel heparin dalteparin digoxin amiodaron citalopram escitalopram sertralin fluoxetin
    paroxetin venlafaxin duloxetin mirtazapin amitriptylin litium kvetiapin olanzapin risperidon
    haloperidol diazepam oxazepam zopiklon zolpidem propiomazin karbamazepin lamotrigin levetiracetam
    valproat gabapentin pregabalin topiramat donepezil memantin rivastigmin galantamin levodopa
    cetirizin loratadin desloratadin ebastin klemastin natriumkromoglikat budesonid beklometason
    mometason flutikason salbutamol terbutalin formoterol salmeterol tiotropium montelukast prednisolon
    hydrokortison betametason metotrexat sulfasalazin tamoxifen letrozol aciklovir valaciklovir
    oseltamivir flukonazol terbinafin klotrimazol mebendazol alendronat laktulos loperamid domperidon
    ondansetron nitroglycerin sumatriptan rizatriptan zolmitriptan xylometazolin lidokain
    """
)
COMMON_SUBSTANCES = words(
    """
    paracetamol ibuprofen acetylsalicylsyra kortison penicillin antibiotika antihistamin warfarin morfin
    metformin insulin omeprazol laktulos
    """
)

DRUG_CLASSES = nouns(
    "ett penicillin -et -er -erna, ett antihistamin -et -er -erna, en betablockerare -n = betablockerarna,"
    "en statin -en -er -erna, ett vaccin -et -er -erna, en kalciumblockerare -n = kalciumblockerarna"
) + compounds("Cox- ACE- MAO- TNF- JAK- DPP-4- SGLT2- protonpumps kolinesteras aromatas", "en hämmare -n = hämmarna")

_DOSE_FORMS = (
    "en tablett -en -er -erna, en mixtur -en -er -erna, en spruta -n sprutor sprutorna, en kapsel -n kapslar kapslarna"
)
PREPARATIONS = (
    compounds(
        "smärt allergi astma host feber migrän sömn blodtrycks hjärt mag diabetes epilepsi cancer",
        "en medicin -en -er -erna, ett läkemedel läkemedlet = läkemedlen",
    )
    + compounds(
        "kortison antihistamin penicillin antibiotika paracetamol ibuprofen järn kalk morfin jod zink "
        "magnesium D-vitamin B12- C-vitamin östrogen nikotin allergi värk sömn",
        _DOSE_FORMS,
    )
    + compounds(
        "kortison antibiotika svamp eksem hud sår bedövnings antihistamin hemorrojd mjukgörings",
        "en salva -n salvor salvorna, en kräm -en -er -erna",
    )
    + compounds("näs hals kortison nitroglycerin allergi nikotin", "en sprej -en -er -erna")
    + compounds("ögon näs öron antibiotika antihistamin kortison", "en droppe -n droppar dropparna")
)

VACCINES = compounds(
    "influensa mässlings hepatit polio stelkramps kikhoste HPV- pneumokock vattkopps TBE- tuberkulos rabies "
    "kolera bältros påssjuke rotavirus meningokock difteri covid-",
    "ett vaccin -et -er -erna",
)

# present participles do not agree with their noun, so every pair of the two lists is correct
DRUG_EFFECTS = words(
    """
    smärtstillande febernedsättande blodförtunnande blodtryckssänkande inflammationsdämpande lugnande
    slemlösande vätskedrivande kramplösande hostdämpande luftrörsvidgande kolesterolsänkande
    klådstillande blodsockersänkande muskelavslappnande ångestdämpande allergidämpande immundämpande
    """
)
DRUG_HEADS = ("medicin", "medel", "läkemedel", "tabletter", "mediciner")

# ---- body: organs, tissues and what they are made of

ORGANS = nouns(
    "ett hjärta -t hjärtan hjärtana, en lunga -n lungor lungorna, en lever -n levrar levrarna,"
    "en njure -n njurar njurarna, en mage -n magar magarna, en tarm -en -ar -arna, en hjärna -n hjärnor"
    " hjärnorna, en muskel -n muskler musklerna, en led -en -er -erna, en hals -en -ar -arna,"
    "en mun -nen -nar -narna, en näsa -n näsor näsorna, ett öra -t öron öronen, ett öga -t ögon ögonen,"
    "en tunga -n tungor tungorna, en tand -en tänder tänderna, en slemhinna -n slemhinnor slemhinnorna,"
    "ett blodkärl -et = -en, en nerv -en -er -erna, en äggstock -en -ar -arna, ett luftrör -et = -en,"
    "en kota -n kotor kotorna, en körtel -n körtlar körtlarna, ett skelett -et = -en, en hud -en,"
    "en prostata -n, en livmoder -n, en mjälte -n, en gallblåsa -n, en urinblåsa -n, en bihåla -n bihålor"
    " bihålorna, en bukspottkörtel -n, en sköldkörtel -n, en ryggrad -en, en kropp -en -ar -arna"
)

LIMBS = nouns(
    "ett knä -t -n -na, en höft -en -er -erna, en axel -n axlar axlarna, en rygg -en -ar -arna,"
    "en nacke -n nackar nackarna, en fot -en fötter fötterna, en hand -en händer händerna,"
    "ett finger fingret fingrar fingrarna, en tå -n -r -rna, en arm -en -ar -arna, ett ben -et = -en,"
    "en armbåge -n armbågar armbågarna, en handled -en -er -erna, en fotled -en -er -erna,"
    "en vad -en -er -erna, en häl -en -ar -arna, en skuldra -n skuldror skuldrorna, ett lår -et = -en"
)
PAIRED = words("knä höft axel fot hand arm ben armbåge handled fotled vad skuldra lunga njure öga öra")

TISSUES = (
    compounds(
        "nerv lever hud muskel fett ben njur lung hjärt tarm bröst hjärn körtel",
        "en cell -en -er -erna, en vävnad -en -er -erna",
    )
    + compounds("mag tarm näs mun hals livmoder", "en slemhinna -n slemhinnor slemhinnorna")
    + compounds("hjärt ben rygg nack mag lår arm ögon hals tugg bäckenbotten", "en muskel -n muskler musklerna")
    + compounds("knä hand fot höft axel käk finger tå armbågs", "en led -en -er -erna")
    + compounds("syn hörsel lukt ansikts hud ischias", "en nerv -en -er -erna")
    + compounds("spott svett talg lymf tår bröst", "en körtel -n körtlar körtlarna")
    + compounds("lymf krans hud hjärn lung", "ett kärl -et = -en")
)

GLANDS = nouns(
    "en bukspottkörtel -n, en sköldkörtel -n, en binjure -n, en äggstock -en, en testikel -n, en hypofys -en,"
    "en tallkottkörtel -n, en hjärna -n, en lever -n, en njure -n"
)

BODY_TERMS = terms(
    "de röda blodkropparna, de vita blodkropparna, hela kroppen, nedre delen av ryggen, övre delen av magen,"
    "de nedre luftvägarna, de övre luftvägarna, immunförsvaret, blodet, hårbotten, bröstkorgen, ansiktet"
)

# ---- words whose type, or whose being an entity at all, only the context tells

HORMONES = words(
    """
    insulin adrenalin östrogen testosteron progesteron melatonin tyroxin kortisol oxytocin noradrenalin
    tillväxthormon
    """
)
MINERALS = ("järn", "zink", "magnesium")

# ---- compounds that look like entities but name care, examinations and things

CARE = compounds(
    "hjärt lung njur lever hud ögon öron mag led rygg smärt migrän diabetes cancer astma allergi stroke "
    "demens vaccin medicin sår bröst",
    "en mottagning -en -ar -arna, en klinik -en -er -erna, en avdelning -en -ar -arna, en enhet -en -er -erna",
)
SPECIALISTS = compounds(
    "hjärt lung njur hud ögon öron mag allergi astma diabetes smärt cancer stroke demens medicin vaccin",
    "en sköterska -n, en specialist -en, en läkare -n",
)
EXAMINATIONS = compounds(
    "hjärt lung njur lever hud ögon mag tarm led knä rygg blod hals",
    "en undersökning -en -ar -arna, en röntgen =, en kontroll -en -er -erna",
)
AIDS = compounds(
    "feber smärt migrän astma allergi diabetes sömn blodtrycks hud medicin läkemedels vaccin insulin",
    "en dagbok -en, en broschyr -en, en kurs -en, en lista -n, en app -en, en mapp -en",
)

# ---- word lists by name; `<name>` within a phrase stands for a word or phrase of that name

WORDS: dict[str, tuple[str, ...]] = {
    **inflections("condition", CONDITIONS),
    **inflections("illness", ILLNESSES),
    **inflections("finding", FINDINGS),
    **inflections("injury", INJURIES),
    **inflections("drug class", DRUG_CLASSES),
    **inflections("preparation", PREPARATIONS),
    **inflections("vaccine", VACCINES),
    **inflections("organ", ORGANS),
    **inflections("limb", LIMBS),
    **inflections("tissue", TISSUES),
    **inflections("gland", GLANDS),
    **inflections("care", CARE),
    **inflections("specialist", SPECIALISTS),
    **inflections("examination", EXAMINATIONS),
    **inflections("aid", AIDS),
    "disorder term": DISORDER_TERMS,
    "substance": SUBSTANCES,
    "common substance": COMMON_SUBSTANCES,
    "effect": DRUG_EFFECTS,
    "drug head": DRUG_HEADS,
    "paired": PAIRED,
    "body term": BODY_TERMS,
    "vaccinable": VACCINABLE,
    "hormone": HORMONES,
    "mineral": MINERALS,
}

CIRCUMSTANCES: dict[str, tuple[str, ...]] = {
    "who": terms(
        "man, barnet, patienten, en vuxen, en äldre person, den som är gravid, den som ammar, en tonåring,"
        "den som är ny i Sverige, den som bor ensam, en anhörig, den som röker"
    ),
    "patient": terms("en vuxen, ett barn, en patient, en äldre person, en tonåring, en kvinna, en man, en anhörig"),
    "staff": (
        *terms("läkaren, sjuksköterskan, barnmorskan, fysioterapeuten, kuratorn, undersköterskan, apotekaren"),
        "<specialist.def>",
        "<specialist.def>",
    ),
    "relative": terms(
        "min mormor, din granne, hans syster, hennes bror, vår farfar, deras dotter, en god vän, chefen,"
        "grannens son, en kusin, vår lärare, min moster"
    ),
    "group": terms(
        "barnfamiljer, äldre, pensionärer, studenter, idrottare, föräldrar, anhöriga, ungdomar, kvinnor, män,"
        "rullstolsburna, nyanlända, nattarbetare"
    ),
    "place": (
        *terms("vårdcentralen, apoteket, sjukhuset, skolan, äldreboendet, akutmottagningen, arbetsplatsen"),
        "<care.def>",
        "<care.def>",
        "<care.def>",
    ),
    "at place": ("på <place>", "på <place>", "på <care.def>", "hos <staff>"),
    "few": ("två", "tre", "fyra", "fem", "sex", "några", "flera"),
    "unit": ("dagar", "veckor", "månader"),
    "season": terms("våren, sommaren, hösten, vintern, semestern, pollensäsongen, graviditeten, natten"),
    # how long or how often something goes on, and when something happens
    "when": (
        *("i <few> <unit>",) * 3,
        "under <season>",
        *terms("varje dag, då och då, hela tiden, under en längre period, på kvällarna, varje morgon"),
    ),
    "later": (
        *("efter <few> <unit>", "inom <few> <unit>") * 2,
        "under <season>",
        *terms("redan första veckan, så småningom, ganska snart, samma dag, nästa vecka"),
    ),
    "opener": (
        "Efter <few> <unit>",
        "Under <season>",
        *terms("Ibland, Ofta, I vissa fall, Till en början, Numera, Ganska ofta, Vid behov, I de flesta fall"),
    ),
    "how often": (
        "<few> gånger <per>",
        *terms("en gång om dagen, varannan dag, till natten, före maten, efter maten, på morgonen"),
    ),
    "per": ("om dagen", "i veckan", "per dygn"),
    "mild en": ("lindrig", "svår", "kraftig", "långvarig", "plötslig", "envis"),
    "mild ett": ("lindrigt", "svårt", "kraftigt", "långvarigt", "plötsligt", "envist"),
    "form": ("tabletter", "en spruta", "pulver", "ett plåster", "en gel", "kapslar"),
    "can do": (
        "boka en tid <at place>",
        "ringa till <place>",
        "fråga <staff> om <matter>",
        "prata med <staff> om <matter>",
        "få hjälp med <chore>",
        "lämna ett prov <at place>",
        "läsa <aid.def> från <place>",
        "få information om <matter>",
        "ta med <relative> till <place>",
    ),
    "matter": (
        "<examination.def>",
        "<chore>",
        "<aid.def>",
        *terms("resan, provsvaret, vårdplanen, kostnaden, väntetiden, högkostnadsskyddet, journalen, diagnosen"),
    ),
    "chore": terms(
        "städningen, maten, inköpen, räkningarna, tvätten, skolarbetet, hushållet, blanketten, bokningen,promenaderna"
    ),
    "reason": (
        "om <who> oroar sig för <matter>",
        "för att <staff> ska kunna planera <matter>",
        "eftersom <matter> kan ta tid",
        "när <place> har stängt",
        "även om <who> mår bra",
    ),
    "vehicle": terms("rullstolen, rullatorn, barnvagnen, sängen, gåstolen, cykeln, elmopeden, dragkärran"),
    "room": terms("köket, hallen, sovrummet, trädgården, vardagsrummet, tvättstugan, matsalen, badrummet, källaren"),
    "food": terms("gröten, salladen, fisken, yoghurten, soppan, kakan, efterrätten, frukosten"),
}
