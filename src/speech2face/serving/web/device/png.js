// Pictures become PNG files whose metadata say that they are generated.

import { checksum } from "./checksum.js";

/** @typedef {import("./pixels.js").Picture} Picture */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const XMP = "XML:com.adobe.xmp";
const RGB = 2;
const PAETH = 4;

/** A PNG file. `texts` go to its metadata by their names, `xmp` as what picture libraries read.
 * @param {Picture} picture @param {Record<string, string>} texts @param {string} xmp */
export async function encodePng({ side, pixels }, texts, xmp) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, side);
  header.setUint32(4, side);
  header.setUint8(8, 8); // bits a channel
  header.setUint8(9, RGB);
  const parts = [
    Uint8Array.from(SIGNATURE),
    chunk("IHDR", new Uint8Array(header.buffer)),
    ...Object.entries(texts).map(([name, text]) => chunk("tEXt", encodeLatin(`${name}\0${text}`))),
    chunk("iTXt", new TextEncoder().encode(`${XMP}\0\0\0\0\0${xmp}`)),
    chunk("IDAT", await deflate(filter(pixels, side))),
    chunk("IEND", new Uint8Array()),
  ];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Each row as its difference from what its neighbours let expect (Paeth, 1991).
 * @param {Uint8ClampedArray} pixels @param {number} side */
function filter(pixels, side) {
  const width = 3 * side;
  const rows = new Uint8Array(side * (width + 1));
  for (let y = 0, to = 0; y < side; y++) {
    rows[to++] = PAETH;
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const left = x >= 3 ? pixels[at - 3] : 0;
      const up = y ? pixels[at - width] : 0;
      const corner = x >= 3 && y ? pixels[at - width - 3] : 0;
      const [a, b] = [Math.abs(up - corner), Math.abs(left - corner)];
      const c = Math.abs(left + up - 2 * corner);
      const expected = a <= b && a <= c ? left : b <= c ? up : corner;
      rows[to++] = pixels[at] - expected;
    }
  }
  return rows;
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function deflate(bytes) {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/** @param {string} name @param {Uint8Array} content */
function chunk(name, content) {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(encodeLatin(name), 4);
  bytes.set(content, 8);
  view.setUint32(content.length + 8, checksum(bytes.subarray(4, -4)));
  return bytes;
}

/** @param {string} text */
const encodeLatin = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
