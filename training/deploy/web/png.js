// A PNG that says what it is of: tEXt chunks, as the commands write them.

const HEAD = 33; // bytes before the second chunk: the signature and IHDR

function crc(bytes) {
  let value = -1;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return (value ^ -1) >>> 0;
}

function chunk(name, text) {
  const inner = new TextEncoder().encode(`tEXt${name}\0${text}`);
  const bytes = new Uint8Array(inner.length + 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, inner.length - 4);
  bytes.set(inner, 4);
  view.setUint32(inner.length + 4, crc(inner));
  return bytes;
}

/** The picture of a canvas as a Blob, with a chunk for each fact. */
export async function png(canvas, facts) {
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
  const chunks = Object.entries(facts).map(([name, text]) => chunk(name, text));
  return new Blob([blob.slice(0, HEAD), ...chunks, blob.slice(HEAD)], {type: 'image/png'});
}

/** Hand a Blob to the person as a file. */
export function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
