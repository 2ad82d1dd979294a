// The voice disguised by the server, by /v1/protect: what `disguise-controls.js` asks of an engine,
// as `device/disguiser.js`.

import { askPatiently } from "./server.js";
import { decodeLoudness } from "./waveform.js";

/** @typedef {import("./disguise-controls.js").Disguised} Disguised */
/** @typedef {import("./disguise-controls.js").Told} Told */

const WORKING = "The server tries methods, takes the best, and measures what remains …";
const LABELS = { "audio/flac": "Save as FLAC" };
const DONE = ["picture", "plain", "done", "chosen"]; // names of the server's sentences
const LEFT = ["voice", "found", "words", "silenced", "length", "lower_bound"];
const SAID = ["telling", "not_understood"];

/** @param {{disguisedSeconds: number | null}} service */
export function offerChoices({ disguisedSeconds }) {
  const minutes = (disguisedSeconds ?? 0) / 60;
  document.getElementById("disguise-most").textContent =
    minutes ? `Recordings of up to ${minutes} minutes are taken.` : "";
}

/** A recording in another voice, by the rule of `keep`. Throws a Problem, or an AbortError.
 * @param {Blob} recording @param {string} keep @param {AbortSignal} signal
 * @param {(progress: {words: string, share?: number}) => void} tell @returns {Promise<Disguised>} */
export async function disguise(recording, keep, signal, tell) {
  const answer = await askPatiently("v1/protect", { keep }, recording, signal, tell, WORKING);
  const { media_type: type, words, report, protection } = answer;
  const bytes = Uint8Array.from(atob(answer.file), (letter) => letter.charCodeAt(0));
  const file = new Blob([bytes], { type });
  const before = await decodeLoudness(recording);
  const after = await decodeLoudness(file);
  const pick = (names) => names.filter((name) => name in words).map((name) => words[name]);
  return {
    file,
    name: `disguised.${type.split("/")[1].replace("x-matroska", "mkv")}`,
    label: LABELS[type] ?? "Save the video",
    report: new Blob([report], { type: "text/html" }),
    loudness: before && after ? [before, after] : null,
    notes: protection.warnings,
    describe: () => ({
      verdict: words.verdict,
      done: pick(DONE),
      before: words.face,
      left: pick(LEFT),
      said: pick(SAID),
    }),
  };
}
