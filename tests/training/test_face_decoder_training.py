"""The face decoder's skin: what is evened before it is learned."""

import numpy as np

from speech2face.cartoon_traits import EYES, LIPS
from speech2face.data.decoder_data import picture_grid
from speech2face.training.face_decoder import EVEN_BEARDS, _even_beards

SIZE = 112


def lay_features() -> np.ndarray:
    """66 landmarks: rings for the eyes and the mouth, the others in the middle."""
    shape = np.full((66, 2), 0.5)
    for of, middle, wide in ((EYES[0], (0.42, 0.48), 0.03), (LIPS, (0.5, 0.67), 0.08)):
        turn = np.linspace(0, 2 * np.pi, len(shape[of]), endpoint=False)
        shape[of] = np.stack([np.cos(turn), 0.4 * np.sin(turn)], axis=1) * wide + middle
    return shape


def test_smears_about_the_mouth_become_one_tone_and_the_rest_stays():
    across, low = picture_grid(SIZE)
    smear = np.exp(-((across / 0.04) ** 2) - ((low - 0.75) / 0.03) ** 2)
    frown = np.exp(-(((across - 0.08) / 0.04) ** 2) - ((low - 0.4) / 0.03) ** 2)
    people = np.array([-0.3, -0.1, 0.1, 0.3])[:, None, None]
    light = (0.6 + people * (smear + frown)).astype(np.float32)
    even = _even_beards(light, lay_features())
    np.testing.assert_allclose(even.mean(0), light.mean(0), atol=1e-5)
    np.testing.assert_array_equal(even[:, low < 0.55], light[:, low < 0.55])
    deepest = np.unravel_index(smear.argmax(), smear.shape)
    kept = even[:, *deepest].std() / light[:, *deepest].std()
    assert 1 - EVEN_BEARDS < kept < 1 - 0.3 * EVEN_BEARDS
