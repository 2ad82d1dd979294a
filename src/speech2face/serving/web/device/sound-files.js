// Files become sound: WAV by a reader of our own, everything else by the browser.

import { MOST_SECONDS, UnreadableSound } from "./recording.js";
import { readWav } from "./wav-reader.js";

/** @typedef {import("./wav-reader.js").Sound} Sound */

const USUAL_RATE = 48_000; // Hz, of what does not say its own where it is looked for
const PATIENCE_MS = 3000; // for a file to say how long it lasts
const RATES = [8_000, 96_000]; // that every browser decodes at
const MP3_RATES = [44_100, 48_000, 32_000]; // halved and quartered by later versions

/** The beginning of a file's sound, a second more than `seconds`. Throws an UnreadableSound.
 * @param {ArrayBuffer} file used up @returns {Promise<Sound>} */
export async function decodeFile(file, seconds = MOST_SECONDS) {
  if (!file.byteLength) throw new UnreadableSound("the recording is empty; give a recording");
  const wav = readWav(file, seconds + 1);
  if (wav) return wav;
  const view = new DataView(file);
  const lossless = findText(view, "fLaC", 4) >= 0;
  const rate = findRate(view);
  try {
    const fits = rate >= RATES[0] && rate <= RATES[1];
    const context = new OfflineAudioContext(1, 1, fits ? rate : USUAL_RATE);
    const sound = await context.decodeAudioData(file);
    const length = Math.min(sound.length, (seconds + 1) * sound.sampleRate);
    const channels = Array.from({ length: sound.numberOfChannels }, (_, channel) =>
      sound.getChannelData(channel).slice(0, length));
    return { channels, rate: sound.sampleRate, lossless, notes: [] };
  } catch {
    throw new UnreadableSound("the recording is cut off or is not sound that this browser can " +
      "read; give wav, flac, mp3, ogg, m4a or webm");
  }
}

/** How long a recording lasts, by what its beginning says; 0 where that is not known.
 * @param {Blob} recording @returns {Promise<number>} s */
export async function readSeconds(recording) {
  const sound = new Audio();
  sound.preload = "metadata";
  const address = URL.createObjectURL(recording);
  const known = new Promise((resolve) => {
    sound.onloadedmetadata = () => resolve(sound.duration);
    sound.onerror = () => resolve(0);
    setTimeout(() => resolve(0), PATIENCE_MS); // browsers that save power may read nothing ahead
  });
  sound.src = address;
  const seconds = await known;
  sound.removeAttribute("src");
  URL.revokeObjectURL(address);
  return Number.isFinite(seconds) ? seconds : 0;
}

/** The rate that a file says its sound has, so that the browser need not change it.
 * @param {DataView} view */
function findRate(view) {
  if (view.byteLength < 64) return USUAL_RATE;
  if (findText(view, "fLaC", 4) === 0) return view.getUint32(18) >>> 12;
  if (findText(view, "OggS", 4) === 0) {
    const vorbis = findText(view, "\x01vorbis", 64);
    return vorbis < 0 ? USUAL_RATE : view.getUint32(vorbis + 12, true);
  }
  const entry = findText(view, "mp4a", view.byteLength - 32);
  if (findText(view, "ftyp", 8) === 4 && entry >= 0) return view.getUint16(entry + 28);
  return findMp3Rate(view) ?? USUAL_RATE;
}

/** That of the first frame after the tags; null where there is none.
 * @param {DataView} view */
function findMp3Rate(view) {
  let at = 0;
  if (findText(view, "ID3", 3) === 0) {
    const size = [6, 7, 8, 9].reduce((sum, i) => (sum << 7) | view.getUint8(i), 0);
    at = 10 + size;
  }
  if (at + 4 > view.byteLength || view.getUint16(at) >>> 5 !== 0x7ff) return null;
  const version = (view.getUint8(at + 1) >>> 3) & 3; // 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
  const rate = MP3_RATES[(view.getUint8(at + 2) >>> 2) & 3];
  return rate === undefined ? null : rate / [4, 1, 2, 1][version];
}

/** Where letters stand first, within so many bytes; -1 where nowhere.
 * @param {DataView} view @param {string} text @param {number} most */
function findText(view, text, most) {
  const bytes = new Uint8Array(view.buffer);
  const end = Math.min(most, bytes.length) - text.length;
  for (let at = bytes.indexOf(text.charCodeAt(0)); at >= 0 && at <= end;
    at = bytes.indexOf(text.charCodeAt(0), at + 1)) {
    if ([...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0))) return at;
  }
  return -1;
}
