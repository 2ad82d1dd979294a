"""Landmarks and outlines of people → what a decoder's shape is drawn from.

A regression shrinks: whoever is drawn by it has a more average face than people have. So each mode
of the face's shape is drawn wider, until it spreads about as it does among people. What no
embedding tells, the rest of the outline and how the halves of a face differ, becomes quirks.
"""

from __future__ import annotations

import numpy as np
import torch

from speech2face.data.decoder_data import Targets
from speech2face.data.face_unwarping import mirror_order
from speech2face.data.head_outlines import OutlineMoves, follow_landmarks, lengthen_ears
from speech2face.networks.face_decoder import FaceDecoder
from speech2face.training.ridge import solve_ridge

MODES = 12  # of the face's shape that are drawn wider: beyond is noise of the landmarks
WIDER, MOST_WIDER = 1.4, 2.2  # over people's own spread, as voices lie nearer to the average
OUTLINE_PENALTY = 100.0  # of the ridge to the outline, of which fewer people are seen
UNEVEN, MOST_UNEVEN = 3, 0.0016  # modes of asymmetry, and their landmarks' most spread


def solve_shape(
    decoder: FaceDecoder, targets: Targets, outlines: OutlineMoves, penalty: float
) -> None:
    """Fit landmarks and outline to the embeddings, symmetric, and find the quirks."""
    average = decoder.average.numpy()
    views = targets.embeddings.transpose(1, 0, 2) - average
    shape = decoder.mean_shape[: decoder.config.landmarks].numpy().astype(float)
    mirrored = targets.displacements[:, mirror_order(shape)] * [-1, 1]
    symmetric = _flatten((targets.displacements + mirrored) / 2)
    rows = np.tile(symmetric, (len(views), 1))
    slope, offset = solve_ridge(np.concatenate(views), rows, penalty, standardised=True)
    slope = slope + _find_wider(symmetric, views[0] @ slope, slope)
    moves = _flatten(outlines.moves)
    seen = views[:, outlines.rows]
    rows = np.tile(moves, (len(views), 1))
    outline, _ = solve_ridge(np.concatenate(seen), rows, OUTLINE_PENALTY, standardised=True)
    follow = follow_landmarks(shape)

    def extend(landmarks: np.ndarray, outline: np.ndarray) -> np.ndarray:
        """Rows of landmarks (N, 2K) and of the outline's own moves (N, 2O) → of both."""
        taken = np.einsum("ok,nkc->noc", follow, landmarks.reshape(len(landmarks), -1, 2))
        return np.hstack([landmarks, _flatten(taken) + outline])

    rest = _find_modes(moves - seen[0] @ outline, decoder.config.quirks - UNEVEN - 1)
    rest = np.vstack([rest, lengthen_ears().reshape(1, -1)])
    uneven = _find_modes(_flatten(targets.displacements - mirrored) / 2, UNEVEN)
    most = MOST_UNEVEN * np.sqrt(len(shape))
    uneven *= np.minimum(1, most / np.maximum(np.linalg.norm(uneven, axis=1), 1e-9))[:, None]
    nothing = np.zeros((1, moves.shape[1]))
    spread = np.hstack([symmetric.std(0), np.zeros(moves.shape[1])])
    spread += extend(0 * symmetric[:1], np.atleast_2d(moves.std(0)))[0]
    spread[symmetric.shape[1] :] += extend(symmetric, nothing)[:, symmetric.shape[1] :].std(0)
    for buffer, values in (
        (decoder.shape_slope, extend(slope, outline)),
        (decoder.shape_offset, extend(offset[None], nothing)[0]),
        (decoder.shape_spread, spread),
        (
            decoder.quirks,
            np.vstack(
                [
                    extend(uneven, np.zeros((len(uneven), moves.shape[1]))),
                    extend(np.zeros((len(rest), symmetric.shape[1])), rest),
                ]
            ),
        ),
    ):
        buffer.copy_(torch.tensor(values, dtype=torch.float32))


def _flatten(moves: np.ndarray) -> np.ndarray:
    return moves.reshape(len(moves), -1)


def _find_modes(moves: np.ndarray, count: int) -> np.ndarray:
    """The first principal components of moves (N, M), each as long as its standard deviation:
    (count, M); zeros where there are fewer."""
    _, lengths, ways = np.linalg.svd(moves - moves.mean(0), full_matrices=False)
    modes = np.zeros((count, moves.shape[1]))
    found = (lengths[:, None] * ways)[:count] / np.sqrt(len(moves))
    modes[: len(found)] = found
    return modes


def _find_wider(own: np.ndarray, drawn: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """What to add to a slope (D, M), so that the modes of what is `drawn` by it (N, M) spread as
    wide as people's `own` (N, M), and by `WIDER` more, but no more than by `MOST_WIDER`."""
    ways = np.linalg.svd(own - own.mean(0), full_matrices=False)[2][:MODES]
    ratio = (own @ ways.T).std(0) / np.maximum((drawn @ ways.T).std(0), 1e-9)
    wider = np.clip(WIDER * ratio, 1, MOST_WIDER)
    return slope @ ways.T @ ((wider - 1)[:, None] * ways)
