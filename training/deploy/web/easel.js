// Pixels onto canvases, and the one loop in which everything is drawn.

/** uint8 [height, width, channels] of 1, 3 or 4 channels -> ImageData. */
export function imageOf(pixels, about) {
  const {width, height, channels} = about;
  const image = new ImageData(width, height);
  for (let i = 0, from = 0, to = 0; i < width * height; i++, from += channels, to += 4) {
    image.data[to] = pixels[from];
    image.data[to + 1] = pixels[from + (channels > 2 ? 1 : 0)];
    image.data[to + 2] = pixels[from + (channels > 2 ? 2 : 0)];
    image.data[to + 3] = channels === 4 ? pixels[from + 3] : 255;
  }
  return image;
}

/** Show pixels on a canvas, one of its for one of theirs. */
export function show(canvas, pixels, about) {
  if (canvas.width !== about.width || canvas.height !== about.height) {
    canvas.width = about.width;
    canvas.height = about.height;
  }
  canvas.getContext('2d').putImageData(imageOf(pixels, about), 0, 0);
}

/** How many pictures a second, over the last half second or more. */
export class Rate {
  constructor() {
    this.forget();
  }

  forget() {
    this.count = 0;
    this.since = performance.now();
  }

  /** Count one; the figure where a new one is known, else null. */
  tick() {
    this.count += 1;
    const seconds = (performance.now() - this.since) / 1000;
    if (seconds < 0.5) return null;
    const rate = this.count / seconds;
    this.forget();
    return rate;
  }
}

/**
 * Calls `step` once a frame of the screen, never twice at a time, for as long as it says true.
 * The function that it gives wakes it.
 */
export function loop(step, failed) {
  let running = false;
  return async () => {
    if (running) return;
    running = true;
    try {
      while (await step()) await new Promise(requestAnimationFrame);
    } catch (error) {
      failed(error);
    }
    running = false;
  };
}
