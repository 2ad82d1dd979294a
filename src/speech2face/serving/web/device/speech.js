// A recording becomes the speech in it that is clearest, of one person: as Python's speech.py.

import { BLOCK } from "./recording.js";
import { RATE } from "./resampler.js";
import { SpeakerSearch, describeSpeakers, joinSpans } from "./speakers.js";
import { CHUNK, SpeechDetector, measureChunks } from "./speech-detector.js";
import { Candidates, Stretch } from "./speech-selection.js";
import { concatenate, greatest, mean, peak, power, sum } from "./statistics.js";

/** @typedef {import("./networks.js").Network} Network */
/** @typedef {import("./recording.js").Recording} Recording */
/** @typedef {import("./speakers.js").Speaker} Speaker */
/** @typedef {import("./speakers.js").Voices} Voices */

/**
 * What was used of a recording: `samples` at 16 kHz, times in seconds; `speaker` is the number of
 * whose speech it is, null where nobody was told apart.
 * @typedef {{samples: Float32Array, speechSeconds: number, analysedSeconds: number,
 *   segments: [number, number][], warnings: string[], speakers: Speaker[],
 *   speaker: number | null}} Speech
 */

const MOST_SECONDS = 10; // of speech that are used
const LEAST_SECONDS = 0.5;
const START = 0.4; // probability at which speech begins
const STAY = 0.25; // above which it goes on
const LONGEST_PAUSE = 9; // chunks: pauses up to 0.29 s are kept
const EDGE = 3; // chunks kept before and after speech: soft onsets and endings
const LEAST_VOICED = 6; // chunks: less than 0.19 s is a knock or a note, not speech
const CROSSFADE = 80; // samples, 5 ms, where two stretches are joined
const SPEECH_LEVEL = -26; // dBFS of the speech given
const GREATEST_GAIN = 100;
const SILENCE = 10 ** (-70 / 20); // RMS of the loudest chunk of a recording called silent

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
  const [detector, candidates] = [new SpeechDetector(detectorNetwork), new Candidates()];
  const search = new SpeakerSearch();
  let loudest = 0;
  for (let start = 0; start < samples.length; start += BLOCK) {
    const block = samples.subarray(start, start + BLOCK);
    loudest = greatest(measureChunks(block), loudest);
    const stretches = cutStretches(block, await detector.judge(block), start);
    candidates.add(stretches);
    if (speakerNetwork) search.add(stretches);
    await tell((start + block.length) / RATE);
  }
  const analysed = samples.length / RATE;
  const clearest = candidates.choose(MOST_SECONDS);
  const seconds = sum(clearest.map((stretch) => stretch.seconds));
  if (seconds < LEAST_SECONDS) throw new NoSpeech(explain(analysed, loudest, seconds));
  const voices = speakerNetwork
    ? await search.find(speakerNetwork, levels)
    : { speakers: [], stretches: [] };
  return new AnalysedRecording(warnings, analysed, clearest, voices);
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

/** The stretches of speech in a block that begins at sample `start` of the recording.
 * @param {Float32Array} block @param {Float32Array} probabilities @param {number} start */
function cutStretches(block, probabilities, start) {
  /** @type {[number, number][]} */
  const runs = []; // first and last chunk
  probabilities.forEach((probability, chunk) => {
    if (probability < STAY) return;
    const run = runs[runs.length - 1];
    if (run && chunk - run[1] <= 1 + LONGEST_PAUSE) run[1] = chunk;
    else runs.push([chunk, chunk]);
  });
  return runs.flatMap(([first, last]) => {
    const voiced = probabilities.subarray(first, last + 1).filter((value) => value >= START);
    if (voiced.length < LEAST_VOICED) return [];
    const [from, to] = [Math.max(first - EDGE, 0), last + 1 + EDGE];
    const samples = block.slice(from * CHUNK, to * CHUNK);
    return [new Stretch(start + from * CHUNK, samples, probabilities.slice(from, to))];
  });
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
