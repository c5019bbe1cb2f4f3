// Tags (PEP 425, PEP 600, PEP 656) in the order in which pip and uv prefer them.

const SYSTEMS = { linux: "Linux", macos: "macOS", windows: "Windows" };
const CPUS = {
  linux: { x86_64: "x86_64", aarch64: "aarch64" },
  macos: { x86_64: "x86_64", aarch64: "arm64" },
  windows: { x86_64: "amd64", aarch64: "arm64" },
};
const NEWEST = { glibc: [2, 99], musl: [1, 99], macos: [99, 0] }; // a release that is not told: any
const LEGACY = { manylinux1: [2, 5], manylinux2010: [2, 12], manylinux2014: [2, 17] };
const FORMATS = {
  arm64: ["arm64", "universal2"],
  x86_64: ["x86_64", "intel", "fat64", "fat3", "universal2", "universal"],
};

const compareReleases = (left, right) => left[0] - right[0] || left[1] - right[1];
const cpuOf = (machine) => CPUS[machine.system][machine.cpu] || machine.cpu;
const minorOf = (machine) => Number(machine.python.split(".")[1]);

function platformOf(tag) {
  const platform = (system, cpu, libc, release, legacy = false) => ({ system, cpu, libc, release, legacy });
  let match = /^(manylinux|musllinux|macosx)_(\d+)_(\d+)_(\w+)$/.exec(tag);
  if (match) {
    const libc = { manylinux: "glibc", musllinux: "musl" }[match[1]] || null;
    return platform(libc ? "linux" : "macos", match[4], libc, [Number(match[2]), Number(match[3])]);
  }
  match = /^(manylinux(?:1|2010|2014))_(\w+)$/.exec(tag);
  if (match) return platform("linux", match[2], "glibc", LEGACY[match[1]], true);
  match = /^(linux|win)_(\w+)$/.exec(tag);
  if (match) return platform(match[1] === "win" ? "windows" : "linux", match[2], null, null);
  if (tag === "any") return platform(null, null, null, null);
  return tag === "win32" ? platform("windows", "x86", null, null) : platform(tag, null, null, null);
}

// 0 first; null: never.
function platformRank(machine, platform) {
  if (platform.system === null) return 0;
  if (platform.system !== machine.system) return null;
  const cpu = cpuOf(machine);
  if (machine.system === "macos") return macosRank(machine, platform, cpu);
  if (platform.cpu !== cpu) return null;
  if (machine.system === "windows") return 0;
  if (platform.libc === null) return 1000;
  const newest = machine.release || NEWEST[platform.libc];
  const oldest = platform.libc === "musl" ? [1, 0] : [2, cpu === "x86_64" || cpu === "i686" ? 5 : 17];
  const { release } = platform;
  if (platform.libc !== machine.libc || compareReleases(release, oldest) < 0 || compareReleases(release, newest) > 0) return null;
  return 2 * (100 * (newest[0] - release[0]) + newest[1] - release[1]) + Number(platform.legacy);
}

function macosRank(machine, platform, cpu) {
  const newest = machine.release || NEWEST.macos;
  const format = (FORMATS[cpu] || []).indexOf(platform.cpu);
  const release = platform.release || newest;
  if (format < 0 || compareReleases(release, newest) > 0) return null;
  if (release[0] > 10) return release[1] ? null : 10 * (newest[0] - release[0]) + format;
  if (cpu === "arm64" && platform.cpu !== "universal2") return null;
  return 10000 + 10 * (100 - release[1]) + format;
}

// Lowest first; null: never.
function pythonRank(machine, python, abi, anywhere) {
  const match = /^(py|cp)3(\d*)$/.exec(python);
  if (match === null) return null;
  const minor = match[2] ? Number(match[2]) : null;
  const behind = minor === null ? null : minorOf(machine) - minor;
  if (behind !== null && behind < 0) return null;
  if (match[1] === "py") {
    if (abi !== "none") return null;
    return [anywhere ? 6 : 4, behind === null ? 1 : behind + Number(behind > 0)];
  }
  if (behind === null || minor < 2) return null;
  const threads = machine.free_threaded ? "t" : "";
  if (abi === `abi3${threads}` && !anywhere) return behind ? [3, behind] : [1, 0];
  if (behind) return null;
  if (abi === "none") return anywhere ? [5, 0] : [2, 0];
  return abi === `cp3${minorOf(machine)}${threads}` && !anywhere ? [0, 0] : null;
}

// Of a tag, in words: "3.12", "3.9 or newer", "3.13t".
function wantedPython(python, abi) {
  const match = /^(py|cp)3(\d*)$/.exec(python);
  if (match === null || (match[1] === "py" && abi !== "none")) return `${python}-${abi}`;
  const version = match[2] ? `3.${match[2]}` : "3";
  if (match[1] === "py") return `${version} or newer`;
  const words = { abi3: `${version} or newer`, abi3t: `${version}t or newer`, [`${python}t`]: `${version}t` };
  return { ...words, [python]: version, none: version }[abi] || `${python}-${abi}`;
}
