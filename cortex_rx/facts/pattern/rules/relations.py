"""Who belongs to whom: relatives, friends, colleagues, pets, things owned, clubs."""

from cortex_rx.facts.pattern.rule import Rule

__all__ = ["RULES"]

KIND = "relationship"

RULES = (
    Rule(
        "be {relation:self}",
        (
            "My boss is Carla. -> Carla manages user",
            "My wife is Clara. -> user married_to Clara",
        ),
        ("My boss is Spanish.", "Is your boss Carla?", "My boss is not Carla."),
        KIND,
        88,
        negated="must not",
    ),
    Rule(
        "be {owner:relation}",
        (
            "Oskar is my eldest son. -> user parent_of Oskar",
            "Sven is Astrid's father. -> Sven parent_of Astrid",
            "Mr Tanaka used to be my boss. -> Mr Tanaka manages user past",
        ),
        ("Anna is my hero.", "He is my brother.", "Is Tom my boss?"),
        KIND,
        90,
        negated="must not",
    ),
    Rule(
        "be married|wed to {married_to:names}",
        ("I'm married to Henrik. -> user married_to Henrik",),
        ("I'm married to my job.", "Is she married to Tom?"),
        KIND,
        92,
    ),
    Rule(
        "marry {married_to:name}",
        ("My sister married Paul. -> user's sister married_to Paul",),
        ("Marry me!", "I want to marry Paul."),
        KIND,
        88,
        tense="present",
    ),
    Rule(
        "be engaged to {partner_of:name}",
        ("I'm engaged to Lena. -> user partner_of Lena",),
        ("I'm engaged to speak on Monday.",),
        KIND,
    ),
    Rule(
        "be friends with {friend_of:names}",
        ("I'm friends with Tom. -> user friend_of Tom",),
        ("Make friends with Tom.",),
        KIND,
    ),
    Rule(
        "have {relation:kin} [ called|named {has_name:names} ]",
        (
            "I have three sisters. -> user sibling_of three sisters",
            "We have a son called Leo. -> user parent_of son; user's son has_name Leo",
        ),
        ("I have a brotherly feeling.", "Have a baby carrot.", "Do I have a sister?"),
        KIND,
        85,
        habit=True,
    ),
    Rule(
        "have|own|keep {has_pet:pets} [ called|named {has_name:names} ]",
        (
            "I have a dog and two cats. -> user has_pet dog; user has_pet two cats",
            "I've got a tortoise named Hector. -> user has_pet tortoise; user's tortoise has_name Hector",
            "We don't have a dog. -> -user has_pet dog",
        ),
        ("I have a dog-eared book.", "Do you have a dog?"),
        KIND,
        88,
    ),
    Rule(
        "own {owns:things}",
        ("My neighbour owns a bakery. -> user's neighbour owns bakery",),
        ("Own it!", "I have my own opinion."),
        KIND,
        88,
    ),
    Rule(
        "manage {manages:names}",
        ("Bob manages Ada. -> Bob manages Ada",),
        ("Manage your time.", "I can manage."),
        KIND,
        88,
    ),
    Rule(
        "report to {<manages:managers}",
        ("Priya reports to me. -> user manages Priya", "I report to Carla. -> Carla manages user"),
        ("Report to the office.", "I report to nobody."),
        KIND,
        88,
    ),
    Rule(
        "know {knows:acquaintances}",
        ("My aunt knows the mayor. -> user's aunt knows mayor", "I know Tom Field. -> user knows Tom Field"),
        ("I know Python.", "I know that.", "You never know."),
        KIND,
        75,
    ),
    Rule(
        "work with {works_with:names}",
        ("I work with Priya. -> user works_with Priya",),
        ("I work with a laptop.", "It works with Windows."),
        KIND,
        75,
        habit=True,
    ),
    Rule(
        "be ?a|an|the ?founding|paid-up|active|lifelong member of {member_of:organisation}",
        ("I'm a member of the Green Party. -> user member_of Green Party",),
        ("The member of this class is private.",),
        KIND,
        88,
    ),
    Rule(
        "belong to {member_of:organisation}",
        ("I belong to a choir. -> user member_of choir",),
        ("The book belongs to Ada.", "It belongs to me."),
        KIND,
        70,
    ),
    Rule(
        "work on {works_on:project}",
        ("I'm working on a novel. -> user works_on novel",),
        ("It works on my machine.", "I work on Mondays.", "I'm working on it."),
        "knowledge",
        80,
        habit=True,
    ),
    Rule(
        "be in ?a|an ?happy|long-distance|serious relationship with {partner_of:name}",
        ("I'm in a relationship with Kim. -> user partner_of Kim",),
        ("I'm in a meeting with Kim.",),
        KIND,
        88,
    ),
    Rule(
        "use {uses:name}",
        ("I use Linux. -> user uses Linux", "My dad doesn't use WhatsApp. -> -user's dad uses WhatsApp"),
        ("Use Linux.", "I used to sing.", "You could use Linux."),
        "knowledge",
        78,
        habit=True,
        only="simple",
    ),
)
