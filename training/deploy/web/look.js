// What is asked for: a seed and how it is drawn. It is in the address, so that a link shows it.

/** As the page begins. */
export function begin(about) {
  return {
    seed: 0,
    at: 0, // the share of the way to the next seed, while walking
    psi: about.psi,
    label: -1, // a class; -1: drawn by the seed
    other: 1, // the seed whose styles `levels` have
    levels: new Set(),
    noise: 1,
    moves: about.directions.map(() => 0),
  };
}

const short = (value) => String(Math.round(value * 1000) / 1000);

/** A look as the end of an address; what is as the page begins is left out. */
export function written(look, about) {
  const first = begin(about);
  const words = new URLSearchParams({seed: look.seed});
  if (look.at) words.set('at', short(look.at));
  for (const name of ['psi', 'label', 'noise']) {
    if (look[name] !== first[name]) words.set(name, short(look[name]));
  }
  if (look.levels.size) {
    words.set('with', look.other);
    words.set('levels', [...look.levels].sort((a, b) => a - b).join('.'));
  }
  about.directions.forEach(({name}, number) => {
    if (look.moves[number]) words.set(`d-${name}`, short(look.moves[number]));
  });
  return words.toString();
}

/** The look of the end of an address; what cannot be is left as the page begins. */
export function read(text, about) {
  const look = begin(about);
  const words = new URLSearchParams(text);
  const number = (name, low, high) => {
    const value = Number(words.get(name) ?? NaN);
    return words.has(name) && value >= low && value <= high ? value : null;
  };
  look.seed = Math.floor(number('seed', 0, SEEDS) ?? look.seed);
  look.at = number('at', 0, 0.999) ?? look.at;
  look.psi = number('psi', -2, 2) ?? look.psi;
  look.label = Math.floor(number('label', -1, about.labels - 1) ?? look.label);
  look.noise = number('noise', 0, 2) ?? look.noise;
  look.other = Math.floor(number('with', 0, SEEDS) ?? look.other);
  const levels = (words.get('levels') ?? '').split('.').filter(Boolean).map(Number);
  look.levels = new Set(levels.filter((level) => level in about.sizes));
  look.moves = about.directions.map(({name}) => number(`d-${name}`, -REACH, REACH) ?? 0);
  return look;
}

export const SEEDS = 2 ** 32 - 1; // the largest
export const REACH = 4; // standard deviations along a direction, to either side

/** What a file says of a look, in the words of the commands. */
export function facts(look, about) {
  const said = {model: about.digest, seed: short(look.seed + look.at), psi: short(look.psi)};
  if (look.label >= 0) said.label = String(look.label);
  if (look.noise !== 1) said.noise = short(look.noise);
  if (look.levels.size) said.mixed = `${look.other} at ${[...look.levels].sort().join(',')}`;
  const moved = about.directions.map(({name}, n) => [name, look.moves[n]]).filter(([, m]) => m);
  if (moved.length) said.directions = moved.map(([name, m]) => `${name}=${short(m)}`).join(',');
  return said;
}
