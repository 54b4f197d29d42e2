"""Number words of several languages with typing errors, no string twice."""

from __future__ import annotations

import numpy as np

NUMBER_WORDS = {  # 0..9, without diacritics
    "english": "zero one two three four five six seven eight nine",
    "german": "null eins zwei drei vier funf sechs sieben acht neun",
    "french": "zero un deux trois quatre cinq six sept huit neuf",
    "spanish": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "italian": "zero uno due tre quattro cinque sei sette otto nove",
    "portuguese": "zero um dois tres quatro cinco seis sete oito nove",
    "dutch": "nul een twee drie vier vijf zes zeven acht negen",
    "swedish": "noll ett tva tre fyra fem sex sju atta nio",
}


KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def typo(word: str, rng: np.random.Generator) -> str:
    """`word` with two letters swapped, one dropped, one doubled, or one replaced by its neighbour
    on the keyboard.
    """
    i = int(rng.integers(len(word)))
    match rng.choice(["swap", "drop", "double", "neighbour"]):
        case "swap":
            i = min(i, len(word) - 2)
            return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        case "drop" if len(word) > 2:
            return word[:i] + word[i + 1 :]
        case "double":
            return word[:i] + 2 * word[i] + word[i + 1 :]
    row = next(r for r in KEYBOARD if word[i] in r)
    near = [row[j] for j in (row.index(word[i]) - 1, row.index(word[i]) + 1) if 0 <= j < len(row)]
    return word[:i] + str(rng.choice(near)) + word[i + 1 :]


def misspelled(labels: np.ndarray, rng: np.random.Generator) -> list[str]:
    """One string per label, no string twice: so none is in two splits, and none stands for two
    digits.
    """
    correct = {w: d for words in NUMBER_WORDS.values() for d, w in enumerate(words.split())}
    seen, out = set(), []
    for digit in labels:
        while True:
            word = rng.choice(list(NUMBER_WORDS.values())).split()[digit]
            for _ in range(int(rng.integers(1, 4))):  # one to three typos
                word = typo(word, rng)
            # "sei" is six in Italian: a misspelling that is another digit's word would be a wrong
            # label
            if word not in seen and correct.get(word, digit) == digit and len(word) <= 12:
                break
        seen.add(word)
        out.append(word)
    return out
