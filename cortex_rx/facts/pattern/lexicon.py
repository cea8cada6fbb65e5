"""Closed classes of English words, and small open ones that rules need: relations, pets, occupations, languages."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


ARTICLES = words("a an the")
DETERMINERS = ARTICLES | words("some any many several both all lots plenty")
DEMONSTRATIVES = words(
    "this that these those it them him us me you one ones none something anything nothing everything"
)
PRONOUNS = words("i you he she we they it")
OWNERS = words("my our your his her their its")
WH = words("who whom whose which what when where why how")
BE = words("am is are was were be been being 's")
MODALS = words("would could should may might must can ought")
AUXILIARIES = BE | MODALS | words("have has had do does did will shall")
CONJUNCTIONS = words("and but or nor so yet plus &")
SUBORDINATORS = words("because since as although though while whereas when whenever until before after once unless if")
CONDITIONALS = words("if unless whether suppose supposing imagine assuming assume provided pretend hypothetically")
# What makes a clause uncertain, wherever it stands in it.
HEDGES = words("maybe perhaps possibly probably supposedly allegedly apparently presumably")
PREPOSITIONS = words(
    "in on at to from by for with without about of into onto near over under between among through during towards "
    "toward across behind beyond beside besides against within outside inside around like than per via as since until "
    "after before"
)
ADVERBS = words(
    "really also just still currently now always absolutely usually recently actually only already mostly mainly "
    "truly totally definitely certainly both all quite very so pretty simply particularly especially generally "
    "normally often sometimes originally formerly previously once finally even ever either personally honestly "
    "genuinely happily proudly officially basically technically much deeply strongly completely fully secretly "
    "obviously clearly typically regularly severely mildly highly extremely rather too temporarily permanently "
    "eventually soon kind sort hard fast well part-time full-time remotely"
)
# What may stand before a clause.
OPENERS = words(
    "well yes yeah yep nope no hi hello hey oh ah ok okay so and but also plus actually btw personally honestly "
    "currently now today anyway thanks sorry fyi because since as although though while whereas that and lol haha "
    "right sure great nice cool please besides originally recently nowadays luckily unfortunately sadly frankly "
    "basically therefore thus however meanwhile additionally moreover furthermore incidentally remember note"
)
# What ends a noun phrase, besides marks, conjunctions and auxiliaries.
TRAILERS = words(
    "out up down off away back "
    "too also now anymore either already again lately instead though today yesterday tomorrow tonight nowadays "
    "please thanks thank right here there everywhere ago yet still currently always never sometimes often usually "
    "recently especially particularly mainly mostly since until every last next then than rather not more most less "
    "least best better worst very so just only well anyway otherwise alone together twice once first lol btw sorry "
    "however except apart when called named each afterwards later online offline "
)
TIMES = words(
    "morning mornings evening evenings afternoon afternoons night nights day days week weeks weekend weekends month "
    "months year years winter summer spring autumn fall moment hour hours minute minutes breakfast lunch dinner "
    "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays "
    "sundays january february march april may june july august september october november december christmas easter "
    "childhood past future decade decades weekday weekdays bedtime noon midnight while ages"
)
MONTHS = words(
    "january february march april may june july august september october november december jan feb mar apr jun jul "
    "aug sep sept oct nov dec"
)
WEEKDAYS = words("monday tuesday wednesday thursday friday saturday sunday")
NUMBERS = words(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand"
)
ADJECTIVES = words(
    "favorite favourite old older oldest young younger youngest little big best good close dear new current full "
    "first last middle maiden former late elder eldest own twin native preferred main primary home work mobile "
    "personal real legal only beloved lovely great next previous"
)
# After these, 's is "is".
COPULAR = ARTICLES | words(
    "not my your our his her in from at on based allergic vegan vegetarian married engaged divorced single retired "
    "called named going really also always still currently now very so just about born afraid fond scared into "
    "lactose gluten diabetic coming moving working living studying learning getting turning planning interested "
    "pregnant already never under over on-call self-employed unemployed"
)

# The predicate of "X is Y's NOUN", and whose role it is: of a couple both, else X's, or Y's ("X is Y's son": Y is the
# parent).
BOTH, X, Y = "both", "X", "Y"
RELATIONS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        words("sister brother sibling twin sisters brothers siblings half-sister half-brother stepsister stepbrother"),
        ("sibling_of", BOTH),
    ),
    **dict.fromkeys(
        words("mother father mom mum dad parent mama papa mommy daddy parents stepmother stepfather stepmum stepdad"),
        ("parent_of", X),
    ),
    **dict.fromkeys(
        words("son daughter child kid baby sons daughters children kids stepson stepdaughter toddler"),
        ("parent_of", Y),
    ),
    **dict.fromkeys(words("wife husband spouse"), ("married_to", BOTH)),
    **dict.fromkeys(words("partner girlfriend boyfriend fiancé fiancée fiance fiancee"), ("partner_of", BOTH)),
    **dict.fromkeys(words("friend friends buddy pal mate bestie"), ("friend_of", BOTH)),
    **dict.fromkeys(
        words("colleague colleagues coworker co-worker coworkers co-workers teammate"), ("colleague_of", BOTH)
    ),
    **dict.fromkeys(words("boss manager supervisor"), ("manages", X)),
    **dict.fromkeys(
        words(
            "aunt uncle cousin cousins niece nephew grandmother grandfather grandma grandpa granny nan grandson "
            "granddaughter nephews nieces aunts uncles grandparents mother-in-law father-in-law sister-in-law "
            "brother-in-law son-in-law daughter-in-law godmother godfather godson goddaughter"
        ),
        ("related_to", BOTH),
    ),
}
# Persons by a role for which no predicate is listed.
PERSONS = frozenset(RELATIONS) | words(
    "neighbour neighbor roommate flatmate housemate teacher doctor dentist landlord therapist coach mentor in-laws ex "
    "ex-wife ex-husband assistant tutor family team guest client neighbours neighbors"
)
PETS = words(
    "dog cat dogs cats puppy kitten puppies kittens rabbit rabbits hamster hamsters parrot budgie canary goldfish "
    "turtle tortoise snake lizard gecko guinea-pig horse pony ferret chickens guinea "
    "pigs bunny chinchilla tarantula spaniel labrador poodle terrier retriever corgi beagle dachshund collie "
    "pug husky greyhound tabby siamese cockatiel axolotl iguana hedgehog"
)
OCCUPATIONS = words(
    "nurse doctor teacher engineer developer programmer lawyer accountant chef cook baker butcher barber "
    "plumber electrician carpenter architect designer artist painter writer author journalist editor photographer "
    "musician pianist violinist guitarist drummer singer dancer actor actress director producer pilot driver captain "
    "sailor soldier firefighter policeman officer detective dentist surgeon veterinarian vet pharmacist therapist "
    "psychologist psychiatrist physiotherapist midwife paramedic scientist physicist chemist biologist mathematician "
    "statistician economist historian geologist astronomer researcher professor lecturer tutor librarian translator "
    "interpreter consultant analyst manager secretary receptionist assistant administrator clerk cashier waiter "
    "waitress bartender barista farmer gardener florist fisherman beekeeper mechanic technician machinist welder "
    "builder bricklayer roofer surveyor judge paralegal solicitor barrister attorney notary politician diplomat "
    "banker broker trader auditor actuary entrepreneur founder ceo cto cfo freelancer contractor salesman "
    "saleswoman salesperson realtor trainer coach athlete referee monk priest pastor rabbi imam nun postman courier "
    "cleaner janitor nanny babysitter childminder hairdresser beautician tailor seamstress jeweller jeweler "
    "blacksmith locksmith optician optometrist radiologist cardiologist paediatrician pediatrician anaesthetist "
    "neurologist dermatologist oncologist sculptor illustrator animator composer conductor playwright poet novelist "
    "comedian magician model stylist curator archivist recruiter marketer copywriter strategist planner "
    "data-scientist sysadmin devops tester intern apprentice trainee bookkeeper undertaker zookeeper lifeguard "
    "ranger geographer linguist philosopher sociologist anthropologist archaeologist meteorologist epidemiologist "
    "caretaker carer caregiver housewife homemaker decorator upholsterer potter weaver glazier miner joiner "
    "goldsmith cartographer dispatcher controller inspector instructor principal headteacher headmaster dean "
    "superintendent foreman supervisor chauffeur stewardess steward ambulance webmaster blogger streamer youtuber "
    "podcaster bouncer guard warden hydrologist ecologist botanist zoologist brewer winemaker sommelier glassblower"
)
LANGUAGES = words(
    "english spanish french german italian portuguese dutch russian polish czech slovak hungarian romanian bulgarian "
    "greek turkish arabic hebrew persian farsi hindi urdu bengali punjabi tamil telugu mandarin chinese cantonese "
    "japanese korean vietnamese thai indonesian malay tagalog swahili zulu afrikaans swedish norwegian danish finnish "
    "icelandic irish welsh gaelic scots catalan basque galician ukrainian serbian croatian bosnian slovenian "
    "albanian lithuanian latvian estonian georgian armenian latin esperanto yiddish nepali sinhala mongolian tibetan "
    "maltese luxembourgish amharic somali hausa yoruba igbo"
)
DIETS = words(
    "vegan vegetarian pescatarian pescetarian vegetarians vegans omnivore flexitarian carnivore fruitarian "
    "gluten-free dairy-free kosher halal keto paleo"
)
STATUSES = words("single married engaged divorced widowed separated unmarried")
ABBREVIATIONS = words("dr mr mrs ms prof st jr sr inc ltd co corp vs etc e.g i.e approx no dept mt ft")
TITLES = words("dr mr mrs ms prof sir lady saint st")
# Pairs that name one thing.
PAIRS = frozenset(
    ["mac cheese", "rock roll", "salt pepper", "fish chips", "black white", "arts crafts", "bed breakfast", "gin tonic",
     "salt vinegar", "butter jelly", "research development", "rhythm blues", "drum bass", "bread butter", "cut paste",
     "friends family", "family friends", "ham eggs", "bacon eggs", "war peace", "dungeons dragons", "trial error",
     "pros cons", "rice beans"]
)  # fmt: skip
# After "not" they deny only a part: "I don't just like jazz, I love it", "I don't always eat meat".
PARTLY = words("only just merely simply solely exclusively always all both completely totally entirely fully so")
# What stands in the talk itself, not in anybody's life: "I like the second option".
DEICTIC = words(
    "option options version versions answer answers idea ideas way ways one ones example examples part parts draft "
    "drafts suggestion suggestions paragraph paragraphs step steps document report message file files code text "
    "reply question questions explanation sound sentence sentences title list result results approach solution "
    "proposal plan email tone style thought look role compliment point effort response function page table section "
    "chapter summary link number wording "
)
# What of somebody's has a place.
BUILDINGS = words(
    "office house flat apartment company headquarters school university shop store studio home cottage farm hotel "
    "factory firm bakery restaurant café cafe workshop garden cabin boat birthplace hometown village"
)
OFFICES = words("mayor president minister queen king chancellor senator governor ambassador bishop")
# Whose complement is said or thought, not stated; and what the user may well say of himself: "remember that I ...".
SAYING = words(
    "say tell think believe claim guess suppose assume hope wish dream imagine pretend doubt wonder ask hear expect "
    "fear suspect swear deny argue suggest mean feel want seem appear forget see pray read"
)
KNOWING = words("know remember mention note recall understand notice learn")
JUDGING = words("sure certain convinced afraid unsure clear known possible likely true not doubtful")
ASIDES = frozenset(["if you ask me", "if i remember correctly", "if i may say so", "if you must know"])
# What begins a phrase of time or place before a subject: "on Sundays I".
LEADING = words("in on at since during after before for from last next this every these most once")
INTERROGATIVE = WH | AUXILIARIES - {"'s"} | {"any"}
# Before a colon they say that a quotation comes.
QUOTING = words(
    "say says said saying write writes wrote written read reads translate repeat type sing sings sang motto sentence "
    "phrase title lyrics line quote prompt input sign caption slogan text example subject shout shouts shouted lie "
    "lied lying joke joking kidding"
)
# What is done with a text, and what a text is: after a colon it comes, and is not what the user says.
EDITING = words(
    "rewrite rephrase reword paraphrase translate summarize summarise proofread correct fix edit shorten polish "
    "continue"
)
WRITINGS = words(
    "poem story letter essay draft paragraph tweet speech script monologue dialogue dialog review abstract grammar "
    "translation transcript"
)
# What stands before a colon in the name of the user, where a name would say who speaks: "Update: I live in Leeds".
LABELS = words(
    "update edit note notes fyi ps btw background context info information me myself intro introduction reminder "
    "fact facts bio profile disclaimer clarification correction addendum important question diet allergies job work "
    "location family hobbies warning news confession status summary hint remember noted spoiler personal preferences"
)
INVENTED = words("story novel film movie game dream dreams life play book tale series episode scenario example")
ORDINALS = words("first second third fourth fifth last next same other previous following above below")
# What a sentence begins with that is no name.
COMMON = (
    ADVERBS | OPENERS | DETERMINERS | AUXILIARIES | WH | SUBORDINATORS | CONDITIONALS | HEDGES | PREPOSITIONS | TIMES
) | words(
    "yesterday tomorrow tonight nowadays last next every not nobody everyone everybody someone people "
    "let both each most"
)


def is_occupation(word: str) -> bool:
    """Whether a word is an occupation that is listed, or ends with one: "data-scientist"."""
    return word in OCCUPATIONS or word.rpartition("-")[2] in OCCUPATIONS


def is_person(word: str) -> bool:
    """Whether a word names a person by an occupation, an office or a relation."""
    return is_occupation(word) or word in PERSONS or word in OFFICES
