"""When something was or will be, what it costs, who made it, and what somebody plans."""

from cortex_rx.facts.pattern.rule import Rule

__all__ = ["RULES"]

KIND = "event"

RULES = (
    Rule(
        "be ?on|in ?the {born_on:date}",
        (
            "My birthday is October 12th. -> user born_on October 12th",
            "Ada's birthday is in May. -> Ada born_on May",
        ),
        ("My birthday is soon.", "When is my birthday?"),
        "identity",
        92,
        head="?date birthday|birth-date|birthdate|birth",
        negated="must not",
    ),
    Rule(
        "be born ?in {born_in:place} on|in {born_on:date}",
        ("I was born in Lyon on 3 May 1990. -> user born_in Lyon; user born_on 3 May 1990",),
        ("I was born to run.",),
        "identity",
        92,
        subject="any",
    ),
    Rule(
        "be born on|in|around {born_on:date} [ in {born_in:place} ]",
        (
            "I was born on 3 May 1990. -> user born_on 3 May 1990",
            "I was born in 1990 in Lyon. -> user born_on 1990; user born_in Lyon",
        ),
        ("When was I born?",),
        "identity",
        92,
        subject="any",
    ),
    Rule(
        "be ?on {happened_on:date}",
        ("Our wedding was on 4 June 2016. -> user's wedding happened_on 4 June 2016",),
        ("I'm on page 40.", "The deadline is soon.", "The score is 40."),
        KIND,
        85,
        subject="thing",
        negated="must not",
    ),
    Rule(
        "happen|occur|take ?place on|in {happened_on:date}",
        ("The first Moon landing happened on 20 July 1969. -> first Moon landing happened_on 20 July 1969",),
        ("It happened on Monday.", "The door opened in May."),
        KIND,
        85,
        subject="thing",
        negated="must not",
    ),
    Rule(
        "be founded|established|started in|on {founded_on:date} [ by {<founded:names} ]",
        (
            "CERN was founded in 1954. -> CERN founded_on 1954",
            "Acme was founded in 1975 by Ada and Bo. -> Acme founded_on 1975; Ada founded Acme; Bo founded Acme",
        ),
        ("It isn't known when the chapel was founded.",),
        "knowledge",
        92,
        subject="any",
    ),
    Rule(
        "be founded|established|started by {<founded:names} [ in|on {founded_on:date} ]",
        ("Acme was founded by Ada Wong. -> Ada Wong founded Acme",),
        ("The club was founded by accident.",),
        "knowledge",
        88,
        subject="any",
    ),
    Rule(
        "found|cofound|co-found {founded:thing}",
        ("My uncle founded a brewery. -> user's uncle founded brewery",),
        ("I found a bug.", "We found it."),
        "knowledge",
        85,
    ),
    Rule(
        "be written|painted|composed|created|designed|invented|directed|built by {<created:names}",
        ("Middlemarch was written by George Eliot. -> George Eliot created Middlemarch",),
        ("It was written by hand.",),
        "knowledge",
        88,
        subject="any",
    ),
    Rule(
        "write|compose|create|invent|paint {created:work}",
        ("George Eliot wrote Middlemarch. -> George Eliot created Middlemarch",),
        ("Write a poem.", "I wrote a lot.", "You write `feed`."),
        "knowledge",
        80,
        only="past",
    ),
    Rule(
        "be ?a|an part of {part_of:place}",
        ("The island is part of Greece. -> island part_of Greece",),
        ("I'm part of the problem.", "That's part of it."),
        "knowledge",
        80,
        subject="thing",
    ),
    Rule(
        "cost {costs:amount}",
        ("The flat costs 1,450 dollars a month. -> flat costs 1,450 dollars a month",),
        ("It costs a lot.", "The number costs 1 % of the file.", "The mistake cost me my job."),
        "knowledge",
        88,
        subject="any",
    ),
    Rule(
        "plan|intend|aim to {plans_to:infinitive}",
        ("I'm planning to retire early. -> user plans_to retire early future",),
        ("The plan is to wait.", "Plan to fail.", "I planned to stay.", "I plan everything."),
        KIND,
        85,
        tense="future",
    ),
    Rule(
        "buy {bought:bought}",
        ("I bought a house in 2020. -> user bought house",),
        ("Buy milk.", "I would buy a boat.", "I bought it."),
        KIND,
        80,
    ),
    Rule(
        "be ?the author|creator|inventor|composer|director of {created:name}",
        ("George Eliot is the author of Middlemarch. -> George Eliot created Middlemarch",),
        ("The author of the letter is unknown.", "Who is the author of Middlemarch?"),
        "knowledge",
        88,
    ),
)
