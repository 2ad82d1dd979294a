// The page: what its buttons do, and the states it goes through.
//
//   empty ─► asking ─► recording ─► working ─► result     (a microphone)
//     └──────────────────────────────► working ─► result     (a file)
//
// Each may end in `error`, or by Cancel at what was there before. Recordings stay in this page.

import {
  allowChoices, forgetChoice, offerHair, onChoice, putChoices, readChoices,
} from "./choices.js";
import { offerChoices, offerDisguise, useEngine, withdrawDisguise } from "./disguise-controls.js";
import { showFace, showLiveFace, showNoFace } from "./face.js";
import { openMicrophone } from "./microphone.js";
import { Player } from "./player.js";
import { Problem } from "./problem.js";
import { offerSpeakers } from "./speakers.js";
import { encodeWav } from "./wav.js";
import { Peaks, Waveform, colourOf, decodePeaks } from "./waveform.js";

// Two engines take the same recordings and give the same answers: the server, and this device.
const onDevice = document.documentElement.dataset.engine === "device";
const [{ readService, reconstruct }, { openLive }, disguiser] = await Promise.all(onDevice
  ? [import("./device/engine.js"), import("./device/engine.js"), import("./device/disguiser.js")]
  : [import("./server.js"), import("./live.js"), import("./server-disguiser.js")]);
useEngine(disguiser);

const PICTURE = { size: 448, samples: 6 };
const LONGEST_SECONDS = 60; // of a recording made here
const BEST_SECONDS = 10; // of speech; more is not used
const LEAST_SPAN = 12; // s across the waveform while recording
const DECODED_AT_ONCE = 8e6; // bytes of a file: larger ones are not decoded twice at the same time
const MOST_KEPT = 12; // answers for one recording, of a few megabytes each

const find = (id) => document.getElementById(id);
const main = find("main");
const waveform = new Waveform(find("waveform"));
const player = new Player(find("play"));

let kept = null; // the recording: {blob, peaks, seconds, answers: the engine's, by choices}
let shown = null; // the answer on the page
let shownChoices = null; // as which it was drawn
let job = new AbortController(); // whatever runs now
let service = { model: "", shapes: 0, bytes: Infinity, taker: "page" };
let stopRecording = () => {};

// States

function enter(state, words = "") {
  const focused = document.activeElement;
  main.dataset.state = state;
  for (const part of document.querySelectorAll("[data-when]")) {
    part.hidden = !part.dataset.when.split(" ").includes(state);
  }
  if (focused.closest("[hidden]")) find("record").focus(); // nobody is left without a place
  const busy = state === "asking" || state === "working";
  find("record").setAttribute("aria-disabled", busy);
  find("record-label").textContent =
    state === "recording" ? "Stop" : shown ? "Record again" : "Record";
  allowChoices(state !== "asking" && state !== "recording");
  find("progress").removeAttribute("value");
  find("status").textContent = words;
}

/** Whatever ran is over; what begins now ends when the signal is raised. */
function begin() {
  job.abort();
  forgetChoice();
  player.stop();
  job = new AbortController();
  return job.signal;
}

function showResult(choices) {
  shown = kept.answers.get(nameChoices(choices));
  shownChoices = choices;
  showFace(shown);
  showModel(shown.model);
  const seconds = kept.seconds || shown.analysed_seconds;
  waveform.show(kept.peaks, seconds, shown);
  offerSpeakers(shown.speakers, choices.speaker);
  const several = shown.speakers.length > 1;
  const used = `${shown.speech_seconds.toFixed(1)} s`;
  find("used").textContent = several
    ? `Used: ${used} of speaker ${shown.speaker}, where the line is thick`
    : `Speech that was used, ${used}`;
  find("used-key").style.background = several ? `var(${colourOf(shown.speaker)})` : "";
  player.offer(kept.blob, (second) => waveform.point(second));
  offerDisguise({
    recording: kept.blob,
    before: shown.confidence?.stated ?? null,
    speaker: several ? shown.speaker : null,
  });
  enter("result", several ? `The face of speaker ${shown.speaker} is drawn.` : "The face is drawn.");
}

function showProblem(problem, tryAgain = null) {
  enter("error");
  find("problem-title").textContent = problem.title ?? "Something went wrong";
  find("problem-detail").textContent = problem.message;
  find("again").hidden = !tryAgain;
  find("again").onclick = tryAgain;
}

/** Back to what was there before: a result, or nothing. */
function cancel() {
  begin();
  if (kept && shown) {
    putChoices(shownChoices);
    showResult(shownChoices);
  } else {
    clear();
    enter("empty", "Cancelled.");
  }
}

function clear() {
  kept = shown = null;
  showNoFace();
  offerSpeakers([]);
  withdrawDisguise();
  waveform.show(null, 0);
}

const nameChoices = (choices) => Object.values(choices).join(" ");

// Asking for the recording that is kept

async function ask() {
  const signal = begin();
  const choices = readChoices();
  enter("working", "Beginning …");
  const tell = (progress) => signal.aborted || tellProgress(progress);
  try {
    keepAnswer(await reconstruct(kept.blob, { ...PICTURE, ...choices }, signal, tell), choices);
  } catch (problem) {
    if (!signal.aborted) showProblem(problem, problem.passing && ask);
  }
}

function tellProgress({ words, share }) {
  if (share === undefined) find("progress").removeAttribute("value");
  else find("progress").value = share;
  find("status").textContent = words;
}

async function take(file) {
  clear();
  const taken = { blob: file, peaks: null, seconds: 0, answers: new Map() };
  kept = taken;
  if (file.size > service.bytes) return refuse(file.size);
  const answered = ask();
  if (onDevice && file.size > DECODED_AT_ONCE) await answered;
  const peaks = kept === taken ? await decodePeaks(file) : null;
  if (kept !== taken || !peaks) return;
  Object.assign(taken, { peaks, seconds: peaks.seconds });
  waveform.show(peaks, peaks.seconds, shown ?? {});
}

function refuse(size) {
  begin();
  kept = null;
  const [given, most] = [size, service.bytes].map((bytes) => `${Math.round(bytes / 1e6)} MB`);
  const remedy = `This ${service.taker} takes ${most}. Cut it, or choose another.`;
  showProblem(new Problem("The file is too large", `It has ${given}. ${remedy}`, 413));
}

function keepAnswer(answer, choices) {
  kept.answers.set(nameChoices(choices), answer);
  const [oldest] = kept.answers.keys();
  if (kept.answers.size > MOST_KEPT) kept.answers.delete(oldest);
  showResult(choices);
}

// Recording

async function record() {
  const signal = begin();
  enter("asking", "Waiting for the microphone …");
  let microphone;
  try {
    microphone = await openMicrophone(() => stopRecording());
  } catch (problem) {
    if (!signal.aborted) showProblem(problem);
    return;
  }
  if (signal.aborted) return microphone.close();

  offerSpeakers([]);
  withdrawDisguise();
  const peaks = new Peaks(microphone.rate);
  const blocks = [];
  const choices = readChoices();
  let segments = [];
  const live = openLive(microphone.rate, { ...PICTURE, ...choices }, {
    onHeard(heard) {
      if (main.dataset.state === "recording") showSpeechSeconds(heard);
    },
    onFace(face) {
      segments = face.segments;
      showLiveFace(face);
    },
    onProblem(problem) {
      if (main.dataset.state !== "recording") return;
      find("heard").textContent = "the face is drawn when you stop";
      const reason = problem.status ? problem.message : problem.title;
      find("not-live").textContent = `No live face: ${reason}`;
    },
  });
  const close = () => {
    microphone.close();
    live.close();
  };
  signal.addEventListener("abort", close);
  showNoFace();
  enter("recording", "Recording. Speak as you always do.");
  showSpeechSeconds({ speech_seconds: 0 });
  find("not-live").textContent = "";

  microphone.listen((block) => {
    if (signal.aborted) return;
    blocks.push(block);
    peaks.add(block);
    live.send(block);
    find("clock").textContent = clock(peaks.seconds);
    waveform.show(peaks, Math.max(LEAST_SPAN, peaks.seconds), { segments });
    if (peaks.seconds >= LONGEST_SECONDS) stopRecording();
  });

  stopRecording = async () => {
    stopRecording = () => {};
    microphone.listen(() => {});
    microphone.close();
    const blob = encodeWav(blocks, microphone.rate);
    kept = { blob, peaks, seconds: peaks.seconds, answers: new Map() };
    shown = null;
    waveform.show(peaks, peaks.seconds, { segments });
    enter("working", "Drawing the face …");
    try {
      const answer = await live.finish();
      if (!signal.aborted) keepAnswer(answer, choices);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === 422) showProblem(problem);
      else ask(); // by POST, which waits for a busy server
    }
  };
}

function showSpeechSeconds({ speech_seconds: seconds }) {
  find("progress").value = Math.min(1, seconds / BEST_SECONDS);
  if (seconds >= BEST_SECONDS) {
    find("heard").textContent = "enough speech heard, stop when you like";
  } else if (seconds) {
    find("heard").textContent = `${seconds.toFixed(1)} of ${BEST_SECONDS} s of speech heard`;
  } else {
    find("heard").textContent = "listening for speech";
  }
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// What the reader can do

find("record").addEventListener("click", () => {
  if (main.dataset.state === "recording") stopRecording();
  else if (find("record").getAttribute("aria-disabled") === "false") record();
});
find("cancel").addEventListener("click", cancel);
find("choose").addEventListener("click", () => find("file").click());
find("file").addEventListener("change", ({ target }) => {
  if (target.files.length) take(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
});
onChoice(() => {
  if (!kept) return;
  const choices = readChoices();
  if (kept.answers.has(nameChoices(choices))) {
    begin();
    showResult(choices);
  } else {
    ask();
  }
});

let inside = 0; // elements that a dragged file is over
function drag(elements) {
  inside = elements;
  find("drop").classList.toggle("over", inside > 0);
}
addEventListener("dragenter", () => drag(inside + 1));
addEventListener("dragleave", () => drag(inside - 1));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  drag(0);
  const [file] = event.dataTransfer.files;
  if (file && !["asking", "recording"].includes(main.dataset.state)) take(file);
});

function showModel(name) {
  find("model").textContent = name ? `Drawn by the model “${name}”.` : "";
}

/** What has come of the models that draw on this device. */
function tellLoading({ words, share }) {
  find("loading").hidden = false;
  find("loading-words").textContent = words;
  if (share === undefined) find("loading-bar").removeAttribute("value");
  else find("loading-bar").value = share;
}

clear();
enter("empty");
try {
  service = await readService(tellLoading);
  offerHair(service.shapes);
  offerChoices(service);
  if (service.disguisedSeconds === 0) document.documentElement.dataset.disguise = "none";
  showModel(service.model);
} catch (problem) {
  showProblem(problem, () => location.reload());
}
find("loading").hidden = true;
