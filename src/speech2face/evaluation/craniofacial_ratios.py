"""Craniofacial ratios: do the proportions of a drawn face follow those of the true one?

The twelve of Oh et al. (CVPR 2019), and the philtrum's width, which they measured and left out.
The landmarks are Farkas' (Anthropometry of the Head and Face, 1994), read from the 468-point mesh.
The paper names its measures but not their landmarks: these are the usual ones of that name.

Every measure is a pure number, the same for a picture enlarged, moved or turned in its plane. An
index is a ratio of two distances by definition. A plain length is divided by the distance between
the outer corners of the eyes, ex–ex, an area by its square: the eyes are what the mesh sees best,
and over the face's width the labio-oral region would be the mouth–face width index once more.
Turning the head shortens widths: compare frontal faces. Parted lips lengthen what ends at sto.

r         Pearson's, between the same ratio of the two faces, over clips; 0 is chance
shuffled  the same after every cyclic shift of one side, pairs of one person left out: its mean, and
          the range of the middle 95 % of shifts, within which an r is luck
within    both among one sex only: what is left when sex is no help
mean      of r over all thirteen, of clips of which all are known; two systems are compared by it
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from speech2face.errors import UsageError
from speech2face.metrics.correlation import mean_pearson
from speech2face.metrics.evaluation_results import Correlation
from speech2face.metrics.intervals import Estimate, bootstrap_statistic

# Landmark → points of the mesh: on the middle line the mean of those named, else on the image's
# left and on its right.
MIDLINE = {
    "n": (168,),  # nasion, at the root of the nose
    "sn": (2,),  # subnasale, where the nose meets the upper lip
    "ls": (0,),  # labiale superius, the upper lip's red border
    "sto": (13, 14),  # stomion, where the closed lips meet
    "li": (17,),  # labiale inferius, the lower lip's red border
    "gn": (152,),  # gnathion, the lowest point of the chin
}
PAIRED = {
    "en": (133, 362),  # endocanthion, the inner corner of the eye
    "ex": (33, 263),  # exocanthion, the outer corner of the eye
    "al": (129, 358),  # alare, the side of the nose's wing
    "sbal": (98, 327),  # subalare, the lower end of the wing's base
    "cph": (37, 267),  # crista philtri, the peak of the upper lip's red border
    "ls'": (39, 269),  # labiale superius laterale, the red border below subalare
    "ch": (61, 291),  # cheilion, the corner of the mouth
    "zy": (234, 454),  # zygion, the face's outline at the cheekbones
    "go": (172, 397),  # gonion, the angle of the jaw
}


@dataclass(frozen=True)
class LandmarkDistances:
    """Distances between landmarks in N faces, (N,) pixels."""

    points: dict[str, np.ndarray]  # (N, 2 sides, 2); on the middle line both sides are the same

    def __call__(self, a: str, b: str) -> np.ndarray:
        """Distance from `a` to `b`, the mean of both sides; if both are one, from side to side."""
        first, second = self.points[a], self.points[b]
        if a == b:
            return np.linalg.norm(first[:, 0] - second[:, 1], axis=-1)
        return np.linalg.norm(first - second, axis=-1).mean(1)

    def area(self, top: str, sides: str, bottom: str) -> np.ndarray:
        """Area of the quadrilateral top, left side, bottom, right side: (N,) square pixels."""
        down = self.points[bottom][:, 0] - self.points[top][:, 0]
        across = self.points[sides][:, 1] - self.points[sides][:, 0]
        return abs(down[:, 0] * across[:, 1] - down[:, 1] * across[:, 0]) / 2


DEFINITIONS: dict[str, Callable[[LandmarkDistances], np.ndarray]] = {
    "upper_lip_height": lambda d: d("sn", "sto") / d("ex", "ex"),
    "lateral_upper_lip_heights": lambda d: d("sbal", "ls'") / d("ex", "ex"),
    "jaw_width": lambda d: d("go", "go") / d("ex", "ex"),
    "nose_height": lambda d: d("n", "sn") / d("ex", "ex"),
    "nose_width": lambda d: d("al", "al") / d("ex", "ex"),
    "labio_oral_region": lambda d: d("ch", "ch") / d("ex", "ex"),
    "mandibular_index": lambda d: d("sto", "gn") / d("go", "go"),
    "intercanthal_index": lambda d: d("en", "en") / d("ex", "ex"),
    "nasal_index": lambda d: d("al", "al") / d("n", "sn"),
    "vermilion_height_index": lambda d: d("ls", "sto") / d("sto", "li"),
    "mouth_face_width_index": lambda d: d("ch", "ch") / d("zy", "zy"),
    "nose_area": lambda d: d.area("n", "al", "sn") / d("ex", "ex") ** 2,
    "philtrum_width": lambda d: d("cph", "cph") / d("ex", "ex"),
}
RATIOS = tuple(DEFINITIONS)
MEAN = "mean"  # beside the ratios: the mean of r over all of them


def measure_ratios(mesh: np.ndarray) -> np.ndarray:
    """Meshes (N, 468, 2) → ratios (N, 13), named by `RATIOS`.

    A ratio is NaN where what it is divided by has no length: the zeros of a face without a shape.
    """
    if mesh.ndim != 3 or mesh.shape[1:] != (468, 2):
        raise UsageError(f"face meshes are of shape (N, 468, 2), not {mesh.shape}.")
    mesh = mesh.astype(np.float64)
    middle = {name: mesh[:, list(index)].mean(1) for name, index in MIDLINE.items()}
    points = {name: np.stack([point, point], 1) for name, point in middle.items()}
    points |= {name: mesh[:, list(index)] for name, index in PAIRED.items()}
    distances = LandmarkDistances(points)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.stack([define(distances) for define in DEFINITIONS.values()], 1)
    return np.where(np.isfinite(ratios), ratios, np.nan)


def correlate_ratios(
    a: np.ndarray,
    b: np.ndarray,
    people: np.ndarray,
    sex: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Correlation]:
    """Ratios (N, 13) of two pictures of each clip, person (N,) and sex (N,) → by name, last `MEAN`.

    Rows with NaN on either side are left out, of each ratio for itself; so are, within a sex,
    those whose label is empty.
    """
    if a.shape != b.shape or a.shape != (len(people), len(RATIOS)):
        raise UsageError(f"ratios are of shape (N, {len(RATIOS)}), not {a.shape} and {b.shape}.")
    if sex is not None and len(sex) != len(people):
        raise UsageError(f"{len(sex)} labels of sex for {len(people)} clips.")
    columns_of = {name: [column] for column, name in enumerate(RATIOS)}
    columns_of[MEAN] = list(range(len(RATIOS)))
    correlations = {}
    for name, columns in columns_of.items():
        one, other = a[:, columns], b[:, columns]
        known = (np.isfinite(one) & np.isfinite(other)).all(1)
        rows_of = {} if sex is None else {s: known & (sex == s) for s in sorted(set(sex) - {""})}
        within = {
            str(label): _correlate(one[rows], other[rows], people[rows], seed, {})
            for label, rows in rows_of.items()
        }
        correlations[name] = _correlate(one[known], other[known], people[known], seed, within)
    return correlations


def compare_ratios(
    first: tuple[np.ndarray, np.ndarray],
    other: tuple[np.ndarray, np.ndarray],
    people: np.ndarray,
    seed: int = 0,
) -> Estimate:
    """The mean r of the first system less the other's, both on the same draws.

    Each is two sets of ratios (n, 13), all known: of its copies and of what it draws from voices.
    """
    return bootstrap_statistic(
        lambda weights: mean_pearson(*first, weights) - mean_pearson(*other, weights),
        people,
        seed=seed,
    )


def _correlate(
    a: np.ndarray, b: np.ndarray, people: np.ndarray, seed: int, within: dict[str, Correlation]
) -> Correlation:
    """Ratios (n, k) twice: the mean of r over the k."""
    if np.isnan(mean_pearson(a, b)):
        return Correlation(len(a), None, None, within)
    r = bootstrap_statistic(lambda weights: mean_pearson(a, b, weights), people, seed=seed)
    return Correlation(len(a), r, _shuffle(a, b, people), within)


def _shuffle(a: np.ndarray, b: np.ndarray, people: np.ndarray) -> Estimate | None:
    """r with another person's face: its mean over cyclic shifts, and the range of 95 % of them."""
    values = []
    for shift in range(1, len(a)):
        others = people != np.roll(people, shift)
        values.append(mean_pearson(a[others], np.roll(b, shift, axis=0)[others]))
    known = np.array(values)[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(float(known.mean()), float(low), float(high))
