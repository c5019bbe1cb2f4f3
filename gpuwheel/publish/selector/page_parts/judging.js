// Whether a wheel fits a machine, and every reason why not. `facts` and wheels are rows of the page's own data.

const NATIVE = 3, COMPILED = 2, PARTLY = 1;

function parseArch(text) {
  const match = /^(\d+)\.(\d)([af]?)$/.exec(text);
  return match && { major: Number(match[1]), minor: Number(match[2]), suffix: match[3] };
}

const compareArchs = (left, right) => left.major - right.major || left.minor - right.minor || compareNumbers(left.suffix, right.suffix);

const sortedArchs = (archs) =>
  [...new Set(archs)].map(parseArch).sort(compareArchs).map(({ major, minor, suffix }) => `${major}.${minor}${suffix}`);

function cubinRuns(arch, gpu) {
  if (arch.suffix === "a") return arch.major === gpu.major && arch.minor === gpu.minor;
  return arch.major === gpu.major && arch.minor <= gpu.minor;
}

function ptxRuns(arch, gpu) {
  if (arch.suffix) return cubinRuns(arch, gpu);
  return arch.major < gpu.major || (arch.major === gpu.major && arch.minor <= gpu.minor);
}

const parseDriver = (text) => (/^\d+(\.\d+){0,2}$/.test(text) ? text.split(".").map(Number) : null);
const compareDrivers = (left, right) => compareLists(left, right, compareNumbers);
// NVIDIA pads the parts behind the first: 575.51.03.
const driverText = (parts) => parts.map((part, i) => (i ? String(part).padStart(2, "0") : String(part))).join(".");

// A bare branch, 580, stands for its newest release.
function takes(machine, floor) {
  if (!floor || !machine.driver) return true;
  const parts = parseDriver(floor);
  return compareDrivers(machine.driver.length === 1 ? parts.slice(0, 1) : parts, machine.driver) <= 0;
}

function judgeTags(machine, tags) {
  let best = null, nearest = null;
  for (const tag of tags) {
    const [python, abi, place] = tag.split("-");
    const platform = platformOf(place);
    const order = pythonRank(machine, python, abi, platform.system === null);
    const position = platformRank(machine, platform);
    if (order !== null && position !== null) {
      const rank = [...order, position];
      if (best === null || compareLists(rank, best, compareNumbers) < 0) best = rank;
      continue;
    }
    const reasons = position === null ? [platformReason(machine, platform)] : [];
    if (order === null) {
      reasons.push({ fact: "python", found: pythonText(machine), expected: wantedPython(python, abi) });
    }
    const failure = { cost: costOf(reasons), release: platform.release || [0, 0], reasons };
    if (nearest === null || (failure.cost - nearest.cost || compareReleases(failure.release, nearest.release)) < 0) nearest = failure;
  }
  return { rank: best, reasons: best === null && nearest !== null ? nearest.reasons : [] };
}

const pythonText = (machine) => machine.python + (machine.free_threaded ? "t" : "");

function platformReason(machine, platform) {
  if (platform.system !== machine.system) {
    return { fact: "system", found: SYSTEMS[machine.system], expected: SYSTEMS[platform.system] || platform.system };
  }
  const names = CPUS[machine.system];
  if (machine.system !== "macos" && platform.cpu !== cpuOf(machine)) {
    const plain = Object.keys(names).find((cpu) => names[cpu] === platform.cpu);
    return { fact: "cpu", found: machine.cpu, expected: plain || platform.cpu };
  }
  const version = machine.release ? machine.release.join(".") : "any";
  const wanted = (platform.release || []).join(".");
  if (machine.system === "linux") {
    return { fact: "libc", found: `${machine.libc} ${version}`, expected: `${platform.libc} ${wanted} or newer` };
  }
  if (platform.release && machine.release && compareReleases(platform.release, machine.release) > 0) {
    return { fact: "system", found: `macOS ${version}`, expected: `macOS ${wanted} or newer` };
  }
  return { fact: "cpu", found: machine.cpu, expected: platform.cpu };
}

function judgeRanges(machine, python, torch) {
  const reasons = [];
  if (python && !admits(python, machine.python)) reasons.push({ fact: "python", found: machine.python, expected: python });
  if (torch && machine.torch !== null && !admits(torch, machine.torch)) {
    reasons.push({ fact: "torch", found: machine.torch, expected: torch });
  }
  return reasons;
}

// ---- device code: `held` has `codes`, and `parts`, lists of numbers of codes that are alternatives

function serves(machine, code, gpu) {
  if (!takes(machine, code.driver)) return 0; // that of its container: what is compressed is PTX as well
  if (code.cubins.some((cubin) => cubinRuns(parseArch(cubin), gpu))) return NATIVE;
  const compiled = ([arch, driver]) =>
    ptxRuns(parseArch(arch), gpu) && takes(machine, driver) && (driver || machine.driver === null);
  return code.ptx.some(compiled) ? COMPILED : 0;
}

function judgeCode(machine, held, floor) {
  const none = { service: 0, reasons: [], leftOut: [] };
  if (machine.gpus !== null && !machine.gpus.length) return { ...none, service: Number(!held.asks_gpu) };
  if (machine.gpus === null || !held.codes.length) {
    if (takes(machine, floor)) return none;
    return { ...none, reasons: [{ fact: "driver", found: driverText(machine.driver), expected: `${floor} or newer` }] };
  }
  let service = NATIVE;
  const reasons = new Map(), leftOut = new Set();
  for (const text of machine.gpus) {
    const gpu = parseArch(text);
    const served = held.parts.map((part) => Math.max(...part.map((number) => serves(machine, held.codes[number], gpu))));
    if (!served.some(Boolean)) {
      const reason = notServed(machine, held.codes, gpu, text);
      reasons.set(JSON.stringify(reason), reason);
    }
    served.forEach((how, i) => {
      if (!how) held.codes[held.parts[i][0]].members.forEach((member) => leftOut.add(member));
    });
    service = Math.min(service, served.every(Boolean) ? Math.min(...served) : PARTLY);
  }
  return { service, reasons: [...reasons.values()], leftOut: reasons.size ? [] : [...leftOut].sort() };
}

function notServed(machine, codes, gpu, text) {
  const fitting = codes.flatMap((code) => code.ptx.filter(([arch]) => ptxRuns(parseArch(arch), gpu)).map(([, driver]) => [code.driver, driver]));
  const floors = codes.filter((code) => code.cubins.some((cubin) => cubinRuns(parseArch(cubin), gpu))).map((code) => [code.driver]);
  floors.push(...fitting.filter(([, driver]) => driver));
  const newest = (both) => both.filter(Boolean).map(parseDriver).sort(compareDrivers).pop();
  const known = floors.map(newest).filter(Boolean).sort(compareDrivers);
  const needed = known.length ? `${driverText(known[0])} or newer, for GPU ${text}` : `one newer than all known, for the PTX for GPU ${text}`;
  if (known.length || fitting.length) return { fact: "driver", found: driverText(machine.driver), expected: needed };
  const cubins = sortedArchs(codes.flatMap((code) => code.cubins));
  const ptx = sortedArchs(codes.flatMap((code) => code.ptx.map(([arch]) => arch)));
  return { fact: "gpu", found: text, expected: `one that runs code for ${[...cubins, ...ptx.map((arch) => `${arch}+PTX`)].join(", ")}` };
}
