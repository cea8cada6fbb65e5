"""What somebody likes, eats, plays and reads."""

from cortex_rx.facts.pattern.rule import Rule

__all__ = ["RULES"]

KIND = "preference"

RULES = (
    Rule(
        "like|love|enjoy|adore {likes:things}",
        (
            "I really like green tea and coffee. -> user likes green tea; user likes coffee",
            "My brother doesn't like jazz anymore. -> -user's brother likes jazz",
        ),
        (
            "I would like a coffee.",
            "Would you like tea?",
            "I like it.",
            "Sounds like fun.",
            "I'm loving the sun.",
            "I like the progress you made.",
            "What I like is none of your business.",
        ),
        KIND,
        90,
        habit=True,
        only="simple",
    ),
    Rule(
        "be ?a|an ?big|huge|great|massive|keen|total|die-hard|lifelong fan|lover|fond|enthusiast of {likes:things}",
        ("I'm a big fan of old maps. -> user likes old maps", "Ada's fond of chess. -> Ada likes chess"),
        ("The fan of my laptop is loud.", "Are you a fan of jazz?"),
        KIND,
    ),
    Rule(
        "be keen|hooked|crazy|passionate|mad|nuts|obsessed|enthusiastic on|about|with {likes:things}",
        ("I'm crazy about jazz. -> user likes jazz",),
        ("I'm on the train.", "I'm crazy.", "I'd be mad about that."),
        KIND,
    ),
    Rule(
        "be into {likes:things}",
        ("I'm really into board games. -> user likes board games",),
        ("I ran into Tom.", "I'm in."),
        KIND,
    ),
    Rule(
        "dislike|hate|detest|despise|loathe {dislikes:things}",
        ("My sister hates loud offices. -> user's sister dislikes loud offices",),
        ("Hate speech is banned.", "I would hate that.", "I hate to ask."),
        KIND,
        90,
        only="simple",
    ),
    Rule(
        "stand|bear|abide|tolerate {dislikes:things}",
        ("I can't stand coriander. -> user dislikes coriander",),
        ("I stand corrected.", "I can bear the noise."),
        KIND,
        negated="must",
        modals=frozenset(["can", "could"]),
    ),
    Rule(
        "get enough of {likes:things}",
        ("I can't get enough of Thai food. -> user likes Thai food",),
        ("I get enough of that.", "Did you get enough of it?"),
        KIND,
        negated="must",
        modals=frozenset(["can", "could"]),
    ),
    Rule(
        "prefer {prefers:preferred} [ to|over {:things} ]",
        ("I prefer tea to coffee. -> user prefers tea", "I'd rather have window seats. -> user prefers window seats"),
        ("Do you prefer tea?", "I would prefer a table outside.", "I prefer it."),
        KIND,
        90,
        only="simple",
    ),
    Rule(
        "be {favorite:things}",
        (
            "My favorite color is blue. -> user favorite[color] blue",
            "Ada's favourite ice cream flavour is vanilla. -> Ada favorite[ice cream flavour] vanilla",
            "Dune is my favorite book. -> user favorite[book] Dune",
        ),
        ("Is blue your favorite color?", "My favorite color is not relevant."),
        KIND,
        92,
        head="?all-time|absolute favorite|favourite *",
        negated="must not",
    ),
    Rule(
        "be {has_hobby:things}",
        ("My hobby is playing chess. -> user has_hobby playing chess",),
        ("A hobby is a fine thing.",),
        KIND,
        head="hobby|hobbies",
        negated="must not",
    ),
    Rule(
        "include {has_hobby:things}",
        ("My hobbies include sailing and pottery. -> user has_hobby sailing; user has_hobby pottery",),
        ("The price includes breakfast.",),
        KIND,
        head="hobby|hobbies",
        negated="must not",
    ),
    Rule(
        "eat {eats:lasting}",
        ("I don't eat meat or fish. -> -user eats meat; -user eats fish",),
        ("Eat your greens.", "I could eat a horse.", "I ate fish today.", "I ate too much."),
        KIND,
        habit=True,
    ),
    Rule(
        "drink {drinks:lasting}",
        ("My wife only drinks oat milk. -> user's wife drinks oat milk",),
        ("Drink plenty of water.", "Should I drink milk?"),
        KIND,
        habit=True,
    ),
    Rule(
        "play {plays:played}",
        ("My son plays the cello. -> user's son plays cello", "I used to play chess. -> user plays chess past"),
        ("Play some jazz.", "It plays no role.", "I play with the kids."),
        KIND,
        habit=True,
    ),
    Rule(
        "read {reads:lasting}",
        ("I'm reading Middlemarch. -> user reads Middlemarch",),
        ("Read the attached report.", "I can't read it."),
        KIND,
        habit=True,
    ),
    Rule(
        "watch {watches:lasting}",
        (
            "We watch Nordic crime series. -> user watches Nordic crime series",
            "I'm watching The Wire. -> user watches The Wire",
        ),
        ("Watch out!", "Watch this."),
        KIND,
        habit=True,
    ),
)
