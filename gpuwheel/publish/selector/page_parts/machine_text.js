// What the output of nvidia-smi and of torch's collect_env says of a machine. It is read here, and sent nowhere.

const NAME_WORD = /[a-z]+\d*[a-z0-9]*|\d+[a-z]*/g;

const nameWords = (name, vendor) => (name.toLowerCase().match(NAME_WORD) || []).filter((word) => !vendor.includes(word));

// The compute capability of a GPU by its name, maybe cut with dots; null: not known.
function gpuNamed(data, name) {
  const wanted = nameWords(name, data.vendor);
  const begins = (words) => words.length && words.every((word, i) => word === wanted[i]);
  const known = data.gpus.flatMap(([, capability, names]) => names.map((one) => [nameWords(one, data.vendor), capability]));
  const found = known.filter(([words]) => begins(words)).sort((a, b) => b[0].length - a[0].length);
  if (found.length) return found[0][1];
  if (!wanted.length || !name.trimEnd().endsWith("...")) return null;
  const last = wanted.length - 1;
  const begun = known.filter(
    ([words]) => words.length > last && words.slice(0, last).join() === wanted.slice(0, last).join() && words[last].startsWith(wanted[last]),
  );
  const capabilities = new Set(begun.map(([, capability]) => capability));
  return capabilities.size === 1 ? [...capabilities][0] : null;
}

// "Label: value" or "Label    : value", as collect_env, forks of it and nvidia-smi -q write it; null: not there.
function field(text, label) {
  const match = new RegExp(`(?:^|[^\\w ] *|\\n *)${label} *: *([^\\n]*)`, "i").exec(text);
  const value = match ? match[1].trim() : "";
  return /^(|n\/?a|none|could not collect|no cuda|err!?|\[.*\])$/i.test(value) ? null : value;
}

const first = (pattern, text) => {
  const match = text === null ? null : pattern.exec(text);
  return match ? match[1] : null;
};

function gpuNames(text) {
  const rows = [...text.matchAll(/^\|\s*\d+\s+(?!N\/A)(\S.*?)\s+(?:On|Off|N\/A|WDDM|TCC|MCDM)\s*\|\s*[0-9A-F]{4,8}:/gm)];
  const listed = [...text.matchAll(/^.*?\bGPU \d+ *: *(.+?)(?: \(UUID:.*)?$/gm)];
  const described = [...text.matchAll(/^\s*Product Name\s*:\s*(.+?)\s*$/gm)];
  const found = [rows, described, listed].find((matches) => matches.length) || [];
  return found.map((match) => match[1].trim());
}

// nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv
function csvColumns(text) {
  const lines = text.split("\n").map((line) => line.trim());
  const head = lines.findIndex((line) => /(^|, *)(compute_cap|driver_version|name)(,|$)/.test(line) && line.includes(","));
  if (head < 0) return {};
  const names = lines[head].split(",").map((name) => name.trim());
  const rows = lines.slice(head + 1).map((line) => line.split(",").map((cell) => cell.trim())).filter((row) => row.length === names.length);
  return Object.fromEntries(names.map((name, i) => [name, rows.map((row) => row[i])]));
}

// Driver, CUDA and GPUs. `told` are the fields that were found; `unknown` names of GPUs that are not in the table.
function readGpus(data, text, told) {
  const csv = csvColumns(text);
  const driver = first(/(\d{3}(?:\.\d+){0,2})/, field(text, "(?:Driver|KMD) Version") || field(text, "Nvidia driver version") || (csv.driver_version || [null])[0]);
  const cuda = first(/^(\d+\.\d+)/, field(text, "CUDA (?:UMD )?Version") || first(/CUDA (?:UMD )?Version: *(\d+\.\d+)/, text));
  const table = first(/(?:Driver|KMD) Version: *(\d{3}(?:\.\d+){0,2})/, text);
  const known = table || driver;
  if (known) told.driver = parseDriver(known);
  else if (cuda) told.driver = driverOfCuda(data, cuda);
  const names = csv.name || gpuNames(text);
  const capabilities = csv.compute_cap || names.map((name) => gpuNamed(data, name));
  const unknown = names.filter((_, i) => !capabilities[i]);
  const found = capabilities.filter((one) => one && parseArch(one));
  if (found.length) told.gpus = [...new Set(found)].sort();
  else if (/^\s*GPU models and configuration *: *No CUDA/im.test(text)) told.gpus = [];
  return { names, unknown };
}

function driverOfCuda(data, cuda) {
  const [major, minor] = cuda.split(".").map(Number);
  const older = data.cuda.filter(([version]) => compareReleases(version.split(".").map(Number), [major, minor]) <= 0);
  return older.length ? older.map(([, driver]) => parseDriver(driver)).sort(compareDrivers).pop() : null;
}

function readSystem(text, told) {
  const platform = field(text, "Python platform") || "", os = field(text, "OS") || "";
  const both = `${platform} ${os}`;
  if (/windows/i.test(both)) told.system = "windows";
  else if (/macos|mac osx|darwin/i.test(both)) told.system = "macos";
  else if (/linux/i.test(platform) || os) told.system = "linux";
  if (/aarch64|arm64/i.test(both)) told.cpu = "aarch64";
  else if (/x86_64|amd64|64-bit/i.test(both)) told.cpu = "x86_64";
  const glibc = first(/glibc-?(\d+\.\d+)/, field(text, "Libc version")) || first(/with-glibc(\d+\.\d+)/, platform);
  const musl = first(/musl-?(\d+\.\d+)/, field(text, "Libc version") || platform);
  const macos = first(/macos-?\s*(\d+\.\d+)/i, both);
  const release = glibc || musl || (told.system === "macos" ? macos : null);
  if (glibc || musl) told.libc = glibc ? "glibc" : "musl";
  if (release) told.release = release.split(".").map(Number);
}

// { told: fields of a machine, names: of GPUs, unknown: those of them that nobody knows }
function readMachineText(data, pasted) {
  const text = pasted.replace(/\x1b\[[0-9;]*m/g, "").replace(/\r\n?/g, "\n").slice(0, 1_000_000);
  const told = {};
  const { names, unknown } = readGpus(data, text, told);
  readSystem(text, told);
  const python = field(text, "Python version");
  const version = first(/^(3\.\d+(?:\.\d+)?)/, python);
  if (version) {
    told.python = version;
    told.free_threaded = /free-threading/i.test(python);
  }
  const torch = field(text, "PyTorch version");
  if (torch && parseVersion(torch)) told.torch = torch;
  const cuda = first(/^(\d+\.\d+)/, field(text, "CUDA used to build PyTorch"));
  if (cuda && told.torch) told.torch_cuda = cuda;
  return { told, names, unknown };
}
