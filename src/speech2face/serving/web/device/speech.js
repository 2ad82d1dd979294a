// A recording becomes the speech in it that is clearest, of one person: as Python's speech.py.

import { BLOCK } from "./recording.js";
import { RATE } from "./resampler.js";
import { SpeakerSearch, describeSpeakers, joinSpans } from "./speakers.js";
import { LOOKS, UnclearBlocks } from "./noisy-speech.js";
import { SpeechDetector, measureChunks } from "./speech-detector.js";
import { Candidates } from "./speech-selection.js";
import { cutStretches } from "./speech-stretches.js";
import { concatenate, greatest, mean, peak, power, sum } from "./statistics.js";

/** @typedef {import("./networks.js").Network} Network */
/** @typedef {import("./recording.js").Recording} Recording */
/** @typedef {import("./speakers.js").Speaker} Speaker */
/** @typedef {import("./speakers.js").Voices} Voices */
/** @typedef {import("./speech-selection.js").Stretch} Stretch */

/**
 * What was used of a recording: `samples` at 16 kHz, times in seconds; `speaker` is the number of
 * whose speech it is, null where nobody was told apart.
 * @typedef {{samples: Float32Array, speechSeconds: number, analysedSeconds: number,
 *   segments: [number, number][], warnings: string[], speakers: Speaker[],
 *   speaker: number | null}} Speech
 */

const MOST_SECONDS = 10; // of speech that are used
const LEAST_SECONDS = 0.5;
const CROSSFADE = 80; // samples, 5 ms, where two stretches are joined
const SPEECH_LEVEL = -26; // dBFS of the speech given
const GREATEST_GAIN = 100;
const SILENCE = 10 ** (-70 / 20); // RMS of the loudest chunk of a recording called silent
const UNCLEAR = "the speech was hard to tell from music or noise; the face is less sure";

/** What the reader of the page is told: there is not enough speech. */
export class NoSpeech extends Error {}

/** A recording that was listened to; whose speech is used can be chosen again and again. */
export class AnalysedRecording {
  #warnings;
  #clearest;
  #voices;

  /** @param {string[]} warnings @param {number} seconds @param {Stretch[]} clearest
   * @param {Voices} voices */
  constructor(warnings, seconds, clearest, voices) {
    this.#warnings = warnings;
    this.analysedSeconds = seconds;
    this.#clearest = clearest;
    this.#voices = voices;
  }

  /** The speech of one person by number, or of who speaks most, with a warning where there are
   * others.
   * @param {number} [wanted] @returns {Speech} */
  choose(wanted) {
    const { speakers, stretches } = this.#voices;
    const number = wanted ?? (speakers.length ? 1 : null);
    let chosen = this.#clearest;
    if (number && speakers.length > 1) {
      const own = new Candidates();
      own.add(stretches[number - 1]);
      chosen = own.choose(MOST_SECONDS);
    }
    const warnings = [...this.#warnings];
    if (!wanted && speakers.length > 1) {
      warnings.push(`${describeSpeakers(speakers)}; only speaker 1 was used`);
    }
    return {
      samples: level(join(chosen)),
      speechSeconds: sum(chosen.map(({ seconds }) => seconds)),
      analysedSeconds: this.analysedSeconds,
      segments: joinSpans(chosen.map(({ start, end }) => [start, end])),
      warnings,
      speakers,
      speaker: number,
    };
  }
}

/** Throws NoSpeech. Without `speakerNetwork` nobody is told apart; `tell` is called with how many
 * seconds have been listened to.
 * @param {Recording} recording @param {Network} detectorNetwork
 * @param {Network | null} speakerNetwork @param {(seconds: number) => void | Promise<void>} tell */
export async function analyse(recording, detectorNetwork, speakerNetwork, tell = () => {}) {
  const { samples, levels, warnings } = recording;
  const [detector, unclear] = [new SpeechDetector(detectorNetwork), new UnclearBlocks()];
  let found = new FoundSpeech();
  let loudest = 0;
  for (let start = 0; start < samples.length; start += BLOCK) {
    const block = samples.subarray(start, start + BLOCK);
    const probabilities = await detector.judge(block);
    loudest = greatest(measureChunks(block), loudest);
    found.add(cutStretches(block, probabilities, start));
    if (found.seconds < LEAST_SECONDS) unclear.add(block, probabilities, start);
    else unclear.clear();
    await tell((start + block.length) / RATE);
  }
  const analysed = samples.length / RATE;
  const again = found.seconds < LEAST_SECONDS && analysed >= LEAST_SECONDS && loudest >= SILENCE;
  if (again) found = await lookAgain(found, unclear, detectorNetwork);
  const clearest = found.candidates.choose(MOST_SECONDS);
  const seconds = sum(clearest.map((stretch) => stretch.seconds));
  if (seconds < LEAST_SECONDS) throw new NoSpeech(explain(analysed, loudest, seconds));
  const voices = speakerNetwork
    ? await found.search.find(speakerNetwork, levels)
    : { speakers: [], stretches: [] };
  const notes = again ? [...warnings, UNCLEAR] : warnings;
  return new AnalysedRecording(notes, analysed, clearest, voices);
}

/** The speech that was found in a recording, given block by block. */
class FoundSpeech {
  candidates = new Candidates();
  search = new SpeakerSearch();
  seconds = 0;

  /** @param {Stretch[]} stretches of the next block */
  add(stretches) {
    this.candidates.add(stretches);
    this.search.add(stretches);
    this.seconds += sum(stretches.map((stretch) => stretch.seconds));
  }
}

/** The speech of the first look that finds enough; else the most that any found.
 * @param {FoundSpeech} before @param {UnclearBlocks} unclear @param {Network} detector */
async function lookAgain(before, unclear, detector) {
  let most = before;
  for (const look of LOOKS) {
    const found = new FoundSpeech();
    for (const stretches of await unclear.lookAgain(look, detector)) found.add(stretches);
    if (found.seconds >= LEAST_SECONDS) return found;
    if (found.seconds > most.seconds) most = found;
  }
  return most;
}

/** @param {number} analysed @param {number} loudest @param {number} seconds */
function explain(analysed, loudest, seconds) {
  const remedy = `at least ${LEAST_SECONDS} s of speech are needed`;
  const tenths = (/** @type {number} */ value) => (Math.floor(10 * value) / 10).toFixed(1);
  if (analysed < LEAST_SECONDS) {
    return `the recording lasts only ${tenths(analysed)} s; ${remedy}`;
  }
  if (loudest < SILENCE) return `silence; ${remedy}`;
  if (seconds === 0) return `noise or music but no speech; ${remedy}`;
  return `only ${tenths(seconds)} s of speech; ${remedy}`;
}

/** The stretches one after the other, cross-faded where something between them is left out.
 * @param {Stretch[]} stretches */
function join(stretches) {
  const parts = [stretches[0].samples.slice()];
  stretches.slice(1).forEach((after, i) => {
    let following = after.samples;
    if (stretches[i].end < after.start) {
      const before = parts[parts.length - 1];
      const overlap = before.subarray(Math.max(before.length - CROSSFADE, 0));
      overlap.forEach((value, k) => {
        const share = k / (CROSSFADE - 1);
        overlap[k] = value * (1 - share) + following[k] * share;
      });
      following = following.subarray(CROSSFADE);
    }
    parts.push(following.slice());
  });
  return concatenate(parts);
}

/** To the level at which the encoder learned, without an offset, within ±1.
 * @param {Float32Array} samples */
function level(samples) {
  const middle = mean(samples);
  const centred = samples.map((value) => value - middle);
  const wanted = 10 ** (SPEECH_LEVEL / 20) / Math.sqrt(power(centred));
  const gain = Math.min(wanted, GREATEST_GAIN, 1 / peak(centred));
  return centred.map((value) => value * gain);
}
