"""One clip of a video → one sample; each stage is a pure function that can be tested alone.

In order: the sound and every few frames are decoded (`video`), faces are detected on them and
linked to tracks (`face_tracking`), the track whose mouth moves with the sound is the speaker's
(`active_speaker`), its best frame is taken (`frame_selection`), aligned and embedded, and the
speech of that track is cut (`clip_to_sample`, which calls them all). A stage that cannot go on
raises `Refused`.
"""


class Refused(Exception):  # noqa: N818
    """This clip gives no sample: which stage says so, and why, in words for the ledger."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason
