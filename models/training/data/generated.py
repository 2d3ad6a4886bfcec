"""A music world of our own: free of any licence, and the same for the same seed.

Users like genres by age group, by gender and by themselves; songs belong to one or two genres and have a place in a
space of tastes near them, which content tells roughly and only plays tell exactly. How it is made:

- genres: ``GENRES``, each with a centre in ``DIM`` dimensions, a cohort (birth years that grew up with it) and a lean
  of gender;
- songs: one genre, with probability .4 a second one; place = mean of the centres + noise; appeal log-normal, so that
  few are played much; newer ones appeal a little more;
- users: year of birth, gender (6 % do not tell it), occupation by age; taste = genres weighted by a Dirichlet draw
  around what cohort and gender lean to, + noise;
- plays: how many is log-normal a user; which ones is drawn without repetition with probability ~ exp(sharpness *
  taste . place + appeal) (Gumbel top-k, Kool et al. 2019, arXiv:1903.06059), so a user and a song meet once at most;
- completion: logistic in taste . place, with noise; ``SKIPPED`` of plays are skips for no reason; liked = finished, and
  a draw that grows with taste . place;
- time: sessions of up to twelve songs, evenings more than mornings, weekends more than weekdays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset import FINISHED, GENDERS, Dataset, DatasetError, Interactions, Items, Users

NAME = "generated"
SOURCE = "synthetic: models/training/data/generated.py, seed {seed}; no user is a person"
DIM = 16
BORN, COHORT_YEARS = (1946, 2012), 14.0
GENRES: dict[str, tuple[float, float]] = {
    "ambient": (1985, 0.0),
    "blues": (1955, 0.3),
    "classical": (1960, -0.1),
    "dance": (1990, -0.2),
    "folk": (1965, -0.2),
    "hip-hop": (1998, 0.3),
    "indie": (1992, 0.0),
    "jazz": (1958, 0.2),
    "metal": (1982, 0.7),
    "pop": (2000, -0.5),
    "rock": (1972, 0.3),
    "soundtrack": (1988, -0.1),
}
"""Genre -> middle year of birth of those who grew up with it, and its lean: above 0 to men, below to women."""
OCCUPATIONS = ("", "artist", "educator", "engineer", "healthcare", "none", "other", "retired", "student")
SKIPPED = 0.08
SONGS_A_SESSION, DAY_MS, HOUR_MS = 12, 86_400_000, 3_600_000
BY_HOUR = np.array([2, 1, 1, 1, 1, 1, 2, 4, 5, 4, 4, 4, 5, 4, 4, 4, 5, 6, 7, 8, 9, 9, 7, 4], np.float64)
BY_WEEKDAY = np.array([1.0, 1.0, 1.0, 1.1, 1.3, 1.5, 1.4])
FIRST_WORDS = "Amber Blue Clear Distant Early Faded Golden Hollow Iron Late Little Marble Northern Open Paper Quiet Red Silver Tidal Winter".split()  # noqa: E501, SIM905
LAST_WORDS = "Avenue Bridge Canyon Dance Echo Fields Garden Harbour Island Journey Kites Lanterns Morning Numbers Orbit Parade River Season Trains Voices".split()  # noqa: E501, SIM905
ENDS_MS = 1_767_225_600_000
"""End of the last day: 2026-01-01 UTC, a Thursday."""


@dataclass(frozen=True, slots=True)
class Config:
    """Size and temper of a world.

    Attributes:
        users: Users.
        items: Songs.
        plays: Plays in all, roughly: a user plays no song twice.
        seed: The same gives the same world.
        days: Days that the plays spread over.
        sharpness: How much taste decides what is played; 0: not at all.
        second: Share of the songs that belong to a second genre.
        scatter: How far songs lie from the centre of their genres, against the length of a centre: what content does
            not tell.
        breadth: How many genres a user likes: large for many, near 0 for one.
        appeal: Standard deviation of the log appeal: how much more some songs are played than others of their place.
    """

    users: int = 1000
    items: int = 1500
    plays: int = 100_000
    seed: int = 1
    days: int = 120
    sharpness: float = 3.0
    second: float = 0.4
    scatter: float = 0.6
    breadth: float = 5.0
    appeal: float = 1.1

    @classmethod
    def debug(cls) -> Config:
        """A handful."""
        return cls(users=30, items=40, plays=300, days=10)


def generate(
    config: Config = Config(),
    genres: Mapping[str, tuple[float, float]] = GENRES,
    families: Mapping[str, str] | None = None,
) -> Dataset:
    """A world, in order of time.

    Args:
        config: Size and temper.
        genres: As ``GENRES``; they become the tags.
        families: Family of each genre; who likes one of a family likes the others more than strangers do. None: every
            genre stands for itself.

    Raises:
        DatasetError: a size below one, or more plays than half the pairs of user and song.
    """
    if min(config.users, config.items, config.plays, config.days) < 1:
        raise DatasetError(f"{NAME}: users, items, plays and days must be at least 1")
    if config.plays > config.users * config.items // 2:
        raise DatasetError(f"{NAME}: {config.plays} plays need more users or items: nobody plays a song twice")
    random = np.random.default_rng([config.seed, 20261121])
    centres = random.normal(size=(len(genres), DIM)) / np.sqrt(DIM)  # [G, D]
    if families is not None:
        centres = _related(centres, [families[name] for name in genres], random)
    items, places, appeal = _songs(config, tuple(genres), centres, random)
    users, tastes = _listeners(config, genres, centres, random)
    affinity = tastes @ places.T  # [U, I]
    affinity = (affinity - affinity.mean()) / affinity.std()
    user, item = _chosen(affinity, appeal, config, random)
    at_ms = _moments(user, config, random)
    order = np.lexsort((item, at_ms))
    user, item, at_ms = user[order], item[order], at_ms[order]
    felt = affinity[user, item] + random.normal(0.0, 0.6, len(user))
    completion = 1.0 / (1.0 + np.exp(-(1.1 * felt - 0.9)))
    # who gets near the end hears it out
    completion = np.where(completion > 0.8, 1.0, completion)
    completion = np.where(random.random(len(user)) < SKIPPED, random.uniform(0.0, 0.15, len(user)), completion)
    completion = completion.astype(np.float32)
    liked = (completion >= FINISHED) & (random.random(len(user)) < 1.0 / (1.0 + np.exp(-felt)))
    length_ms = random.integers(120_000, 300_000, config.items)[item]
    return Dataset(
        NAME,
        SOURCE.format(seed=config.seed),
        users,
        items,
        Interactions(
            user.astype(np.int32),
            item.astype(np.int32),
            at_ms,
            np.ones(len(user), np.bool_),
            liked,
            completion,
            (completion * length_ms).astype(np.int32),
            np.full(len(user), -1, np.int16),
        ),
    )


def _related(centres: NDArray[np.float64], families: list[str], random: np.random.Generator) -> NDArray[np.float64]:
    """The same centres [G, D], drawn towards one that their family shares; as long as before in the mean."""
    names, family = np.unique(families, return_inverse=True)
    shared = random.normal(size=(len(names), DIM)) / np.sqrt(DIM)
    return 0.8 * shared[family] + 0.6 * centres


def _songs(
    config: Config, genres: tuple[str, ...], centres: NDArray[np.float64], random: np.random.Generator
) -> tuple[Items, NDArray[np.float64], NDArray[np.float64]]:
    """Items, places float64 [I, D], log appeal [I]."""
    count = config.items
    tagged = np.zeros((count, len(genres)), np.bool_)
    tagged[np.arange(count), random.integers(len(genres), size=count)] = True
    second = random.random(count) < config.second
    tagged[second, random.integers(len(genres), size=int(second.sum()))] = True
    places = tagged @ centres / tagged.sum(axis=1, keepdims=True)
    places = places + random.normal(size=(count, DIM)) * config.scatter / np.sqrt(DIM)
    year = (2025 - random.exponential(12.0, count)).clip(1950, 2025).astype(np.int16)
    appeal = random.normal(0.0, config.appeal, count) + 0.02 * (year.astype(np.float64) - 2010)
    words = random.integers((len(FIRST_WORDS), len(LAST_WORDS)), size=(count, 2))
    titles = tuple(f"{FIRST_WORDS[first]} {LAST_WORDS[last]}" for first, last in words)
    ids = tuple(f"s{number}" for number in range(count))
    return Items(ids, titles, year, genres, tagged, {}, {}), places, appeal


def _listeners(
    config: Config,
    genres: Mapping[str, tuple[float, float]],
    centres: NDArray[np.float64],
    random: np.random.Generator,
) -> tuple[Users, NDArray[np.float64]]:
    """Users and their tastes, float64 [U, D]."""
    count = config.users
    born = (BORN[0] + (BORN[1] - BORN[0]) * random.beta(3.0, 2.2, count)).astype(np.int64)
    age = 2025 - born
    gender = random.choice(len(GENDERS), count, p=(0.06, 0.47, 0.47))
    middle, lean = np.array(list(genres.values())).T  # [G], [G]
    side = np.where(gender == GENDERS.index("male"), 1.0, np.where(gender == GENDERS.index("female"), -1.0, 0.0))
    drawn_to = np.exp(-(((born[:, None] - middle) / COHORT_YEARS) ** 2) / 2 + side[:, None] * lean)  # [U, G]
    drawn_to = drawn_to / drawn_to.sum(axis=1, keepdims=True)
    weights = random.standard_gamma(drawn_to * config.breadth + 0.05)  # a Dirichlet draw before its scale
    weights = weights / weights.sum(axis=1, keepdims=True)
    tastes = weights @ centres + random.normal(size=(count, DIM)) * 0.25 / np.sqrt(DIM)
    return (
        Users(
            tuple(str(number) for number in range(count)),
            age.astype(np.int16),
            gender.astype(np.int8),
            _work(age, random),
            OCCUPATIONS,
        ),
        tastes,
    )


def _work(age: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int16]:
    """Occupation by age [U]: the young are students, the old retired, mostly."""
    grown = [name for name in OCCUPATIONS if name not in ("", "student", "retired")]
    drawn = np.array([OCCUPATIONS.index(name) for name in grown])[random.integers(len(grown), size=len(age))]
    sure = random.random(len(age)) < 0.85
    drawn = np.where((age < 23) & sure, OCCUPATIONS.index("student"), drawn)
    drawn = np.where((age > 65) & sure, OCCUPATIONS.index("retired"), drawn)
    return np.where(random.random(len(age)) < 0.05, 0, drawn).astype(np.int16)


def _chosen(
    affinity: NDArray[np.float64], appeal: NDArray[np.float64], config: Config, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Users and songs of all plays, [N] each, a user's one after the other."""
    activity = random.lognormal(0.0, 0.9, config.users)
    most = config.items * 3 // 4
    counts = np.clip(np.rint(activity / activity.sum() * config.plays), 1, max(most, 1)).astype(np.int64)  # [U]
    keys = config.sharpness * affinity + appeal + random.gumbel(size=affinity.shape)
    ranked = np.argsort(-keys, axis=1, kind="stable")
    user = np.repeat(np.arange(config.users), counts)
    item = np.concatenate([random.permutation(ranked[row, :count]) for row, count in enumerate(counts)])
    return user, item


def _moments(user: NDArray[np.int64], config: Config, random: np.random.Generator) -> NDArray[np.int64]:
    """When each play was, Unix ms [N]; ``user`` holds a user's plays one after the other."""
    days = np.arange(config.days)
    # day 0 of the epoch was a Thursday, weekday 3
    weekday = (ENDS_MS // DAY_MS - config.days + days + 3) % 7
    shares = BY_WEEKDAY[weekday] / BY_WEEKDAY[weekday].sum()
    _, start, counts = np.unique(user, return_index=True, return_counts=True)
    place = np.arange(len(user)) - np.repeat(start, counts)
    session = np.cumsum(place % SONGS_A_SESSION == 0) - 1  # [N]: each user begins one
    number = int(session[-1]) + 1
    day = random.choice(config.days, number, p=shares)
    hour = random.choice(24, number, p=BY_HOUR / BY_HOUR.sum())
    begins = ENDS_MS - (config.days - day) * DAY_MS + hour * HOUR_MS + random.integers(HOUR_MS, size=number)
    gaps = random.integers(20_000, 280_000, len(user))
    heard = np.cumsum(gaps)
    first = np.flatnonzero(np.diff(session, prepend=-1))
    moments: NDArray[np.int64] = begins[session] + heard - np.repeat(heard[first], np.diff(first, append=len(user)))
    return moments
