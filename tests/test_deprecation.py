"""Names that were changed still work for one version, and say what they are called now."""

from __future__ import annotations

import pytest

from helpers.sounds import EXAMPLES
from speech2face import load, media


def test_old_names_of_an_embedding_and_of_speech_warn() -> None:
    voice = load().embed(EXAMPLES / "alex.flac")
    old = [
        (voice, "VoiceEmbedding", "average", "prior_mean"),
        (voice, "VoiceEmbedding", "shown", "decoded_embedding"),
        (voice.speech, "Speech", "seconds", "speech_seconds"),
        (voice.speech, "Speech", "heard_seconds", "analysed_seconds"),
    ]
    for instance, name, before, now in old:
        with pytest.warns(DeprecationWarning, match=f"^{name}.{before} is called {now} now; "):
            value = getattr(instance, before)
        assert value is getattr(instance, now)


def test_old_name_of_a_source_warns_and_unknown_names_stay_unknown() -> None:
    with pytest.warns(DeprecationWarning, match=r"^media.Source is called media.AudioSource now"):
        assert media.Source is media.AudioSource
    with pytest.raises(AttributeError, match="no attribute 'source'"):
        media.source  # noqa: B018
