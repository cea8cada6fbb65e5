"""The language of an index: stems, surfaces, stop words, and what a query looks for."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_rx.backends.sqlite.language import LANGUAGES, Language, language_of
from cortex_rx.backends.sqlite.tokenizer import Words, index_text, index_words, query_terms

_TEXTS = st.text(
    st.one_of(
        st.sampled_from("  abcdeinrst-'.+#_0"),
        st.sampled_from("éèçãßñœøłıİйёђѝяыίςأإآهةनीक़が京都ดี🎉\u0301\u0308\u200d\ufe0f\u00ad½ﬁ＋≠"),
        st.characters(),
    ),
    max_size=40,
)


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name != "none"])
def test_each_language_has_a_stemmer_and_stop_words(name: str) -> None:
    language = language_of(name)
    assert language.stop_words and not any(map(language.carries, language.stop_words))
    assert index_words("x" * 5000, language) == Words(["x" * 5000], ["x" * 5000])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("english", "memory memories"),
        ("english", "resumes résumés"),
        ("french", "donner donnée donnés"),
        ("russian", "красный красная красное"),
        ("spanish", "canción canciones"),
        ("german", "Häuser Haus Hauses"),
        ("turkish", "evler evleri"),
    ],
)
def test_forms_of_a_word_have_one_stem(name: str, words: str) -> None:
    language = language_of(name)
    for form in (words, unicodedata.normalize("NFD", words), words.upper()):
        assert len(set(index_words(form, language).stems)) == 1


def test_a_sign_in_an_odd_place_costs_no_other_word_its_stem() -> None:
    french = language_of("french")
    (term,) = query_terms("l'employée", french)
    for odd in ("É#", "é++", "ᾳ"):
        stems = index_words(f"{odd} l'employée,\u2003 les données {odd}", french).stems
        assert stems[1:-1] == index_words("l'employée, les données", french).stems
        assert f" {term.stems} " in f" {' '.join(stems)} "


@given(_TEXTS, st.sampled_from(["english", "russian", "french", "arabic", "hindi", "none"]))
def test_what_was_found_as_it_stands_is_found(text: str, name: str) -> None:
    language = language_of(name)
    words = index_words(text, language)
    stems, surfaces = f" {' '.join(words.stems)} ", set(words.surfaces)
    folded = index_text(text)
    assert len(words.stems) == len(folded.split())
    assert surfaces <= set(folded.split())
    terms = query_terms(text, language)
    for term in terms:  # a text has the terms of the same text
        assert f" {term.stems} " in stems
        assert term.surface is None or term.surface in surfaces
    plain = query_terms(text, language_of("none"))
    assert {term.words for term in terms} <= {term.words for term in plain} and bool(terms) == bool(plain)
    for term in query_terms(folded, language):  # written without case and accents, too: by its stem or as it stands
        assert f" {term.stems} " in stems or term.surface in surfaces or " " in term.words


def test_a_language_none_leaves_words_as_they_stand() -> None:
    none = language_of("none")
    assert index_words("The running Dogs", none) == Words(["the", "running", "dogs"], [])
    assert [(term.stems, term.surface) for term in query_terms("The dogs", none)] == [("the", None), ("dogs", None)]


def test_words_that_carry_nothing_count_only_alone() -> None:
    english = language_of("english")
    assert [term.words for term in query_terms("what did the band say to you", english)] == ["band", "say"]
    assert [term.words for term in query_terms("The Who", english)] == ["the", "who"]
    assert [term.words for term in query_terms("I don't", english)] == ["i", "don t"]
    assert [term.words for term in query_terms("an out-of-date C++ computer", english)] == [
        "out of date", "c＋＋", "computer",
    ]  # fmt: skip


def test_one_stem_is_looked_for_once() -> None:
    terms = query_terms("Running runs run", language_of("english"))
    assert [(term.stems, term.surface) for term in terms] == [("run", "running")]


def test_threads_get_the_stems_that_one_gets() -> None:
    texts = [
        " ".join(f"{stem}{end}" for end in ("ing", "ed", "s", "ation", "ness")) * 3 for stem in map(str, range(99))
    ]
    alone = [index_words(text.replace("0", "ro"), Language("english")).stems for text in texts]
    together = Language("english")
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            found = threads.map(lambda text: index_words(text.replace("0", "ro"), together).stems, texts)
            assert list(found) == alone


def test_the_cache_of_stems_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_rx.backends.sqlite.language._KEPT", 100)
    language = Language("french")
    for number in range(1000):
        index_words(f"lieu{number}es été{number}", language)
    assert all(len(kept) <= 100 for kept in vars(language).values() if isinstance(kept, dict))


def test_nothing_is_loaded_before_the_first_word() -> None:
    program = (
        "import asyncio, sys; from cortex_rx.backends import SqliteBackend\n"
        "async def main():\n"
        "    async with SqliteBackend(':memory:') as backend:\n"
        "        await backend.query('memories:count', {'memorySpaceId': 's'})\n"
        "asyncio.run(main()); sys.exit(bool({'Stemmer', 'stop_words', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
