"""The work of `audit` on many recordings: a row of bits for each, with their interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from speech2face.batch import ReadingProgress, Row, Work
from speech2face.errors import UsageError
from speech2face.inputs import Input
from speech2face.metrics.audit_results import VoiceAudit
from speech2face.model_folders import find_model
from speech2face.privacy.audit_recording import RecordingAuditor
from speech2face.recording_tasks import Listening, flatten_facts
from speech2face.result_tables import Columns


@dataclass(frozen=True)
class AuditTask:
    """What a voice gives away of its speaker's face; of several people in a recording, of one."""

    model: str
    listening: Listening
    method: str | None = None  # of an anonymiser that disguised all recordings

    command: ClassVar[str] = "audit"
    columns: ClassVar[Columns] = {
        "bits": "number",
        "bits_low": "number",
        "bits_high": "number",
        "bits_of_sex": "number",
        "bits_of_age": "number",
        "bits_of_the_rest": "number",
        "bits_if_plain": "number",
        "mean_place": "whole",
        "strangers": "whole",
        "calibrated_on": "whole",
        "weight": "number",
        "range_db": "number",
        "noisy": "truth",
        "telephone": "truth",
        "disguised_by": "text",
        "disguise_method": "text",
        "disguise_probability": "number",
    }

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides about rows, beside the model."""
        return {"method": self.method, **vars(self.listening)}

    def open(self) -> Work:
        """Load the model. Raises ModelError."""
        auditor = RecordingAuditor(find_model(self.model))

        def work(item: Input, progress: ReadingProgress) -> Row:
            listening = self.listening.of(item)
            if listening.speaker == "all":
                raise UsageError(f"{item.name}: an audit is of one person, not of all speakers.")
            audit = auditor.audit(
                item.recording, method=self.method, with_curve=False, **vars(listening)
            )
            return {"rows": [fill_row(audit.voice)]}

        return work


def fill_row(voice: VoiceAudit) -> Row:
    """The cells of one voice; what is not stated of it is None."""
    bits, parts, disguise = voice.bits, voice.parts, voice.disguised.as_json()
    return flatten_facts(voice.as_json()) | {
        "bits": bits and bits.value,
        "bits_low": bits and bits.low,
        "bits_high": bits and bits.high,
        "bits_of_sex": parts.sex,
        "bits_of_age": parts.age,
        "bits_of_the_rest": parts.rest,
        "bits_if_plain": voice.bits_if_plain,
        "mean_place": voice.mean_place,
        "strangers": voice.strangers,
        "calibrated_on": voice.calibrated_on,
        "weight": voice.weight,
        "range_db": voice.range_db,
        "noisy": bool(voice.noisy),
        "telephone": bool(voice.telephone),
        "disguised_by": disguise["by"],
        "disguise_method": disguise["method"],
        "disguise_probability": disguise["probability"],
    }
