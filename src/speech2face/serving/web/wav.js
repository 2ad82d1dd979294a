// Samples become the bytes of a WAV file: what a recording is sent, kept and saved as.

const HEAD = 44; // bytes, without a comment

/** Blocks of mono sound within ±1 → a 16-bit WAV file, as FFmpeg writes it. The comment is ASCII.
 * @param {Float32Array[]} blocks @param {number} rate Hz */
export function encodeWav(blocks, rate, comment = "") {
  const count = blocks.reduce((sum, block) => sum + block.length, 0);
  const text = `${comment}\0${comment.length % 2 ? "" : "\0"}`; // of an even length
  const tag = comment ? 20 + text.length : 0; // bytes
  const file = new DataView(new ArrayBuffer(HEAD + tag + 2 * count));
  const write = (/** @type {number} */ at, /** @type {string} */ letters) =>
    [...letters].forEach((c, i) => file.setUint8(at + i, c.charCodeAt(0)));
  write(0, "RIFF");
  file.setUint32(4, file.byteLength - 8, true);
  write(8, "WAVEfmt ");
  file.setUint32(16, 16, true); // bytes of the format
  file.setUint16(20, 1, true); // PCM
  file.setUint16(22, 1, true); // one channel
  file.setUint32(24, rate, true);
  file.setUint32(28, 2 * rate, true); // bytes a second
  file.setUint16(32, 2, true); // bytes a frame
  file.setUint16(34, 16, true); // bits a sample
  let at = HEAD - 8;
  if (tag) {
    write(at, "LIST");
    file.setUint32(at + 4, 12 + text.length, true);
    write(at + 8, "INFOICMT");
    file.setUint32(at + 16, comment.length + 1, true);
    write(at + 20, text);
    at += tag;
  }
  write(at, "data");
  file.setUint32(at + 4, 2 * count, true);
  at += 8;
  for (const block of blocks) {
    for (const value of block) {
      file.setInt16(at, Math.round(Math.max(-1, Math.min(1, value)) * 32767), true);
      at += 2;
    }
  }
  return new Blob([file], { type: "audio/wav" });
}
