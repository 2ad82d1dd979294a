// The cyclic redundancy check of 32 bits, as PNG has it: Python's `zlib.crc32`.

/** @type {Uint32Array | undefined} */
let remainders;

/** @param {Uint8Array} bytes */
export function checksum(bytes) {
  remainders ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });
  let value = 0xffffffff;
  for (const byte of bytes) value = remainders[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
