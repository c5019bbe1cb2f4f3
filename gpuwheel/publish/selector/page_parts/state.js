// What is chosen, as text: in controls, and in the fragment of the address, by which it can be shared.

const FIELDS = ["system", "cpu", "libc", "release", "python", "free_threaded", "torch", "torch_cuda", "gpus", "driver", "pre", "tool"];
const TOOLS = ["pip", "uv", "pixi", "Containerfile", "pyproject.toml"];

const SHAPES = {
  system: /^(linux|macos|windows)$/,
  cpu: /^(x86_64|aarch64)$/,
  libc: /^(glibc|musl)$/,
  release: /^(\d{1,3}\.\d{1,3})?$/,
  python: /^3\.\d{1,3}(\.\d{1,3})?$/,
  free_threaded: /^1?$/,
  torch: /^[\w.+!-]{0,60}$/,
  torch_cuda: /^(\d{1,3}\.\d{1,3})?$/,
  gpus: /^(none|\d{1,2}\.\d(,\d{1,2}\.\d){0,15})?$/,
  driver: /^(\d{1,4}(\.\d{1,4}){0,2})?$/,
  pre: /^1?$/,
  tool: /^(pip|uv|pixi|Containerfile|pyproject\.toml)$/,
};

// What the reader has, as far as a browser says it; a system that no wheel is for would be no answer.
function initialState(data, navigator) {
  const told = `${navigator.platform} ${navigator.userAgent}`;
  const systems = new Set(data.tags.flat().map((tag) => platformOf(tag.split("-")[2]).system));
  const own = /mac/i.test(told) ? "macos" : /win/i.test(told) ? "windows" : "linux";
  const system = systems.has(own) || systems.has(null) || !systems.has("linux") ? own : "linux";
  const arm = system === own && (own === "macos" || /aarch64|arm64/i.test(told));
  const state = {
    ...Object.fromEntries(FIELDS.map((field) => [field, ""])),
    ...{ system, cpu: arm ? "aarch64" : "x86_64", libc: "glibc", tool: "pip" },
  };
  const pythons = [...data.pythons].reverse();
  return { ...state, python: pythons.find((python) => isOffered(data, { ...state, python })) || pythons[0] || "3.12" };
}

function isOffered(data, state) {
  const machine = machineOf(state);
  const tags = data.tags.map((one) => judgeTags(machine, one).rank !== null);
  const ranges = data.ranges.map(([wanted]) => !wanted || admits(wanted, machine.python));
  return data.wheels.file.some((_, i) => tags[data.wheels.tags[i]] && ranges[data.wheels.ranges[i]]);
}

function stateOf(fragment, state) {
  const told = new URLSearchParams(fragment.replace(/^#/, ""));
  const found = { ...state };
  for (const field of FIELDS) {
    const value = told.get(field);
    if (value !== null && SHAPES[field].test(value)) found[field] = value;
  }
  if (found.torch && parseVersion(found.torch) === null) found.torch = "";
  return found;
}

function fragmentOf(state) {
  const told = new URLSearchParams();
  for (const field of FIELDS) if (state[field]) told.set(field, state[field]);
  return `#${told}`;
}

function machineOf(state) {
  const fromRelease = state.system !== "windows" && state.release;
  return {
    system: state.system,
    cpu: state.cpu,
    libc: state.libc,
    release: fromRelease ? state.release.split(".").map(Number) : null,
    python: state.python,
    free_threaded: Boolean(state.free_threaded),
    torch: state.torch || null,
    torch_cuda: state.torch_cuda || null,
    gpus: state.gpus === "" ? null : state.gpus === "none" ? [] : state.gpus.split(","),
    driver: state.driver ? parseDriver(state.driver) : null,
    pre_releases: Boolean(state.pre),
  };
}

// Of what a pasted text told.
function changedBy(told) {
  const changes = {};
  for (const field of ["system", "cpu", "libc", "python", "torch"]) if (told[field]) changes[field] = told[field];
  if (told.release) changes.release = told.release.join(".");
  else if (told.system) changes.release = "";
  if (told.free_threaded !== undefined) changes.free_threaded = told.free_threaded ? "1" : "";
  if (told.torch) changes.torch_cuda = told.torch_cuda || "";
  if (told.driver) changes.driver = driverText(told.driver);
  if (told.gpus) changes.gpus = told.gpus.join(",") || "none";
  return changes;
}
