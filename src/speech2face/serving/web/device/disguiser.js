// The voice disguised on this device: what `disguise-controls.js` asks of an engine, as
// `server-disguiser.js`.

import { disguise as disguiseHere } from "./engine.js";
import { describeAverage, describeRemains } from "./remaining-disclosure.js";

/** @typedef {import("../disguise-controls.js").Disguised} Disguised */
/** @typedef {import("../disguise-controls.js").Told} Told */
/** @typedef {import("./remaining-disclosure.js").MethodFacts} MethodFacts */
/** @typedef {import("./remaining-disclosure.js").StatedBits} StatedBits */

/** @type {Record<string, MethodFacts>} */
let methods = {};

/** The methods, as the engine tells them.
 * @param {{disguises: Record<string, MethodFacts>}} service */
export function offerChoices({ disguises }) {
  methods = disguises;
  for (const place of document.querySelectorAll("[data-method]")) {
    const name = /** @type {HTMLElement} */ (place).dataset.method ?? "";
    place.textContent = describeAverage(methods[name]);
  }
}

/** A recording in another voice, by a method. Throws a Problem, or an AbortError.
 * @param {Blob} recording @param {string} method @param {AbortSignal} signal
 * @param {import("./engine.js").Tell} tell @returns {Promise<Disguised>} */
export async function disguise(recording, method, signal, tell) {
  const found = await disguiseHere(recording, method, signal, tell);
  return {
    file: /** @type {Blob} */ (/** @type {any} */ (found).file),
    name: `disguised-${method}.wav`,
    label: "Save as WAV",
    report: null,
    loudness: found.loudness,
    notes: [...found.warnings, ...describeSilenced(found.silenced)],
    describe: ({ before, speaker }) => describe(method, found.earlier, before, speaker),
  };
}

/** What was left before and what is left after, of who is shown.
 * @param {string} method @param {boolean} earlier it was disguised already
 * @param {StatedBits | null} before @param {number | null} speaker @returns {Told} */
function describe(method, earlier, before, speaker) {
  const whose = speaker ? ` of speaker ${speaker}` : "";
  const others = "Everybody in the recording was disguised in the same way.";
  const left = describeRemains(methods[method], before, earlier);
  return {
    verdict: "",
    done: [],
    before: before
      ? `Before, the recording gave away about ${format(before)} bits of the face${whose}.`
      : "How much the recording gave away before was not stated.",
    left: speaker ? [...left, others] : left,
    said: [],
  };
}

/** @param {StatedBits} bits */
const format = ({ bits, low, high }) => low === null || high === null
  ? bits.toFixed(1)
  : `${bits.toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`;

/** @param {number[]} starts s, of parts of which nothing is left */
function describeSilenced(starts) {
  if (!starts.length) return [];
  const clock = `${Math.floor(starts[0] / 60)}:${String(Math.floor(starts[0] % 60)).padStart(2, "0")}`;
  return [`nothing can be heard any more of ${starts.length} part${starts.length > 1 ? "s" : ""} ` +
    `of up to 20 s, the first at ${clock}`];
}
