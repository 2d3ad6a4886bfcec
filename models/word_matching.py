"""Word lists: which listed words a text contains, however they are dressed up.

A list is a UTF-8 file ``<category>.<language>.txt``. A line is a word or a phrase; ``[0.85]`` on a line
of its own sets the severity of what follows; ``#`` begins a comment. ``allowed.<language>.txt`` holds
phrases inside which no hit counts.

A text is compared in several views, because each undoing also destroys something: folded (NFKC,
lower case, accents and invisible characters off), the same with digits and signs read as letters
(``1d10t``), with stretched letters shortened (``idiooot``), and with letters that stand alone joined
(``i d i o t``). Latin words match whole words only, so ``Scunthorpe``, ``assess`` and ``therapist``
pass. Chinese is written without spaces: its entries match anywhere in a text freed from all
that is neither letter nor digit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_ALLOWED = "allowed"
_DEFAULT_SEVERITY = 0.85
_LEET = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})
_LEET_WORD = re.compile(r"[a-z0-9@$!]*[a-z][a-z0-9@$!]*")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_SPELLED = re.compile(r"(?<![a-z0-9])(?:[a-z0-9@$!][\s._\-*+/|,]{1,3}){2,}[a-z0-9@$!](?![a-z0-9])")
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_GAP = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class WordHit:
    """A listed word that a text contains.

    Attributes:
        word: The entry as it stands in the list, not the user's spelling.
        category: Category of the list, for example ``threat``.
        severity: 0..1, how far the word alone speaks for a breach.
    """

    word: str
    category: str
    severity: float


class WordLists:
    """Compiled word lists. Immutable; may be used by several threads.

    Args:
        folders: Folders of lists; all files named ``<category>.<language>.txt`` in them are read.

    Raises:
        ValueError: A file name, a severity or an entry is malformed, or there is no entry at all.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        latin: dict[str, WordHit] = {}
        chinese: dict[str, WordHit] = {}
        allowed: list[str] = []
        for path in (path for folder in folders for path in sorted(folder.glob("*.txt"))):
            category, _, language = path.stem.rpartition(".")
            if not category or not language:
                raise ValueError(f"{path}: a list is named <category>.<language>.txt")
            for entry, severity in _entries(path):
                key = _key(entry)
                if not key:
                    raise ValueError(f"{path}: nothing to look for in {entry!r}")
                if category == _ALLOWED:
                    allowed.append(key)
                else:
                    (chinese if _CJK.search(key) else latin)[key] = WordHit(entry, category, severity)
        if not latin and not chinese:
            raise ValueError(f"no word list in {[str(folder) for folder in folders]}")
        self._hits = latin | chinese
        self._latin = _alternatives(latin, r"(?<![a-z0-9])(?:{})(?![a-z0-9])")
        self._chinese = _alternatives(chinese, "{}")
        self._allowed_latin = _alternatives(
            [key for key in allowed if not _CJK.search(key)], r"(?<![a-z0-9])(?:{})(?![a-z0-9])"
        )
        self._allowed_chinese = _alternatives([key for key in allowed if _CJK.search(key)], "{}")

    def find(self, text: str) -> tuple[WordHit, ...]:
        """Listed words in a text, each once, the most severe first."""
        folded = fold(text)
        found: dict[str, WordHit] = {}
        for view in _views(folded):
            spaced = " ".join(_GAP.sub(" ", view).split())
            cleared = self._allowed_latin.sub(" | ", spaced)
            found |= {key: self._hits[key] for key in self._latin.findall(cleared)}
        joined = self._allowed_chinese.sub("|", _GAP.sub("", folded))
        found |= {key: self._hits[key] for key in self._chinese.findall(joined)}
        return tuple(sorted(found.values(), key=lambda hit: (-hit.severity, hit.word)))


def fold(text: str) -> str:
    """NFKC, lower case, without accents on Latin letters and without invisible characters."""
    compatible = unicodedata.normalize("NFKC", text).casefold()
    marks = unicodedata.normalize("NFD", compatible)
    kept = (c for c in marks if unicodedata.category(c) not in {"Mn", "Cf", "Me"})
    return unicodedata.normalize("NFC", "".join(kept))


def _views(folded: str) -> Iterator[str]:
    plain = folded.replace("'", "").replace("’", "")
    joined = _SPELLED.sub(lambda match: re.sub(r"[\s._\-*+/|,]", "", match.group()), plain)
    for view in dict.fromkeys((plain, joined)):
        yield view
        read = _LEET_WORD.sub(_as_letters, view)
        yield read
        yield _STRETCHED.sub(r"\1", read)
        yield _STRETCHED.sub(r"\1\1", read)


def _as_letters(word: re.Match[str]) -> str:
    # a mark at the end is a mark: "kill!" is not "killi"
    body = word.group().rstrip("!")
    return body.translate(_LEET) + word.group()[len(body) :]


def _key(entry: str) -> str:
    folded = fold(entry).replace("'", "").replace("’", "")
    return _GAP.sub("", folded) if _CJK.search(folded) else " ".join(_GAP.sub(" ", folded).split())


def _entries(path: Path) -> Iterator[tuple[str, float]]:
    severity = _DEFAULT_SEVERITY
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = line.partition("#")[0].strip()
        if entry.startswith("["):
            severity = float(entry.strip("[]"))
            if not 0.0 < severity <= 1.0:
                raise ValueError(f"{path}: severity {severity} is not in 0..1")
        elif entry:
            yield entry, severity


def _alternatives(keys: Iterable[str], frame: str) -> re.Pattern[str]:
    ordered = sorted(keys, key=len, reverse=True)
    if not ordered:
        return re.compile(r"(?!)")
    return re.compile(frame.format("|".join(re.escape(key) for key in ordered)))
