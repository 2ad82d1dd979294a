// The part of the page that disguises the voice: its methods, its progress, the result to listen to and
// to save, and what is said of it.

import { Player } from "../player.js";
import { disguise } from "./engine.js";
import { describeAverage, describeRemains } from "./remaining-disclosure.js";

/** @typedef {import("./remaining-disclosure.js").MethodFacts} MethodFacts */
/** @typedef {import("./remaining-disclosure.js").StatedBits} StatedBits */
/** What is on the page: the recording, the bits stated of it, the number of who was listened to where
 * several speak.
 * @typedef {{recording: Blob, before: StatedBits | null, speaker: number | null}} Shown */
/** @typedef {{file: Blob, method: string, earlier: boolean}} Disguised */

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const start = find("disguise-start");
const cancel = find("disguise-cancel");
const bar = /** @type {HTMLProgressElement} */ (find("disguise-progress"));
const status = find("disguise-status");
const save = /** @type {HTMLAnchorElement} */ (find("disguise-save"));
const players = {
  original: new Player(find("play-original"), "Play the original"),
  disguised: new Player(find("play-disguised"), "Play the disguised voice"),
};

/** @type {Record<string, MethodFacts>} */
let methods = {};
/** @type {Shown | null} */
let shown = null;
/** @type {Disguised | null} */
let made = null;
let job = new AbortController();

/** The methods, as the engine tells them.
 * @param {Record<string, MethodFacts>} facts */
export function offerMethods(facts) {
  methods = facts;
  for (const place of document.querySelectorAll("[data-method]")) {
    const name = /** @type {HTMLElement} */ (place).dataset.method ?? "";
    place.textContent = describeAverage(facts[name]);
  }
}

/** The recording on the page can be disguised. What was made of it before stays.
 * @param {Shown} now */
export function offerDisguise(now) {
  if (shown?.recording !== now.recording) withdrawDisguise();
  shown = now;
  find("disguise").hidden = false;
  if (made) describe(made, now);
}

/** There is no recording any more. */
export function withdrawDisguise() {
  job.abort();
  shown = made = null;
  showResult(null);
  say("");
  find("disguise").hidden = true;
}

/** @param {Shown} now */
async function run({ recording }) {
  job.abort();
  job = new AbortController();
  const { signal } = job;
  const chosen = document.querySelector("[name=method]:checked");
  const method = /** @type {HTMLInputElement} */ (chosen).value;
  made = null;
  showResult(null);
  setBusy(true);
  try {
    const found = await disguise(recording, method, signal, (progress) => {
      if (!signal.aborted) say(progress.words, progress.share ?? null);
    });
    made = { file: found.file, method, earlier: found.earlier };
    say("The voice is disguised.");
    const [before, after] = found.loudness;
    players.original.offer(recording, undefined, Math.min(1, after / before));
    players.disguised.offer(found.file, undefined, Math.min(1, before / after));
    warn(found);
    showResult(made);
    if (shown) describe(made, shown);
  } catch (problem) {
    if (signal.aborted) return;
    const { title, message } = /** @type {import("../problem.js").Problem} */ (problem);
    say(title ? `${title}. ${message}` : message);
  } finally {
    if (job.signal === signal) setBusy(false);
  }
}

/** @param {boolean} busy */
function setBusy(busy) {
  if (!busy && document.activeElement === cancel) start.focus();
  start.setAttribute("aria-disabled", String(busy));
  cancel.hidden = bar.hidden = !busy;
}

/** @param {string} words @param {number | null} share */
function say(words, share = null) {
  status.textContent = words;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

/** @param {Disguised | null} result */
function showResult(result) {
  find("disguised").hidden = !result;
  if (!result) {
    for (const player of Object.values(players)) player.forget();
    URL.revokeObjectURL(save.href);
    save.removeAttribute("href");
    return;
  }
  save.href = URL.createObjectURL(result.file);
  save.download = `disguised-${result.method}.wav`; // the recording's own name may name somebody
}

/** What was left before and what is left after, of who is shown.
 * @param {Disguised} result @param {Shown} now */
function describe({ method, earlier }, { before, speaker }) {
  const whose = speaker ? ` of speaker ${speaker}` : "";
  find("bits-before").textContent = before
    ? `Before, the recording gave away about ${format(before)} bits of the face${whose}.`
    : "How much the recording gave away before was not stated.";
  const others = "Everybody in the recording was disguised in the same way.";
  const left = describeRemains(methods[method], before, earlier);
  list("bits-after", speaker ? [...left, others] : left);
}

/** @param {StatedBits} bits */
const format = ({ bits, low, high }) => low === null || high === null
  ? bits.toFixed(1)
  : `${bits.toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`;

/** @param {import("./engine.js").Answer} found */
function warn({ warnings, silenced }) {
  const [first] = silenced;
  const clock = (/** @type {number} */ seconds) =>
    `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const lost = silenced.length
    ? [`nothing can be heard any more of ${silenced.length} part${silenced.length > 1 ? "s" : ""} ` +
      `of up to 20 s, the first at ${clock(first)}`]
    : [];
  list("disguise-warnings", [...warnings, ...lost].map((/** @type {string} */ words) =>
    `${words.charAt(0).toUpperCase()}${words.slice(1)}.`));
}

/** @param {string} id @param {string[]} sentences */
function list(id, sentences) {
  find(id).replaceChildren(...sentences.map((sentence) => {
    const item = document.createElement("li");
    item.textContent = sentence;
    return item;
  }));
  find(id).hidden = sentences.length === 0;
}

start.addEventListener("click", () => {
  if (shown && start.getAttribute("aria-disabled") !== "true") run(shown);
});
cancel.addEventListener("click", () => {
  job.abort();
  setBusy(false);
  say("Cancelled.");
});
