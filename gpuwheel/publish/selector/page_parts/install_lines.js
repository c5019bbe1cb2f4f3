// What to type to get the best wheel of a choice.

function quotedUrl(url) {
  const bytes = (char) => [...new TextEncoder().encode(char)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`);
  return url.replace(/[^A-Za-z0-9\-._~:/?#[\]@&()*+,;=%]/gu, (char) => bytes(char).join(""));
}

function torchWord(machine) {
  if (machine.torch === null) return null;
  const version = machine.torch.split("+")[0];
  return version.split(".").length === 2 ? `torch==${version}.*` : `torch==${version}`;
}

const PYTHON_IMAGES = { glibc: "slim", musl: "alpine" }, UV_IMAGES = { glibc: "debian-slim", musl: "alpine" };

const quotedWords = (...words) => words.filter(Boolean).map((word) => `"${word}"`).join(" ");

function containerfile(machine, copy, words, withGpu) {
  const minor = machine.python.split(".").slice(0, 2).join(".");
  const gpu = withGpu ? "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility\n" : "";
  if (!machine.free_threaded) {
    return `FROM docker.io/library/python:${minor}-${PYTHON_IMAGES[machine.libc]}\n${gpu}${copy}RUN python -m pip install --no-cache-dir ${words}`;
  }
  const path = "ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH\n";
  return `FROM ghcr.io/astral-sh/uv:${UV_IMAGES[machine.libc]}\n${gpu}${copy}RUN uv venv --python ${minor}t /venv\n${path}RUN uv pip install --no-cache ${words}`;
}

// Name -> text. `base`: URL of the folder of wheels.json.
function installLines(data, choice, base) {
  const { best, machine } = choice;
  if (best === null) return {};
  const { wheels } = data, name = data.project;
  const digest = wheels.sha256[best] ? `#sha256=${wheels.sha256[best]}` : "";
  const url = new URL(urlOf(data, best), base).href, file = quotedUrl(url) + digest;
  const torch = data.ranges[wheels.ranges[best]][1] === null ? null : torchWord(machine);
  const wheel = `${name} @ ${file}`;
  const words = quotedWords(torch, wheel);
  const python = machine.free_threaded ? ` --python ${machine.python}t` : "";
  const lines = {
    pip: `python -m pip install ${words}`,
    uv: `uv pip install${python} ${words}`,
    pixi: `pixi add --pypi ${words}`,
  };
  if (machine.system === "linux") {
    const local = /^file:/i.test(url), filename = wheels.file[best];
    const copy = local ? `# Its context is the folder with the wheel.\nCOPY [${JSON.stringify(filename)}, "/wheels/"]\n` : "";
    const within = local ? quotedWords(torch, `${name} @ file:///wheels/${quotedUrl(filename)}${digest}`) : words;
    lines.Containerfile = containerfile(machine, copy, within, data.code[wheels.code[best]][0].asks_gpu);
  }
  const version = data.versions[wheels.version[best]][0];
  const pinned = choice.index === null ? wheel : `${name}==${version}`;
  const wanted = [torch, pinned].filter(Boolean).map((word) => `    "${word}",\n`).join("");
  const index = choice.index === null ? null : quotedUrl(new URL(choice.index, base).href);
  const source = `\n[tool.uv.sources]\n${name} = { index = "${name}-index" }\n\n[[tool.uv.index]]\nname = "${name}-index"\nurl = "${index}"\nexplicit = true\n`;
  lines["pyproject.toml"] = `[project]\ndependencies = [\n${wanted}]\n${index === null ? "" : source}`;
  return lines;
}

function urlOf(data, i) {
  const { wheels } = data;
  return wheels.url[i] || data.folders[wheels.folder[i]] + encodeURIComponent(wheels.file[i]);
}
