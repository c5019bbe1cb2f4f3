// The answer and the list of wheels. All text is set as text: nothing of a wheel becomes markup.

const element = (id) => document.getElementById(id);
const ROWS = 40; // that are shown at first, and more at a time

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const reasonText = (reason) => `${FACTS[reason.fact][0]} ${reason.found}, expected ${reason.expected}`;
const sizeText = (size) => (size ? `${(size / 1e6).toFixed(size < 1e7 ? 1 : 0)} MB` : "");
const versionOf = (data, i) => data.versions[data.wheels.version[i]][0];

function codeText(data, choice, i) {
  const [held, floor] = data.code[data.wheels.code[i]];
  const { gpus } = choice.machine;
  if (!held.codes.length && held.asks_gpu) return `It has no code for GPUs of its own: it calls libraries of CUDA${floor ? `, for driver ${floor} or newer` : ""}.`;
  if (!held.codes.length) return gpus && gpus.length ? "It has no code for GPUs: it runs on the CPU." : "It runs without a GPU.";
  const cubins = sortedArchs(held.codes.flatMap((code) => code.cubins));
  const ptx = sortedArchs(held.codes.flatMap((code) => code.ptx.map(([arch]) => arch))).map((arch) => `${arch}+PTX`);
  const how = { 3: "Compiled for your GPU", 2: "The driver compiles it for your GPU", 1: "Some of it runs on your GPU" };
  const told = gpus && gpus.length ? how[choice.service(i)] : null;
  const leftOut = choice.leftOut(i);
  return (
    `${told ? `${told}: it has` : "It has"} code for ${[...cubins, ...ptx].join(", ")}` +
    (floor ? `, for driver ${floor} or newer.` : ".") +
    (leftOut.length ? ` Not on your GPU: ${leftOut.join(", ")}.` : "")
  );
}

function showAnswer(data, choice, lines) {
  const { best, nearest } = choice, shown = best === null ? nearest : best, { wheels } = data;
  element("answer").dataset.fits = best === null ? "no" : "yes";
  element("answer").dataset.file = shown === null ? "" : wheels.file[shown];
  const meant = best === null ? nearest : choice.forGpu;
  const changes = meant === null ? [] : choice.reasons(meant);
  element("changes").replaceChildren(
    ...changes.map((reason) => make("li", {}, make("strong", {}, FACTS[reason.fact][2]), `: ${reasonText(reason)}`)),
  );
  element("changes").hidden = !changes.length;
  element("lines").hidden = best === null;
  element("file").textContent = shown === null ? "" : [wheels.file[shown], sizeText(wheels.size[shown]), `sha256 ${wheels.sha256[shown]}`].filter(Boolean).join(" · ");
  if (shown === null) {
    element("answer-title").textContent = "There is no wheel here";
    element("answer-text").textContent = "";
  } else if (best === null) {
    element("answer-title").textContent = "No wheel fits this machine";
    element("answer-text").textContent = `The nearest is ${data.project} ${versionOf(data, nearest)}. What would have to change:`;
  } else {
    element("answer-title").textContent = `${data.project} ${versionOf(data, best)} fits`;
    const told = codeText(data, choice, best);
    const other = meant === null ? "" : ` For your GPU, ${data.project} ${versionOf(data, meant)} would fit. What would have to change:`;
    element("answer-text").textContent = told + other;
  }
  for (const tool of TOOLS) {
    const told = lines[tool];
    element(`tab-${tool}`).hidden = told === undefined;
    element(`panel-${tool}`).querySelector("code").textContent = told || "";
  }
}

function showCounts(data, choice) {
  const counts = new Map();
  for (const i of choice.order.slice(choice.fits)) {
    for (const fact of new Set(choice.reasons(i).map((reason) => FACTS[reason.fact][0]))) counts.set(fact, (counts.get(fact) || 0) + 1);
  }
  const why = [...counts].sort((a, b) => b[1] - a[1]).map(([fact, count]) => `${fact} ${count}`);
  const total = choice.order.length;
  const fit = `${choice.fits} of ${total} wheel${total === 1 ? "" : "s"} fit.`;
  element("counts").textContent = why.length ? `${fit} Why not the others: ${why.join(", ")}.` : fit;
}

// Only what is seen has rows: `count` of those whose names have the words of the filter.
function showRows(data, choice, count) {
  const words = element("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const { file, size } = data.wheels;
  const matching = choice.order.filter((i) => words.every((word) => file[i].toLowerCase().includes(word)));
  const fitting = new Set(choice.order.slice(0, choice.fits));
  element("rows").replaceChildren(
    ...matching.slice(0, count).map((i) => {
      const fits = fitting.has(i);
      const text = fits ? (i === choice.best ? "fits best" : "fits") : choice.reasons(i).map(reasonText).join("; ");
      const row = make("li", { "data-fits": fits ? "yes" : "no" }, make("code", {}, file[i]), " ", make("small", {}, sizeText(size[i])));
      row.append(make("p", {}, text));
      return row;
    }),
  );
  const left = matching.length - Math.min(count, matching.length);
  element("more").hidden = !left;
  element("more").textContent = `Show ${Math.min(left, ROWS)} more of ${left}`;
  if (!matching.length) element("rows").append(make("li", { "data-fits": "no" }, "No wheel has such a name."));
}
