"""Whether it is told when the recogniser of English makes words up: the threshold, and its errors.

    python benchmarks/recogniser_confidence.py VOICES [--clips N] [--write]

Needs the extra `natural` and espeak-ng, and two minutes of processor time. VOICES holds voices.csv
(clip, speaker) and audio/CLIP.flac, English; each clip is heard in one of four ways by turns: as it
is, two seconds of it, in noise of 10 dB, and over a telephone. Other languages are read by
espeak-ng's voices, and by Kokoro's where it knows them; both read English as well, so that what is
measured is the language and not the machine. The threshold is chosen on half of the people and half
of the languages, where the two rates of error add up to the least; what is reported is the other
half. --write stores benchmarks/recogniser_confidence.json.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from speech2face.console import ProgressBars
from speech2face.files import write_text_atomically
from speech2face.media import SAMPLE_RATE, load_audio
from speech2face.metrics.intervals import bootstrap_people
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.asr import transcribe
from speech2face.privacy.espeak import EspeakVoice
from speech2face.privacy.kokoro import KokoroVoice
from speech2face.privacy.recogniser_confidence import LEAST_CONFIDENCE
from speech2face.tables import read_table

HERE = Path(__file__).parent
STORED = HERE / "recogniser_confidence.json"
ENGLISH = "English"
SHORT, DECIBELS = 2 * SAMPLE_RATE, 10

# The same three sentences in each language, by espeak-ng's name of it.
SENTENCES: dict[str, tuple[str, str, str]] = {
    "en-us": (
        "Last night we walked along the river for a long time and talked about work.",
        "The ministry never published the report, although many people knew what was in it.",
        "My grandmother bakes a cake every Sunday with apples from the garden.",
    ),
    "de": (
        "Gestern Abend sind wir lange am Fluss entlang gegangen und haben über Arbeit gesprochen.",
        "Das Ministerium hat den Bericht nie veröffentlicht, obwohl viele davon wussten.",
        "Meine Großmutter backt jeden Sonntag einen Kuchen mit Äpfeln aus dem Garten.",
    ),
    "es": (
        "Anoche caminamos mucho tiempo junto al río hablando del trabajo.",
        "El ministerio nunca publicó el informe, aunque mucha gente conocía su contenido.",
        "Mi abuela prepara todos los domingos una tarta con las manzanas del jardín.",
    ),
    "ru": (
        "Вчера вечером мы долго гуляли вдоль реки и говорили о работе.",
        "Министерство так и не опубликовало доклад, хотя многие знали о нём.",
        "Моя бабушка каждое воскресенье печёт пирог с яблоками из сада.",
    ),
    "cmn": (
        "昨天晚上我们沿着河边走了很久，一直在谈工作。",
        "政府从来没有公布过那份报告，虽然很多人都知道它的内容。",
        "我奶奶每个星期天都用院子里的苹果做蛋糕。",
    ),
    "nl": (
        "Gisteravond hebben we nog lang langs de rivier gewandeld en over het werk gepraat.",
        "Het ministerie heeft het rapport nooit gepubliceerd, hoewel velen ervan wisten.",
        "Mijn grootmoeder bakt elke zondag een taart met appels uit de tuin.",
    ),
    "fr-fr": (
        "Hier soir nous avons marché longtemps le long de la rivière en parlant du travail.",
        "Le ministère n'a jamais publié ce rapport, alors que beaucoup le connaissaient.",
        "Ma grand-mère prépare tous les dimanches un gâteau avec les pommes du jardin.",
    ),
    "it": (
        "Ieri sera abbiamo camminato a lungo lungo il fiume parlando del lavoro.",
        "Il ministero non ha mai pubblicato il rapporto, anche se molti lo conoscevano.",
        "Mia nonna prepara ogni domenica una torta con le mele del giardino.",
    ),
    "ja": (
        "きのうのよる、わたしたちはかわにそってながいあいだあるきました。",
        "そのほうこくしょは、いちどもこうひょうされませんでした。",
        "そぼはまいしゅうにちようびににわのりんごでけーきをやきます。",
    ),
    "pt-br": (
        "Ontem à noite caminhamos muito tempo ao longo do rio, falando do trabalho.",
        "O ministério nunca publicou o relatório, embora muitos conhecessem o conteúdo.",
        "Minha avó prepara todo domingo um bolo com as maçãs do jardim.",
    ),
    "pl": (
        "Wczoraj wieczorem długo spacerowaliśmy wzdłuż rzeki i rozmawialiśmy o pracy.",
        "Ministerstwo nigdy nie opublikowało raportu, choć wielu znało jego treść.",
        "Moja babcia w każdą niedzielę piecze ciasto z jabłkami z ogrodu.",
    ),
    "sv": (
        "I går kväll gick vi länge längs floden och pratade om arbetet.",
        "Myndigheten har aldrig offentliggjort rapporten, trots att många kände till den.",
        "Min mormor bakar varje söndag en kaka med äpplen från trädgården.",
    ),
}
TUNING = ("de", "es", "ru", "cmn", "nl")  # languages; the others are tested
VARIANTS = ("", "+f2", "+m3")  # of espeak-ng's voices
KOKORO = ("es", "fr-fr", "it", "pt-br")  # languages that Kokoro knows, beside English


@dataclass(frozen=True)
class Heard:
    """An utterance that was heard."""

    kind: str
    english: bool
    speaker: str  # or the language and voice
    tuning: bool
    confidence: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure whether made-up words are told.")
    parser.add_argument("voices", type=Path)
    parser.add_argument("--clips", type=int, help="that many, drawn by chance [default: all]")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    rows = read_table(given.voices / "voices.csv", ("clip", "speaker"))
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[: given.clips]]
    heard: list[Heard] = []
    with ProgressBars() as show:
        for number, row in enumerate(rows):
            show("people", number, len(rows), row["clip"])
            samples = load_audio(given.voices / "audio" / f"{row['clip']}.flac").samples
            tuning = zlib.crc32(row["speaker"].encode()) % 2 == 0
            kind, samples = alter(samples, number)
            heard += hear(samples, kind, True, row["speaker"], tuning)
        machines = list(list_machines())
        for number, (kind, language, name, voice, words) in enumerate(machines):
            show("machines", number, len(machines), name)
            samples = voice.speak(words, len(words) / 15)
            tuned = language in TUNING
            heard += hear(samples, kind, language == "en-us", name, tuned)
    results = summarise(heard) | {"speech2face": version("speech2face")}
    print(json.dumps(results, indent=2))
    if given.write:
        write_text_atomically(STORED, json.dumps(results, indent=2) + "\n")


def alter(samples: np.ndarray, number: int) -> tuple[str, np.ndarray]:
    """One of four ways to hear a sound, by its number, and the sound so."""
    way = number % 4
    if way == 0:
        return "as it is", samples
    if way == 1:
        return "two seconds", samples[:SHORT]
    if way == 2:
        level = float(np.sqrt((samples**2).mean())) * 10 ** (-DECIBELS / 20)
        random = np.random.default_rng(number)
        return "noise", samples + random.normal(0, level, len(samples)).astype(np.float32)
    return "telephone", load_anonymiser("telephone")(samples, number)


def list_machines() -> Iterator[tuple[str, str, str, Any, str]]:
    """Kind, language, name, voice and words of what machines say."""
    for language, sentences in SENTENCES.items():
        for variant in VARIANTS:
            for words in sentences:
                name = f"{language}{variant}"
                yield "espeak-ng", language, name, EspeakVoice(name), words
    for language in ("en-us", *KOKORO):
        for words in SENTENCES[language][:2]:
            yield (
                "Kokoro",
                language,
                f"Kokoro, {language}",
                KokoroVoice("jf_alpha", language),
                words,
            )


def hear(samples: np.ndarray, kind: str, english: bool, name: str, tuning: bool) -> list[Heard]:
    return [
        Heard(kind, english, name, tuning, utterance.confidence)
        for utterance in transcribe(samples)
    ]


def summarise(heard: list[Heard]) -> dict[str, Any]:
    """English by people decides with the other languages; English by machines is beside."""
    people = [h for h in heard if h.kind not in ("espeak-ng", "Kokoro")]
    foreign = [h for h in heard if not h.english]
    machines = [h for h in heard if h.english and h.kind in ("espeak-ng", "Kokoro")]
    tested = [h for h in people + foreign if not h.tuning]
    groups = {f"{ENGLISH}, {kind}": [h for h in tested if h.english and h.kind == kind]
              for kind in dict.fromkeys(h.kind for h in people)}  # fmt: skip
    groups |= {f"{ENGLISH}, all": [h for h in tested if h.english]}
    groups |= {f"{ENGLISH} by {kind}": [h for h in machines if h.kind == kind]
               for kind in ("espeak-ng", "Kokoro")}  # fmt: skip
    groups |= {f"other languages, {kind}": [h for h in tested if not h.english and h.kind == kind]
               for kind in ("espeak-ng", "Kokoro")}  # fmt: skip
    groups |= {"other languages, all": [h for h in tested if not h.english]}
    return {
        "threshold": LEAST_CONFIDENCE,
        "best_on_tuning": choose([h for h in people + foreign if h.tuning]),
        "languages_tested": sorted({h.speaker.split("+")[0] for h in groups["other languages, all"]
                                    if h.kind == "espeak-ng"}),
        "understood": {name: count(group) for name, group in groups.items()},
    }  # fmt: skip


def choose(heard: list[Heard]) -> float:
    """The threshold, to a twentieth, at which the two rates of error add up to the least."""
    values = np.array([h.confidence for h in heard])
    english = np.array([h.english for h in heard])
    thresholds = np.arange(-2.0, 0.0, 0.05)
    errors = [(values[english] < t).mean() + (values[~english] >= t).mean() for t in thresholds]
    return round(float(thresholds[int(np.argmin(errors))]), 2)


def count(heard: list[Heard]) -> dict[str, Any]:
    """The share of utterances that is believed, with an interval over speakers."""
    believed = np.array([h.confidence >= LEAST_CONFIDENCE for h in heard], float)
    share = bootstrap_people(believed, np.array([h.speaker for h in heard]))
    return {
        "utterances": len(heard),
        "value": round(share.value, 4),
        "low": round(share.low, 4),
        "high": round(share.high, 4),
    }


if __name__ == "__main__":
    main()
