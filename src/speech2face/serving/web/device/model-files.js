// The model's files: fetched once, checked, kept by the browser, and unpacked.

/** @typedef {{path: string, bytes: number, sha256: string}} PackedFile gzip */
/** A part of a file, or bytes between two as base64.
 * @typedef {[start: number, end: number] | string} Piece */
/** Files of a model, and of the programs beside it; the speaker network is put together of pieces
 * of one of them.
 * @typedef {{runtime: PackedFile, world: PackedFile, detector: PackedFile, encoder: PackedFile, decoder: PackedFile,
 *   speakers?: PackedFile}} PackedFiles */
/** @typedef {{files: PackedFiles, speaker_network: {of: keyof PackedFiles, pieces: Piece[]}}} Manifest */

const CACHE = "speech2face-models";

/** What the reader of the page is told: a file did not come as it should. */
export class BrokenFile extends Error {}

/** All files, unpacked, by their names. `tell` is called with how many bytes have come, of
 * how many.
 * @param {Manifest} manifest @param {URL} base of paths
 * @param {(come: number, whole: number) => void} tell
 * @returns {Promise<Record<string, Uint8Array<ArrayBuffer>>>} */
export async function loadFiles({ files, speaker_network: { of, pieces } }, base, tell) {
  const wanted = Object.entries(files);
  const whole = wanted.reduce((sum, [, { bytes }]) => sum + bytes, 0);
  let come = 0;
  const cache = await openCache();
  const contents = await Promise.all(wanted.map(async ([name, file]) => {
    const packed = await load(file, base, cache, (bytes) => tell(come += bytes, whole));
    return [name, await unpack(packed)];
  }));
  await forgetOthers(cache, wanted.map(([, file]) => addressOf(file, base).href));
  const unpacked = Object.fromEntries(contents);
  return { ...unpacked, speakers: putTogether(unpacked[of], pieces) };
}

/** Null where the browser keeps nothing, as on an address without https. */
async function openCache() {
  try {
    return await caches.open(CACHE);
  } catch {
    return null;
  }
}

/** @param {PackedFile} file @param {URL} base @param {Cache | null} cache
 * @param {(bytes: number) => void} tell */
async function load(file, base, cache, tell) {
  const address = addressOf(file, base);
  const kept = await cache?.match(address);
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if (await isWhole(bytes, file)) {
      tell(bytes.length);
      return bytes;
    }
  }
  const bytes = await download(address, file, tell);
  if (!(await isWhole(bytes, file))) {
    throw new BrokenFile(`${file.path} did not come as it was sent; reload the page`);
  }
  await cache?.put(address, new Response(bytes)).catch(() => {}); // no room: fetched again next time
  return bytes;
}

/** @param {URL} address @param {PackedFile} file @param {(bytes: number) => void} tell */
async function download(address, file, tell) {
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok || !answer.body) {
    throw new BrokenFile(`${file.path} could not be fetched; check the network and try again`);
  }
  const bytes = new Uint8Array(file.bytes);
  let length = 0;
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
    if (done || !value || length + value.length > bytes.length) return bytes.subarray(0, length);
    bytes.set(value, length);
    length += value.length;
    tell(value.length);
  }
}

/** The hash is in the address, so that another version is another file to all caches.
 * @param {PackedFile} file @param {URL} base */
function addressOf({ path, sha256 }, base) {
  const address = new URL(path, base);
  address.search = `?${sha256.slice(0, 16)}`;
  return address;
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {PackedFile} file */
async function isWhole(bytes, file) {
  if (!globalThis.crypto?.subtle) {
    throw new BrokenFile("this address is not safe: browsers check what was fetched on https pages " +
      "and on localhost only");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const text = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return text === file.sha256;
}

/** @param {Cache | null} cache @param {string[]} wanted */
async function forgetOthers(cache, wanted) {
  for (const request of (await cache?.keys()) ?? []) {
    if (!wanted.includes(request.url)) await cache?.delete(request);
  }
}

/** @param {Uint8Array<ArrayBuffer>} bytes gzip */
export async function unpack(bytes) {
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** @param {Uint8Array} file @param {Piece[]} pieces */
export function putTogether(file, pieces) {
  const parts = pieces.map((piece) => (typeof piece === "string"
    ? Uint8Array.from(atob(piece), (letter) => letter.charCodeAt(0))
    : file.subarray(...piece)));
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
