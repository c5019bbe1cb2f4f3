// What to type to get the best wheel of a choice.

function quotedUrl(url) {
  const bytes = (char) => [...new TextEncoder().encode(char)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`);
  return url.replace(/[^A-Za-z0-9\-._~:/?#[\]@!&()*+,;=%]/gu, (char) => bytes(char).join(""));
}

function torchWord(machine) {
  if (machine.torch === null) return null;
  const version = machine.torch.split("+")[0];
  return version.split(".").length === 2 ? `torch==${version}.*` : `torch==${version}`;
}

function containerfile(machine, words, withGpu) {
  const minor = machine.python.split(".").slice(0, 2).join(".");
  const gpu = withGpu ? "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility\n" : "";
  if (!machine.free_threaded) {
    return `FROM docker.io/library/python:${minor}-slim\n${gpu}RUN python -m pip install --no-cache-dir ${words}`;
  }
  const path = "ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH\n";
  return `FROM ghcr.io/astral-sh/uv:debian-slim\n${gpu}RUN uv venv --python ${minor}t /venv\n${path}RUN uv pip install --no-cache ${words}`;
}

// Name -> text. `base`: URL of the folder of wheels.json.
function installLines(data, choice, base) {
  const { best, machine } = choice;
  if (best === null) return {};
  const { wheels } = data, name = data.project;
  const digest = wheels.sha256[best] ? `#sha256=${wheels.sha256[best]}` : "";
  const file = quotedUrl(new URL(urlOf(data, best), base).href) + digest;
  const torch = data.ranges[wheels.ranges[best]][1] === null ? null : torchWord(machine);
  const wheel = `${name} @ ${file}`;
  const words = [torch, wheel].filter(Boolean).map((word) => `"${word}"`).join(" ");
  const python = machine.free_threaded ? ` --python ${machine.python}t` : "";
  const lines = {
    pip: `python -m pip install ${words}`,
    uv: `uv pip install${python} ${words}`,
    pixi: `pixi add --pypi ${words}`,
  };
  if (machine.system === "linux") {
    lines.Containerfile = containerfile(machine, words, data.code[wheels.code[best]][0].codes.length > 0);
  }
  const version = data.versions[wheels.version[best]][0];
  const wanted = [torch, `${name}==${version}`].filter(Boolean).map((word) => `    "${word}",\n`).join("");
  const index = choice.index === null ? null : quotedUrl(new URL(choice.index, base).href);
  const source = index === null ? `{ url = "${file}" }` : `{ index = "${name}-index" }`;
  const table = index === null ? "" : `\n[[tool.uv.index]]\nname = "${name}-index"\nurl = "${index}"\nexplicit = true\n`;
  lines["pyproject.toml"] = `[project]\ndependencies = [\n${wanted}]\n\n[tool.uv.sources]\n${name} = ${source}\n${table}`;
  return lines;
}

function urlOf(data, i) {
  const { wheels } = data;
  return wheels.url[i] || data.folders[wheels.folder[i]] + encodeURIComponent(wheels.file[i]);
}
