"""The errors of the estimate of tokens, beside those of a quarter of the characters: `python -m benchmarks.tokens`.

The weights are fitted to o200k_base by least squares of the relative error, with a slight pull to weights by eye, which
keeps those that few texts show. The weights of the package are fitted to all texts. An error is that of weights which
are fitted to the other text of each language, so it is of a text that the fit has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import mul

import numpy

from benchmarks.token_texts import TEXTS
from cortex_rx.metering.estimate import KINDS, WEIGHTS, kinds_of
from cortex_rx.metering.tokenizers import ENCODINGS, tokenizer

__all__ = ["errors", "fitted"]

BY_EYE = (0.2, 0.05, 0.3, 0.4, 0.6, 0.6, 0.3, 0.35, 0.7, 0.7, 0.75, 0.6, 1.5)  # tokens a character
PULL = 0.05


def fitted(count: Callable[[str], int], texts: Sequence[str]) -> list[float]:
    """The tokens of a character of each kind, fitted to the texts."""
    rows = [[kind / count(text) for kind in kinds_of(text.encode())] for text in texts]
    for number, weight in enumerate(BY_EYE):
        rows.append([PULL / weight if at == number else 0.0 for at in range(len(BY_EYE))])
    aims = [1.0] * len(texts) + [PULL] * len(BY_EYE)
    weights, *_ = numpy.linalg.lstsq(numpy.array(rows), numpy.array(aims), rcond=None)
    return [round(max(float(weight), 0.0), 3) for weight in weights]


def errors(encoding: str) -> dict[str, list[tuple[int, float, float]]]:
    """By language, for each text: its tokens, and the errors of the estimate and of a quarter, as parts of them."""
    fit_to, count = tokenizer(ENCODINGS[0]), tokenizer(encoding)
    found: dict[str, list[tuple[int, float, float]]] = {language: [] for language in TEXTS}
    for seen in (1, 0):
        weights = fitted(fit_to, [pair[seen] for pair in TEXTS.values()])
        for language, pair in TEXTS.items():
            text = pair[1 - seen]
            tokens, guess = count(text), round(sum(map(mul, kinds_of(text.encode()), weights)))
            found[language].append((tokens, guess / tokens - 1, -(-len(text) // 4) / tokens - 1))
    return found


def main() -> None:
    """Print the weights and the errors."""
    fit = fitted(tokenizer(ENCODINGS[0]), [text for pair in TEXTS.values() for text in pair])
    print(f"{'tokens a character':<62}{'package':>9}{'fit':>9}")
    for kind, now, new in zip(KINDS, WEIGHTS, fit, strict=True):
        print(f"{kind:<62}{now:>9.3f}{new:>9.3f}")
    for encoding in ENCODINGS:
        print(f"\n{encoding:<14}{'tokens':>12}{'estimate':>18}{'a quarter':>18}")
        for language, both in errors(encoding).items():
            tokens, ours, quarter = zip(*both, strict=True)
            print(
                f"{language:<14}{tokens[0]:>6}{tokens[1]:>6}"
                f"{ours[0]:>+9.0%}{ours[1]:>+9.0%}{quarter[0]:>+9.0%}{quarter[1]:>+9.0%}"
            )


if __name__ == "__main__":
    main()
