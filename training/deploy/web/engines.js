// What draws: LiteRT in this browser, or the program that serves this page.
//
// An engine has map(z, label) -> w, and draw(ws, look) -> pixels, uint8 [height, width, channels].

/** The engine that the page was written for. */
export function openEngine(about) {
  if (about.engine === 'server') return serverEngine(about);
  return about.whole ? wholeEngine(about) : partsEngine(about);
}

/** LiteRT's runtime and the model's file, compiled for one thread of WebAssembly. */
async function compiled(about) {
  // What the runtime tells of itself is no error of the page.
  self.Module = {
    printErr: (text) => (text.startsWith('ERROR') ? console.error(text) : console.debug(text)),
  };
  const {loadLiteRt, loadAndCompile, Tensor} = await import('@litertjs/core');
  await loadLiteRt(new URL('litert/wasm/', document.baseURI).href);
  const model = await loadAndCompile(about.file, {accelerator: 'wasm'});
  return {model, Tensor};
}

/** Run a signature; the memory of its tensors lies in WebAssembly, where nothing else frees it. */
async function run({model}, signature, inputs, output) {
  const outputs = await model.run(signature, inputs);
  const data = await outputs[output].data();
  for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.delete();
  return data;
}

/** A file of the two signatures mapping and synthesis. */
async function partsEngine(about) {
  const made = await compiled(about);
  const {Tensor} = made;
  return {
    map(z, label) {
      const inputs = {z: new Tensor(z, [1, about.z_dim])};
      if (about.labels) inputs.label = new Tensor(Int32Array.of(label), [1]);
      return run(made, 'mapping', inputs, 'w');
    },
    draw(ws, look) {
      const inputs = {ws: new Tensor(ws, [1, about.rows, about.w_dim])};
      if (about.noise) inputs.noise = new Tensor(Float32Array.of(look.noise), []);
      return run(made, 'synthesis', inputs, 'images');
    },
  };
}

/** A file that `export` wrote: from z and psi to a picture. */
async function wholeEngine(about) {
  const made = await compiled(about);
  const {Tensor} = made;
  return {
    map: async (z) => z,
    draw(z, look) {
      const inputs = {
        z: new Tensor(z, [1, about.z_dim]),
        psi: new Tensor(Float32Array.of(look.psi), []),
      };
      return run(made, 'serving_default', inputs, 'images');
    },
  };
}

/** The program that serves this page: numbers there, numbers back. */
async function serverEngine() {
  const ask = async (path, body) => {
    const answer = await fetch(path, {method: 'POST', body});
    if (!answer.ok) throw new Error(`the program answers: ${await answer.text()}`);
    return answer.arrayBuffer();
  };
  return {
    map: async (z, label) => new Float32Array(await ask(`map?label=${label}`, z)),
    draw: async (ws, look) => new Uint8Array(await ask(`draw?noise=${look.noise}`, ws)),
  };
}
