// The part of the page that disguises the voice: its choices, its progress, the result to listen to and
// to save, and what is said of it. The engine is `device/disguiser.js` or `server-disguiser.js`.

import { Player } from "./player.js";

/** @typedef {import("./device/remaining-disclosure.js").StatedBits} StatedBits */
/** What is on the page: the recording, the bits stated of it, the number of who was listened to where
 * several speak.
 * @typedef {{recording: Blob, before: StatedBits | null, speaker: number | null}} Shown */
/** Sentences: the main one, perhaps none; what was done; what the plain voice gives away; what is left of it;
 * what no disguise hides of this recording.
 * @typedef {{verdict: string, done: string[], before: string, left: string[], said: string[]}} Told */
/**
 * A disguised recording, the name and the label to save it by, a page on it or null, the loudness (RMS)
 * before and after where it is known, and what was wrong with the sound.
 * @typedef {{file: Blob, name: string, label: string, report: Blob | null,
 *   loudness: [before: number, after: number] | null, notes: string[],
 *   describe: (shown: Shown) => Told}} Disguised
 */
/** @typedef {{words: string, share?: number}} Progress */
/** @typedef {{offerChoices: (service: any) => void,
 *   disguise: (recording: Blob, choice: string, signal: AbortSignal,
 *     tell: (progress: Progress) => void) => Promise<Disguised>}} Engine */

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const link = (/** @type {string} */ id) => /** @type {HTMLAnchorElement} */ (find(id));
const start = find("disguise-start");
const cancel = find("disguise-cancel");
const bar = /** @type {HTMLProgressElement} */ (find("disguise-progress"));
const clock = find("disguise-clock");
const status = find("disguise-status");
const save = link("disguise-save");
const saveReport = link("disguise-report");
const players = {
  original: new Player(find("play-original"), "Play the original"),
  disguised: new Player(find("play-disguised"), "Play the disguised voice"),
};

/** @type {Engine | null} */
let engine = null;
/** @type {Shown | null} */
let shown = null;
/** @type {Disguised | null} */
let made = null;
let job = new AbortController();
let ticking = 0;

/** The engine that disguises.
 * @param {Engine} chosen */
export function useEngine(chosen) {
  engine = chosen;
}

/** What the engine says of itself, for the reader who chooses. */
export const offerChoices = (/** @type {any} */ service) => engine?.offerChoices(service);

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
  setBusy(false);
  showResult(null);
  say("");
  find("disguise").hidden = true;
}

/** @param {Engine} by @param {Shown} now */
async function run(by, { recording }) {
  job.abort();
  job = new AbortController();
  const { signal } = job;
  made = null;
  showResult(null);
  setBusy(true);
  try {
    made = await by.disguise(recording, readChoice(), signal, (progress) => {
      if (!signal.aborted) say(progress.words, progress.share ?? null);
    });
    say("The voice is disguised.");
    const [before, after] = made.loudness ?? [1, 1];
    players.original.offer(recording, undefined, Math.min(1, after / before));
    players.disguised.offer(made.file, undefined, Math.min(1, before / after));
    list("disguise-warnings", made.notes.map((words) =>
      `${words.charAt(0).toUpperCase()}${words.slice(1)}.`));
    showResult(made);
    if (shown) describe(made, shown);
  } catch (problem) {
    if (signal.aborted) return;
    const { title, message } = /** @type {import("./problem.js").Problem} */ (problem);
    say(title ? `${title}. ${message}` : message);
  } finally {
    if (job.signal === signal) setBusy(false);
  }
}

/** Of the choices that this engine has. */
function readChoice() {
  const name = document.documentElement.dataset.engine;
  const chosen = document.querySelector(`#disguise fieldset[data-on="${name}"] :checked`);
  return /** @type {HTMLInputElement} */ (chosen).value;
}

/** @param {boolean} busy */
function setBusy(busy) {
  if (!busy && document.activeElement === cancel) start.focus();
  start.setAttribute("aria-disabled", String(busy));
  cancel.hidden = bar.hidden = clock.hidden = !busy;
  clearInterval(ticking);
  if (!busy) return;
  const begun = Date.now();
  const tick = () => {
    const seconds = Math.floor((Date.now() - begun) / 1000);
    clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} so far`;
  };
  tick();
  ticking = setInterval(tick, 1000);
}

/** @param {string} words @param {number | null} share */
function say(words, share = null) {
  if (status.textContent !== words) status.textContent = words; // else it is read out again
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

/** @param {Disguised | null} result */
function showResult(result) {
  find("disguised").hidden = !result;
  if (!result) for (const player of Object.values(players)) player.forget();
  offerFile(save, result?.file ?? null, result?.name);
  offerFile(saveReport, result?.report ?? null, "disguised.report.html");
  if (result) save.textContent = result.label;
}

/** A link that saves a file; the recording's own name may name somebody.
 * @param {HTMLAnchorElement} anchor @param {Blob | null} file @param {string} [name] */
function offerFile(anchor, file, name = "") {
  URL.revokeObjectURL(anchor.href);
  anchor.removeAttribute("href");
  anchor.hidden = !file;
  if (!file) return;
  anchor.href = URL.createObjectURL(file);
  anchor.download = name;
}

/** @param {Disguised} result @param {Shown} now */
function describe(result, now) {
  const { verdict, done, before, left, said } = result.describe(now);
  find("disguise-verdict").hidden = !verdict;
  /** @type {HTMLElement} */ (find("disguise-verdict").firstElementChild).textContent = verdict;
  list("disguise-done", done);
  find("bits-before").textContent = before;
  list("bits-after", left);
  list("disguise-said", said);
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
  if (engine && shown && start.getAttribute("aria-disabled") !== "true") run(engine, shown);
});
cancel.addEventListener("click", () => {
  job.abort();
  setBusy(false);
  say("Cancelled.");
});
