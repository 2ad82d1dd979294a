// How much a voice tells of the face, in the words of Python's reports/templates.

import { findDisguise } from "./disguises.js";
import { estimateLeakage, measureSound } from "./leakage.js";
import { RATE } from "./resampler.js";
import { describeSpeakers } from "./speakers.js";
import { roundTo } from "./statistics.js";

/** @typedef {import("./disguises.js").Disguise} Disguise */
/** @typedef {import("./leakage.js").Calibration} Calibration */
/** @typedef {import("./leakage.js").LeakageEstimate} LeakageEstimate */
/** @typedef {import("./leakage.js").Waveform} Waveform */
/** @typedef {import("./remaining-disclosure.js").StatedBits} StatedBits */
/** @typedef {import("./speech.js").Speech} Speech */
/** What is said of a disguised voice by the method that made it, and of others by "".
 * @typedef {Record<string, string[]>} DisguisedWords */
/** @typedef {{calibration: Calibration, classifier: import("./disguises.js").Classifier,
 *   disguised: {mark: DisguisedWords, detector: DisguisedWords}}} DisclosureModel */
/** The server's field `confidence`; and `stated`, what the words say before it is rounded again.
 * @typedef {{bits: number | null, low: number | null, high: number | null, disguised: Disguise,
 *   calibrated_on: number, words: string, notes: string[], stated: StatedBits | null}} Confidence */

const STRANGERS = 1000;
const SURE = 1.96; // standard errors on either side: 95 %
const QUIET = 15; // dB of range, below which a recording is called noisy

/** @param {Speech} speech @param {Float32Array} mean @param {Float32Array} average
 * @param {string | null} mark of the file @param {DisclosureModel} model @returns {Confidence} */
export function discloseFace(speech, mean, average, mark, model) {
  const { calibration } = model;
  const { samples } = speech;
  const found = findDisguise(samples, mark, model.classifier);
  const disguised = { ...found, probability: roundTo(found.probability, 3) };
  const calibrated_on = calibration.people;
  if (found.by) {
    const known = model.disguised[found.by];
    const sentences = known[found.method ?? ""] ?? known[""];
    const said = say(addWhose(sentences, speech));
    return { bits: null, low: null, high: null, disguised, calibrated_on, stated: null, ...said };
  }
  const sound = measureSound(samples);
  const seconds = samples.length / RATE;
  const estimate = estimateLeakage(mean, average, seconds, sound, calibration);
  const off = SURE * calibration.deviation * estimate.bits;
  const bits = roundTo(estimate.bits, 3);
  const [low, high] = calibration.people
    ? [roundTo(Math.max(0, estimate.bits - off), 3), roundTo(estimate.bits + off, 3)]
    : [null, null];
  const sentences = describe(speech, { bits, low, high }, estimate, sound, calibration);
  const short = (/** @type {number | null} */ value) => value === null ? null : roundTo(value, 2);
  return {
    bits: short(bits), low: short(low), high: short(high), disguised, calibrated_on,
    stated: { bits, low, high }, ...say(sentences),
  };
}

/** @param {string[]} sentences */
const say = (sentences) => ({ words: sentences.slice(0, 3).join(" "), notes: sentences.slice(3) });

/** Whose voice it is, where several speak, before the last sentence.
 * @param {string[]} sentences @param {Speech} speech */
function addWhose(sentences, { speakers, speaker }) {
  if (speakers.length < 2) return sentences;
  const others = speakers.length > 2 ? "others' faces" : "other's face";
  const whose = `${describeSpeakers(speakers)}. This is of speaker ${speaker} alone; the recording ` +
    `gives away something of the ${others} as well.`;
  return [...sentences.slice(0, -1), whose, ...sentences.slice(-1)];
}

/** @param {Speech} speech
 * @param {StatedBits} stated
 * @param {LeakageEstimate} estimate @param {Waveform} sound @param {Calibration} calibration */
function describe(speech, { bits, low, high }, estimate, sound, calibration) {
  const { speakers, speaker, speechSeconds: seconds } = speech;
  const [ofSpeaker, whose] = speakers.length > 1
    ? [` of speaker ${speaker}`, "that speaker's"]
    : ["", "the speaker's"];
  const interval = low !== null && high !== null
    ? ` (${low.toFixed(1)} to ${high.toFixed(1)})`
    : "";
  const place = (/** @type {number} */ share) => Math.max(1, roundTo(STRANGERS * share, 0));
  const [, half, most] = estimate.ranks.map(place);
  const sentences = [
    `These ${seconds.toFixed(1)} s of speech${ofSpeaker} disclose about ${bits.toFixed(1)} bits ` +
      `of ${whose} face${interval}.`,
    "For scale: 0 bits is nothing, 1 bit what the sex alone would tell if it were certain; " +
      `${Math.log2(STRANGERS).toFixed(0)} bits would single out one person of 1,000.`,
    "Among 1,000 strangers sorted by this voice, the speaker's face would stand at place " +
      `${place(estimate.meanRank)} on average (by chance ${STRANGERS / 2}); half the time among ` +
      `the first ${half}, nine times of ten among the first ${most}.`,
  ];
  if (estimate.sex !== null && estimate.age !== null) {
    const known = roundTo(estimate.sex, 3) + roundTo(estimate.age, 3);
    const share = Math.min(1, known / Math.max(bits, 1e-6));
    sentences.push(`At least ${(100 * share).toFixed(0)} % of that is sex and age.`);
  }
  const noisy = sound.rangeDb < QUIET;
  if (noisy || sound.narrow) {
    const how = noisy ? "noisy" : "narrow, as over a telephone";
    sentences.push(`The sound is ${how}; less of the voice is heard in it.`);
  }
  if (!calibration.people) {
    sentences.push("This model was not calibrated: it may state too much (see speech2face " +
      "calibrate).");
  }
  const last = "This is what this program finds. A better one may find more.";
  return addWhose([...sentences, last], speech);
}
