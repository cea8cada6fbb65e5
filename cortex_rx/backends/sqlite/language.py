"""The language of a file: the stems of its words, and the words that carry nothing.

Stemming is PyStemmer's (Snowball), the stop words are those of the package `stop-words`. Both are loaded at the first
word, not with the library. Versions of `stop-words` from 2025 on are not used: their English list has 1,333 words,
"computer" and "research" among them, and finds less than no list at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import cache, cached_property

from cortex_rx.backends.sqlite.tokenizer import fold, index_text

__all__ = ["ENGLISH", "LANGUAGES", "NONE", "Language", "language_of"]

NONE = "none"
ENGLISH = "english"
LANGUAGES: tuple[str, ...] = (
    "arabic", "catalan", "danish", "dutch", ENGLISH, "finnish", "french", "german", "hindi", "hungarian", "indonesian",
    "italian", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "turkish", NONE,
)  # fmt: skip
"""The languages that have a stemmer and a list of stop words, and "none": words as they stand."""

_LONGEST = 40  # characters of a word that is stemmed; longer ones are codes, addresses, keys
_KEPT = 50_000  # stems that are kept in memory


@cache
def language_of(name: str) -> Language:
    """The language of this name. There is one object for all files and threads.

    >>> language_of("english").stems(["memories", "memory", "having"])
    ['memori', 'memori', 'having']
    >>> language_of("none").stems(["memories", "memory", "having"])
    ['memories', 'memory', 'having']
    """
    return Language(name)


class Language:
    """What the index knows of a language."""

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.has_stems: bool = name != NONE
        """Whether words are stemmed, so that the index has them as they stand, too."""
        self.stems_accents: bool = name not in (NONE, ENGLISH)
        """Whether stems are made of words with their accents, which belong to endings: -ción, -ый, -ées."""
        self._stems: dict[str, str] = {}
        self._accented: dict[str, tuple[str, str]] = {}
        self._of_thread = threading.local()  # a stemmer must not be used by two threads at the same time

    def __repr__(self) -> str:
        return f"Language({self.name!r})"

    @cached_property
    def stop_words(self) -> frozenset[str]:
        """The words that carry nothing, folded. Some are phrases, words separated by spaces: don't is "don t"."""
        if not self.has_stems:
            return frozenset()
        from stop_words import get_stop_words

        words: Iterable[str] = get_stop_words(self.name)
        return frozenset(filter(None, map(index_text, words)))

    def carries(self, words: str) -> bool:
        """Whether a word, or a phrase of words separated by spaces, carries something.

        >>> [language_of("english").carries(words) for words in ("the", "don t", "the who", "the band")]
        [False, False, False, True]
        """
        return words not in self.stop_words and not self.stop_words.issuperset(words.split())

    def stems(self, words: list[str]) -> list[str]:
        """The stems of folded words. A stop word is its own stem."""
        if not self.has_stems:
            return words
        known = self._stems
        try:
            return [known[word] for word in words]
        except KeyError:
            return [self._stem(word) for word in words]

    def _stem(self, word: str) -> str:
        known = self._stems.get(word)
        if known is not None or len(word) > _LONGEST:
            return known or word
        stem = word if word in self.stop_words else self._stem_word(word)
        if len(self._stems) >= _KEPT:
            self._stems = {}
        self._stems[word] = stem
        return stem

    def folded_and_stem(self, word: str) -> tuple[str, str]:
        """A word in lower case with its accents: the word and its stem, both folded.

        >>> language_of("french").folded_and_stem("données"), language_of("french").stems(["donnees"])
        (('donnees', 'don'), ['donne'])
        """
        known = self._accented.get(word)
        if known is not None:
            return known
        folded = fold(word).strip()
        if word.isascii() or len(word) > _LONGEST or "＋" in word or "＃" in word or folded in self.stop_words:
            return folded, self._stem(folded)
        both = folded, fold(self._stem_word(word))
        if len(self._accented) >= _KEPT:
            self._accented = {}
        self._accented[word] = both
        return both

    @property
    def _stem_word(self) -> Callable[[str], str]:
        try:
            made: Callable[[str], str] = self._of_thread.stem
        except AttributeError:
            from Stemmer import Stemmer

            made = self._of_thread.stem = Stemmer(self.name, 0).stemWord
        return made
