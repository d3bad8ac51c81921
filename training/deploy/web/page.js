// The page: what a person asks for, and the picture that comes of it.

import {Rate, loop, show} from './easel.js';
import {openEngine} from './engines.js';
import {REACH, SEEDS, begin, facts, read, written} from './look.js';
import {download, png} from './png.js';
import {drawnClass, latent} from './seeds.js';
import {between, styled} from './styles.js';

const NEIGHBOURS = 10;
const KEPT = 200; // w of seeds, so that a walk back maps nothing again
const SECONDS = 1.6; // from seed to seed, at speed 1
const at = (id) => document.getElementById(id);

let about, engine, look;
let walking = false;
let dirty = true; // the picture
let stale = 0; // thumbnails that are drawn anew, from this number on
let otherStale = true;
let speed = 1;
let since = 0; // the time of the last step of a walk
const known = new Map();
const rate = new Rate();
const sliders = [];

/** w of a seed (or z, of a model that is one file). */
async function point(seed) {
  const label = look.label >= 0 ? look.label : drawnClass(seed, about.labels);
  const key = `${seed} ${label}`;
  if (!known.has(key)) {
    if (known.size >= KEPT) known.delete(known.keys().next().value);
    known.set(key, await engine.map(latent(seed, about.z_dim), label));
  }
  return known.get(key);
}

/** w of where the walk is. */
async function here() {
  if (!look.at) return point(look.seed);
  const seeds = [-1, 0, 1, 2].map((step) => (look.seed + step + SEEDS + 1) % (SEEDS + 1));
  const points = [];
  for (const seed of seeds) points.push(await point(seed));
  return between(points, look.at);
}

async function pixels(w, asked) {
  if (about.whole) return engine.draw(w, asked);
  const other = asked.levels.size ? await point(asked.other) : null;
  return engine.draw(styled(w, other, asked, about), asked);
}

/** The look of a picture beside this one: of its seed alone, not mixed, not moved. */
const plain = () => ({...begin(about), psi: look.psi, label: look.label, noise: look.noise});

async function paint() {
  const before = performance.now();
  show(at('picture'), await pixels(await here(), look), about);
  const took = performance.now() - before;
  const figure = walking ? rate.tick() : null;
  if (figure !== null) at('rate').textContent = `${figure.toFixed(figure < 10 ? 1 : 0)} pictures a second`;
  document.documentElement.dataset.ms = took.toFixed(2); // one reads it who measures
}

async function paintThumb(number) {
  const button = at('strip').children[number];
  show(button.firstChild, await pixels(await point(Number(button.dataset.seed)), plain()), about);
}

/** One step of everything that is drawn; true while there is more. */
async function step() {
  if (walking) onward();
  if (dirty) {
    dirty = false;
    await paint();
  } else if (otherStale) {
    otherStale = false;
    show(at('other-picture'), await pixels(await point(look.other), plain()), about);
  } else if (stale < NEIGHBOURS) {
    await paintThumb(stale++);
  }
  if (!dirty && !walking && stale >= NEIGHBOURS && !otherStale) {
    document.documentElement.dataset.settled = written(look, about);
    return false;
  }
  return true;
}

const wake = loop(step, (error) => {
  walking = false;
  window.tell(`The picture could not be drawn: ${error.message}`);
  throw error;
});

function onward() {
  const now = performance.now();
  const share = look.at + (Math.min(now - since, 500) / 1000 / SECONDS) * speed;
  since = now;
  if (share >= 1) look.seed = (look.seed + Math.floor(share)) % (SEEDS + 1);
  look.at = share % 1;
  dirty = true;
  tellSeed();
}

/** Draw again; `others` says whether the pictures beside this one have changed, too. */
function ask(others = false) {
  delete document.documentElement.dataset.settled;
  dirty = true;
  if (others) {
    stale = 0;
    otherStale = !about.whole;
  }
  tellSeed();
  if (!walking) history.replaceState(null, '', `#${written(look, about)}`);
  wake();
}

function tellSeed() {
  const first = Math.floor(look.seed / NEIGHBOURS) * NEIGHBOURS;
  if (document.activeElement !== at('seed')) at('seed').value = look.seed;
  if (document.activeElement !== at('other')) at('other').value = look.other;
  at('what').textContent = inWords();
  const buttons = [...at('strip').children];
  if (Number(buttons[0].dataset.seed) !== first) {
    stale = 0;
    buttons.forEach((button, number) => {
      button.dataset.seed = first + number;
      button.disabled = first + number > SEEDS;
      button.setAttribute('aria-label', `seed ${first + number}`);
      button.title = `seed ${first + number}`;
    });
  }
  for (const button of buttons) {
    button.setAttribute('aria-pressed', Number(button.dataset.seed) === look.seed);
  }
  tellTeacher();
}

function inWords() {
  const seed = look.at ? `seed ${look.seed} to ${look.seed + 1}` : `seed ${look.seed}`;
  if (!about.labels) return seed;
  return `${seed}, class ${look.label >= 0 ? look.label : drawnClass(look.seed, about.labels)}`;
}

/** The teacher's picture of the same seed, where there is one of this very look. */
function tellTeacher() {
  if (!about.teacher) return;
  const same = written(look, about) === written({...begin(about), seed: look.seed}, about);
  const there = same && !walking && about.teacher.seeds.includes(look.seed);
  const image = at('teacher-picture');
  image.hidden = !there;
  at('teacher-note').hidden = there;
  if (!there) return;
  image.src = `teacher/${look.seed}.png`;
  image.alt = `the teacher's picture of seed ${look.seed}`;
}

function walk(on = !walking) {
  walking = on;
  since = performance.now();
  rate.forget();
  at('walk').setAttribute('aria-pressed', on);
  at('walk').lastChild.textContent = on ? 'Pause' : 'Walk';
  ask();
}

function goTo(seed) {
  look.seed = (seed + SEEDS + 1) % (SEEDS + 1);
  look.at = 0;
  ask();
}

function reset() {
  const {seed} = look;
  look = {...begin(about), seed};
  known.clear();
  tellAll();
  ask(true);
}

async function save() {
  const blob = await png(at('picture'), facts(look, about));
  download(blob, `${about.title}-seed${String(look.seed).padStart(4, '0')}.png`);
}

/** A slider with its name and value; `set` is what it changes, `get` what it shows. */
function slider(place, name, hint, [low, high, middle], get, set) {
  const row = document.createElement('label');
  row.className = 'row';
  row.innerHTML = '<span class="name"></span><input type="range"><output></output>';
  const [title, input, output] = row.children;
  title.textContent = name;
  row.title = hint;
  Object.assign(input, {min: low, max: high, step: 0.01, id: `slider-${name}`});
  const tell = () => {
    input.value = get();
    output.textContent = get().toFixed(2).replace('-', '\u2212');
    const share = (value) => `${(100 * (value - low)) / (high - low)}%`;
    input.style.setProperty('--low', share(Math.min(get(), middle)));
    input.style.setProperty('--high', share(Math.max(get(), middle)));
  };
  const change = (value) => {
    set(Number(value));
    tell();
  };
  input.addEventListener('input', () => change(input.value));
  const first = get();
  row.addEventListener('dblclick', () => change(first));
  place.append(row);
  sliders.push(tell);
}

function addSliders() {
  const general = at('general');
  const psi = (value) => ((look.psi = value), ask(true));
  slider(general, 'Truncation', 'psi: 0 draws the mean, 1 as it was trained', [-1, 1.5, 0], () => look.psi, psi);
  if (about.noise) {
    const noise = (value) => ((look.noise = value), ask(true));
    slider(general, 'Noise', 'how much of its own noise every layer adds', [0, 2, 0], () => look.noise, noise);
  }
  slider(general, 'Walk', 'how fast it goes from seed to seed', [0.1, 4, 0.1], () => speed, (value) => (speed = value));
  at('directions').hidden = !about.directions.length;
  about.directions.forEach(({name}, number) => {
    const move = (value) => ((look.moves[number] = value), ask());
    slider(at('directions'), name, '', [-REACH, REACH, 0], () => look.moves[number], move);
  });
}

function addClasses() {
  at('class-row').hidden = !about.labels;
  const names = ['by seed', ...Array.from({length: about.labels}, (_, number) => number)];
  at('class').append(...names.map((name, number) => new Option(name, number - 1)));
  at('class').addEventListener('change', () => {
    look.label = Number(at('class').value);
    ask(true);
  });
}

function addMix() {
  at('mix').hidden = about.whole;
  otherStale = !about.whole;
  about.sizes.forEach(([height, width], level) => {
    const chip = document.createElement('button');
    chip.textContent = height === width ? height : `${width}\u00d7${height}`;
    chip.title = `the styles of ${width} x ${height} pixels`;
    chip.addEventListener('click', () => {
      if (!look.levels.delete(level)) look.levels.add(level);
      tellAll();
      ask();
    });
    at('levels').append(chip);
  });
  const take = (seed) => {
    look.other = (seed + SEEDS + 1) % (SEEDS + 1);
    otherStale = true;
    ask();
  };
  at('other-before').addEventListener('click', () => take(look.other - 1));
  at('other-after').addEventListener('click', () => take(look.other + 1));
  seedField(at('other'), take);
}

function seedField(field, take) {
  field.addEventListener('change', () => {
    const seed = Math.floor(Number(field.value));
    field.blur();
    if (field.value.trim() && seed >= 0 && seed <= SEEDS) take(seed);
    else tellSeed();
  });
  field.addEventListener('focus', () => field.select());
}

function tellAll() {
  for (const tell of sliders) tell();
  at('class').value = look.label;
  [...at('levels').children].forEach((chip, level) => {
    chip.setAttribute('aria-pressed', look.levels.has(level));
  });
}

function addStrip() {
  for (let number = 0; number < NEIGHBOURS; number++) {
    const button = document.createElement('button');
    button.append(document.createElement('canvas'));
    button.addEventListener('click', () => goTo(Number(button.dataset.seed)));
    at('strip').append(button);
  }
}

function addKeys() {
  const any = () => goTo(Math.floor(Math.random() * 1e6));
  const buttons = {before: () => goTo(look.seed - 1), after: () => goTo(look.seed + 1), random: any, reset, save};
  for (const [id, act] of Object.entries(buttons)) at(id).addEventListener('click', act);
  at('walk').addEventListener('click', () => walk());
  seedField(at('seed'), goTo);
  const keys = {ArrowLeft: buttons.before, ArrowRight: buttons.after, r: any, s: save, 0: reset, ' ': () => walk()};
  document.addEventListener('keydown', (event) => {
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const busy = event.target.closest('input, select') || event.ctrlKey || event.metaKey || event.altKey;
    if (!act || busy || (event.key === ' ' && event.target.closest('button'))) return;
    event.preventDefault();
    act();
  });
}

/** On the picture: a click walks, a swipe goes to the next seed. */
function addTouch() {
  let start = null;
  const frame = at('frame');
  frame.addEventListener('pointerdown', (event) => (start = event));
  frame.addEventListener('click', (event) => {
    const far = start && event.detail ? event.clientX - start.clientX : 0;
    if (Math.abs(far) < 30) walk();
  });
  frame.addEventListener('touchend', (event) => {
    const far = start ? event.changedTouches[0].clientX - start.clientX : 0;
    if (Math.abs(far) < 30) return;
    event.preventDefault(); // no click follows
    goTo(look.seed + (far < 0 ? 1 : -1));
  });
}

function tellModel() {
  const form = document.documentElement;
  form.style.setProperty('--aspect', about.width / about.height);
  form.classList.toggle('pixels', about.height <= 64);
  if (about.channels === 4) at('frame').classList.add('seen-through');
  document.title = `Atelier: ${about.title}`;
  at('title').textContent = about.title;
  const where = about.engine === 'server' ? 'drawn by the program that serves this page' : 'drawn in this browser';
  at('source').textContent = `${about.width} \u00d7 ${about.height} pixels, ${about.source}, ${where}`;
  if (about.teacher) tellOfTeacher();
}

function tellOfTeacher() {
  const {seeds, title} = about.teacher;
  at('teacher').hidden = false;
  at('work').classList.add('paired');
  at('teacher-what').textContent = `its teacher, ${title}`;
  at('teacher-note').textContent = `It drew seeds ${seeds[0]} to ${seeds.at(-1)}, with nothing else changed`;
}

async function start() {
  const answer = await fetch('about.json');
  if (!answer.ok) throw new Error('about.json is not there');
  about = await answer.json();
  look = read(location.hash.slice(1), about);
  tellModel();
  addStrip();
  addClasses();
  addSliders();
  addMix();
  addKeys();
  addTouch();
  at('work').hidden = false;
  document.body.classList.add('loading');
  tellAll();
  tellSeed();
  engine = await openEngine(about);
  document.body.classList.remove('loading');
  window.addEventListener('hashchange', () => {
    look = read(location.hash.slice(1), about);
    tellAll();
    ask(true);
  });
  ask();
}

start().catch((error) => {
  document.body.classList.remove('loading');
  window.tell(`The model could not be loaded (${error.message}): is the folder of this page whole?`);
  console.error(error);
});
