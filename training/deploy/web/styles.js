// Arithmetic of styles, as the commands do it: truncation first, then mixing, then directions.

/** The rows of ws that belong to levels; level l has 2 l - 1 and 2 l, the highest the last too. */
export function rowsOf(levels, top) {
  const rows = [];
  for (let row = 0; row < 2 * top + 2; row++) {
    if (levels.has(Math.min((row + 1) >> 1, top))) rows.push(row);
  }
  return rows;
}

/** w -> ws [rows, w_dim]: mean + psi (w - mean) in every row. */
export function truncated(w, mean, psi, rows) {
  const ws = new Float32Array(rows * w.length);
  for (let i = 0; i < w.length; i++) ws[i] = mean[i] + psi * (w[i] - mean[i]);
  for (let row = 1; row < rows; row++) ws.copyWithin(row * w.length, 0, w.length);
  return ws;
}

/** The ws of a look: `other` is the w whose styles `look.levels` have, or null. */
export function styled(w, other, look, about) {
  const top = about.sizes.length - 1;
  const width = about.w_dim;
  const ws = truncated(w, about.w_avg, look.psi, about.rows);
  if (other && look.levels.size) {
    const own = truncated(other, about.w_avg, look.psi, 1);
    for (const row of rowsOf(look.levels, top)) ws.set(own, row * width);
  }
  about.directions.forEach(({step, levels}, number) => {
    const amount = look.moves[number];
    if (!amount) return;
    for (const row of rowsOf(new Set(levels), top)) {
      for (let i = 0; i < width; i++) ws[row * width + i] += amount * step[i];
    }
  });
  return ws;
}

/** A smooth way through points: at `share` between the two in the middle (Catmull and Rom 1974). */
export function between([before, one, other, after], share) {
  const found = new Float32Array(one.length);
  for (let i = 0; i < one.length; i++) {
    const [a, b, c, d] = [before[i], one[i], other[i], after[i]];
    const cubic = 3 * (b - c) + d - a;
    const square = 2 * a - 5 * b + 4 * c - d;
    found[i] = b + 0.5 * share * (c - a + share * (square + share * cubic));
  }
  return found;
}
