// Reads a screenshot: 8 bit RGB or RGBA, not interlaced, which is what browsers write.
import { inflateSync } from "node:zlib";

export function decode(png) {
  const width = png.readUInt32BE(16), height = png.readUInt32BE(20), kind = png[25];
  if (png[24] !== 8 || (kind !== 2 && kind !== 6) || png[28] !== 0) throw new Error("not an 8 bit RGB or RGBA picture");
  const channels = kind === 6 ? 4 : 3;
  const data = [];
  for (let at = 8; at < png.length; ) {
    const size = png.readUInt32BE(at);
    if (png.toString("latin1", at + 4, at + 8) === "IDAT") data.push(png.subarray(at + 8, at + 8 + size));
    at += size + 12;
  }
  const raw = inflateSync(Buffer.concat(data));
  const line = width * channels;
  const out = Buffer.alloc(line * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (line + 1)];
    for (let x = 0; x < line; x++) {
      const a = x >= channels ? out[y * line + x - channels] : 0;
      const b = y > 0 ? out[(y - 1) * line + x] : 0;
      const c = x >= channels && y > 0 ? out[(y - 1) * line + x - channels] : 0;
      let guess = 0;
      if (filter === 1) guess = a;
      else if (filter === 2) guess = b;
      else if (filter === 3) guess = (a + b) >> 1;
      else if (filter === 4) {
        const p = a + b - c, pa = Math.abs(p - a), pb = Math.abs(p - b), pc = Math.abs(p - c);
        guess = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      }
      out[y * line + x] = raw[y * (line + 1) + 1 + x] + guess;
    }
  }
  return { width, height, channels, pixels: out };
}

const linear = Float64Array.from({ length: 256 }, (_, v) => {
  const c = v / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
});

/** light is the mean light of a screenshot, in percent of a white one: luminance (sRGB, Y), and the blue channel alone. */
export function light(png) {
  const { channels, pixels } = decode(png);
  let y = 0, blue = 0;
  for (let i = 0; i < pixels.length; i += channels) {
    const b = linear[pixels[i + 2]];
    y += 0.2126 * linear[pixels[i]] + 0.7152 * linear[pixels[i + 1]] + 0.0722 * b;
    blue += b;
  }
  const n = pixels.length / channels / 100;
  return { y: y / n, blue: blue / n };
}
