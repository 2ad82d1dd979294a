// What a disguise leaves to an attacker who knows it, in the words of Python's reports/templates: as
// privacy/remaining_disclosure.py.

import { roundTo } from "./statistics.js";

/** @typedef {{value: number, low: number, high: number}} Estimate */
/**
 * What Python's serving/static_page.py writes of a method: the mark of its files; what attacks on
 * many people found, in words, as the share of the face's bits that is left, and as the share of
 * errors about who speaks; and the share of words that it costs. Null is what was not measured.
 * @typedef {{mark: string, attack: string, share_kept: Estimate | null, speaker_errors: number | null,
 *   words_lost: number | null}} MethodFacts
 */
/** The interval is null where the model was not calibrated.
 * @typedef {{bits: number, low: number | null, high: number | null}} StatedBits */

const LEAST = 0.05; // bits, which a figure of one digit would call none

/** Sentences on what is left of a voice after a disguise. `before` is what was stated of the
 * original, `earlier` says that it was disguised already.
 * @param {MethodFacts} method @param {StatedBits | null} before @param {boolean} earlier */
export function describeRemains(method, before, earlier) {
  const last = "This is what this program's attackers find. A better one may find more.";
  if (earlier) {
    return ["The recording was disguised already. What is left after one method on top of another " +
      "was not measured.", last];
  }
  const own = before && method.share_kept && describeBitsLeft(before, method.share_kept);
  return own ? [method.attack, own, last] : [method.attack, last];
}

/** What a method leaves and costs, for who chooses among them; empty where that was not measured.
 * @param {MethodFacts} method */
export function describeAverage({ share_kept: kept, speaker_errors: errors, words_lost: lost }) {
  const percent = (/** @type {number} */ share) => `${Math.round(100 * share)}\u00a0%`;
  const sentences = [];
  if (kept && errors !== null) {
    sentences.push(`An attacker who knows it still finds ${percent(kept.value)} of what a voice ` +
      `tells of the face, and is wrong about who speaks in ${percent(errors)} of cases.`);
  }
  if (lost !== null) sentences.push(`It makes ${percent(lost)} of the words hard to understand.`);
  return sentences.join(" ");
}

/** The bits of one voice after a disguise.
 * @param {StatedBits} before @param {Estimate} share */
function describeBitsLeft({ bits, low, high }, share) {
  const left = bits * share.value;
  const average = "the average share of many people, not measured on this voice.";
  if (low === null || high === null) return tell(left, null, average);
  const below = Math.hypot((bits - low) * share.value, bits * (share.value - share.low));
  const above = Math.hypot((high - bits) * share.value, bits * (share.high - share.value));
  return tell(left, [Math.max(0, left - below), Math.min(high, left + above)], average);
}

/** @param {number} left @param {[number, number] | null} interval @param {string} average */
function tell(left, interval, average) {
  const round = (/** @type {number} */ bits) => roundTo(bits, 3);
  if (Math.max(round(left), round(interval?.[1] ?? 0)) < LEAST) {
    return "An attacker who trains on this method would get next to nothing of them, less than " +
      `${LEAST.toFixed(2)} bits: ${average}`;
  }
  const between = interval
    ? ` (${interval.map((bits) => round(bits).toFixed(1)).join(" to ")})`
    : "";
  return "An attacker who trains on this method would still get about " +
    `${round(left).toFixed(1)} of these bits${between}: ${average}`;
}
