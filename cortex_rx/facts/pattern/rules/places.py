"""Where somebody or something is, was, or will be."""

from cortex_rx.facts.pattern.rule import Rule

__all__ = ["RULES"]

KIND = "identity"

RULES = (
    Rule(
        "live|reside in|near ?downtown {lives_in:places}",
        (
            "I live in Leeds. -> user lives_in Leeds",
            "My sister lived in York in 2010. -> user's sister lives_in York past",
            "From May on we will live in Porto. -> user lives_in Porto future",
            "I don't live in Leeds anymore. -> -user lives_in Leeds",
        ),
        ("Where do I live?", "If I lived in Rome, I'd walk.", "I live in fear.", "I would live in Rome."),
        KIND,
        92,
    ),
    Rule(
        "be based in {lives_in:places}",
        ("I'm based in Kraków. -> user lives_in Kraków",),
        ("The film is based in fact.", "It's based on a book."),
        KIND,
        88,
    ),
    Rule(
        "move|relocate ?back ?house to {lives_in:place}",
        ("We moved to Bern last year. -> user lives_in Bern", "I'm moving to Oslo. -> user lives_in Oslo future"),
        ("Move to the next line.", "I moved to strike it."),
        KIND,
        85,
        momentary=True,
        tense="present",
    ),
    Rule(
        "grow up in {lives_in:place}",
        ("I grew up in Cork. -> user lives_in Cork past",),
        ("Tomatoes grow in pots.",),
        KIND,
        85,
        tense="past",
    ),
    Rule(
        "be born ?and ?raised in {born_in:place}",
        ("I was born in Lyon. -> user born_in Lyon",),
        ("I was born in poverty.", "Where was I born?"),
        KIND,
        92,
    ),
    Rule(
        "be to {visited:somewhere}",
        (
            "I've been to Japan and Peru. -> user visited Japan; user visited Peru",
            "I have never been to Oslo. -> -user visited Oslo",
        ),
        ("I have been to school.", "I have to be there.", "My goal is to Rome."),
        "event",
        88,
        only="perfect",
    ),
    Rule(
        "visit {visited:somewhere}",
        (
            "My parents visited Petra in 2018. -> user's parents visited Petra",
            "I've visited Rome. -> user visited Rome",
        ),
        ("Visit the settings page.", "We will visit Rome.", "I visited my doctor."),
        "event",
        85,
        only="past",
    ),
    Rule(
        "go to {visited:somewhere}",
        ("I went to Petra in 2018. -> user visited Petra",),
        ("Go to Rome!", "I went to bed.", "I went to work."),
        "event",
        80,
        only="past",
    ),
    Rule(
        "go to {travels_to:somewhere}",
        ("I'm going to Marrakesh for my honeymoon. -> user travels_to Marrakesh future",),
        ("I'm going to sleep.", "I go to Rome."),
        "event",
        85,
        only="future",
        momentary=True,
    ),
    Rule(
        "travel|fly|drive to {travels_to:somewhere}",
        ("In March we'll travel to Iceland. -> user travels_to Iceland future",),
        ("I'll travel to Rome if it rains.", "Fly to Rome!"),
        "event",
        85,
        momentary=True,
    ),
    Rule(
        "be located|situated in {located_in:site}",
        ("The office is located in Lille. -> office located_in Lille",),
        ("The file is located in the folder.", "Where is Lille located?"),
        "knowledge",
        88,
        subject="thing",
    ),
    Rule(
        "be in {located_in:site}",
        ("Machu Picchu is in Peru. -> Machu Picchu located_in Peru",),
        ("Ada is in trouble.", "The text is in English.", "We are not in Kansas anymore.", "Anna is in Accounting."),
        "knowledge",
        80,
        subject="described",
    ),
    Rule(
        "be ?the capital ?city of {capital_of:place}",
        ("Canberra is the capital of Australia. -> Canberra capital_of Australia",),
        ("What is the capital of Australia?",),
        "knowledge",
        95,
        subject="any",
    ),
    Rule(
        "be {<capital_of:name}",
        ("The capital of Australia is Canberra. -> Canberra capital_of Australia",),
        ("The capital of the firm is lost.",),
        "knowledge",
        95,
        head="capital ?city",
        negated="must not",
    ),
)
