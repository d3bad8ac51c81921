// What a seed draws, as numpy does: z is RandomState(seed).randn, the class default_rng(seed).
// Both are exact, so that a seed has the same picture here and in every command.

const WORDS = 624;
const AHEAD = 397;

/** Mersenne Twister (Matsumoto and Nishimura 1998) as numpy seeds it with a number below 2^32. */
class Twister {
  constructor(seed) {
    this.key = new Uint32Array(WORDS);
    this.at = WORDS;
    this.key[0] = seed;
    for (let i = 1; i < WORDS; i++) {
      const before = this.key[i - 1];
      this.key[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  turn() {
    const key = this.key;
    for (let i = 0; i < WORDS; i++) {
      const y = (key[i] & 0x80000000) | (key[(i + 1) % WORDS] & 0x7fffffff);
      key[i] = key[(i + AHEAD) % WORDS] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }

  bits() {
    if (this.at === WORDS) this.turn();
    let y = this.key[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  unit() {
    const high = this.bits() >>> 5;
    return (high * 67108864 + (this.bits() >>> 6)) / 9007199254740992;
  }
}

/** z of a seed: `count` numbers of N(0, 1), two at a time (Marsaglia's polar method). */
export function latent(seed, count) {
  const twister = new Twister(seed);
  const z = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    let one, other, square;
    do {
      one = 2 * twister.unit() - 1;
      other = 2 * twister.unit() - 1;
      square = one * one + other * other;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    z[i] = factor * other;
    if (i + 1 < count) z[i + 1] = factor * one;
  }
  return z;
}

/** The words of numpy's SeedSequence(seed), as eight of 32 bits. */
function sequence(seed) {
  let constant = 0x43b0d7e5;
  const hashed = (value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mixed = (x, y) => {
    const value = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = [seed, 0, 0, 0].map(hashed);
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) {
      if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));
    }
  }
  constant = 0x8b51f9dd;
  return Array.from({length: 8}, (_, i) => {
    let value = pool[i % 4] ^ constant;
    constant = Math.imul(constant, 0x58f38ded);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  });
}

/** PCG64 (O'Neill 2014): a function that gives 32 bits at a time, the lower half first. */
function pcg(seed) {
  const words = sequence(seed).map(BigInt);
  const pair = (at) => (((words[at + 1] << 32n) | words[at]) << 64n) | (words[at + 3] << 32n) | words[at + 2];
  const wide = (value) => BigInt.asUintN(128, value);
  const increment = wide((pair(4) << 1n) | 1n);
  const step = (state) => wide(state * 0x2360ed051fc65da44385df649fccf645n + increment);
  let state = step(wide(increment + pair(0)));
  let kept = null;
  return () => {
    if (kept !== null) {
      const high = kept;
      kept = null;
      return high;
    }
    state = step(state);
    const turn = state >> 122n;
    const value = BigInt.asUintN(64, (state >> 64n) ^ state);
    const turned = BigInt.asUintN(64, (value >> turn) | (value << ((64n - turn) & 63n)));
    kept = turned >> 32n;
    return turned & 0xffffffffn;
  };
}

/** The class of a seed among `classes`: default_rng(seed).integers(classes) (Lemire 2019). */
export function drawnClass(seed, classes) {
  if (classes < 2) return 0;
  const next = pcg(seed);
  const range = BigInt(classes);
  const least = (1n << 32n) % range;
  let product;
  do product = next() * range;
  while ((product & 0xffffffffn) < least);
  return Number(product >> 32n);
}
