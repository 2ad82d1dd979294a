// Reads WAV files, so that they are heard sample for sample and where there is no Web Audio.

/**
 * Sound as it lies in a file: `channels` within ±1 (floats may reach further), at `rate` Hz.
 * `lossless` says that nothing was left out when it was stored, `notes` what was wrong with it.
 * @typedef {{channels: Float32Array[], rate: number, lossless: boolean, notes: string[]}} Sound
 */

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/** The sound of a WAV file, at most its first `seconds`; null where it is none, or its encoding is
 * another than samples or floats.
 * @param {ArrayBuffer} file @param {number} seconds @returns {Sound | null} */
export function readWav(file, seconds) {
  const view = new DataView(file);
  if (file.byteLength < 12 || readName(view, 0) !== "RIFF" || readName(view, 8) !== "WAVE") {
    return null;
  }
  let form = null;
  for (let at = 12; at + 8 <= file.byteLength;) {
    const name = readName(view, at);
    const size = view.getUint32(at + 4, true);
    at += 8;
    if (name === "fmt " && at + 16 <= file.byteLength) form = readForm(view, at, size);
    if (name === "data") return form && readSamples(view, at, size, form, seconds);
    at += size + (size % 2);
  }
  return null;
}

/** @param {DataView} view @param {number} at */
function readName(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}

/** @typedef {{kind: number, channels: number, rate: number, bytes: number}} Form */

/** @param {DataView} view @param {number} at @param {number} size @returns {Form | null} */
function readForm(view, at, size) {
  let kind = view.getUint16(at, true);
  if (kind === EXTENSIBLE && size >= 26) kind = view.getUint16(at + 24, true);
  const channels = view.getUint16(at + 2, true);
  const rate = view.getUint32(at + 4, true);
  const bytes = view.getUint16(at + 12, true) / channels;
  const known = kind === PCM ? [1, 2, 3, 4] : kind === FLOAT ? [4, 8] : [];
  return known.includes(bytes) && rate >= 4000 && rate <= 768_000
    ? { kind, channels, rate, bytes }
    : null;
}

/** @param {DataView} view @param {number} start @param {number} size @param {Form} form
 * @param {number} seconds @returns {Sound} */
function readSamples(view, start, size, { kind, channels: count, rate, bytes }, seconds) {
  const there = view.byteLength - start;
  const whole = size === 0xffffffff || size === 0 ? there : size; // unknown while it was written
  const missing = whole - there;
  const frames = Math.floor(Math.min(whole, there) / (bytes * count));
  const length = Math.min(frames, Math.ceil(seconds * rate));
  const read = reader(view, kind, bytes);
  const channels = Array.from({ length: count }, () => new Float32Array(length));
  for (let frame = 0, at = start; frame < length; frame++) {
    for (let channel = 0; channel < count; channel++, at += bytes) {
      channels[channel][frame] = read(at);
    }
  }
  const notes = missing > 0
    ? [`the file ends early or is damaged: ${(frames / rate).toFixed(1)} s of ` +
        `${(whole / (bytes * count * rate)).toFixed(1)} s could be read`]
    : [];
  return { channels, rate, lossless: true, notes };
}

/** What reads a sample, within ±1, at a place of the file.
 * @param {DataView} view @param {number} kind @param {number} bytes
 * @returns {(at: number) => number} */
function reader(view, kind, bytes) {
  if (kind === FLOAT) {
    return bytes === 4 ? (at) => view.getFloat32(at, true) : (at) => view.getFloat64(at, true);
  }
  switch (bytes) {
    case 1: return (at) => view.getUint8(at) / 128 - 1;
    case 2: return (at) => view.getInt16(at, true) / 2 ** 15;
    case 3: return (at) => (view.getInt8(at + 2) * 65536 + view.getUint16(at, true)) / 2 ** 23;
    default: return (at) => view.getInt32(at, true) / 2 ** 31;
  }
}
