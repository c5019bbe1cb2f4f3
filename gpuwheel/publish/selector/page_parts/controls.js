// What the reader does: choosing, pasting, copying.

function chips(id, values, labels, change) {
  element(id).replaceChildren(
    ...values.map((value) => {
      const input = make("input", { type: "radio", name: id, value });
      input.addEventListener("change", () => change(value));
      return make("label", {}, input, labels[value] || value);
    }),
  );
}

function check(id, value) {
  const inputs = [...document.getElementsByName(id)];
  for (const input of inputs) input.checked = input.value === value;
}

const option = (value, label) => make("option", { value }, label);

// Selects `value`, for which there is an option of its own where the list has none.
function select(id, value, label) {
  const list = element(id);
  if (list.value === value || list.value.split(" ")[0] === value) return;
  for (const old of list.querySelectorAll("[data-own]")) old.remove();
  if (![...list.options].some((one) => one.value === value)) {
    const own = option(value, label);
    own.dataset.own = "";
    list.append(own);
  }
  list.value = value;
}

function gpuOptions(data) {
  const groups = data.gpus.map(([architecture, capability, names]) =>
    make(
      "optgroup",
      { label: `${architecture} ${capability}` },
      option(capability, `${architecture} ${capability}`),
      ...names.map((name) => option(`${capability} ${name}`, name)),
    ),
  );
  return [option("", "Not known"), option("none", "No NVIDIA GPU"), ...groups];
}

function releaseOptions(data, system) {
  if (system === "macos") return [option("", "Any"), ...["26.0", "15.0", "14.0", "13.0", "12.0", "11.0"].map((one) => option(`macos ${one}`, `macOS ${one}`))];
  const glibc = [...data.glibc].reverse().map((one) => option(`glibc ${one}`, `glibc ${one}`));
  return [option("", "Any glibc"), ...glibc, option("musl 1.2", "musl 1.2 (Alpine)"), option("musl 1.1", "musl 1.1")];
}

function showControls(data, state) {
  check("system", state.system);
  check("cpu", state.cpu);
  const minor = state.python.split(".").slice(0, 2).join(".");
  check("python", minor);
  element("free_threaded").checked = Boolean(state.free_threaded);
  element("pre").checked = Boolean(state.pre);
  if (element("release").dataset.system !== state.system) {
    element("release").replaceChildren(...releaseOptions(data, state.system));
    element("release").dataset.system = state.system;
  }
  element("release-row").hidden = state.system === "windows";
  element("release-label").textContent = state.system === "macos" ? "macOS" : "C library";
  const kind = state.system === "macos" ? "macos" : state.libc;
  const release = state.release ? `${kind} ${state.release}` : "";
  if (element("release").value !== release) {
    element("release").value = "";
    select("release", release, release);
  }
  select("torch", state.torch, state.torch);
  select("gpus", state.gpus, state.gpus.split(",").join(" and "));
  select("driver", state.driver, `driver ${state.driver}`);
  for (const tool of TOOLS) {
    const chosen = tool === state.tool && !element(`tab-${tool}`).hidden;
    element(`tab-${tool}`).setAttribute("aria-selected", String(chosen));
    element(`tab-${tool}`).tabIndex = chosen ? 0 : -1;
    element(`panel-${tool}`).hidden = !chosen;
  }
}

async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page from a disk may not write to the clipboard; what is selected can be copied there too.
    const box = make("textarea", {});
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
    button.focus();
  }
  button.textContent = "Copied";
  element("live").textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
}

function makeTools(choose, copied) {
  for (const tool of TOOLS) {
    const tab = make("button", { type: "button", role: "tab", id: `tab-${tool}`, "aria-controls": `panel-${tool}` }, tool);
    tab.addEventListener("click", () => choose(tool));
    element("tools").append(tab);
    const button = make("button", { type: "button", class: "copy", "aria-label": `Copy the lines for ${tool}` }, "Copy");
    button.addEventListener("click", () => copied(tool, button));
    const panel = make("div", { role: "tabpanel", id: `panel-${tool}`, "aria-labelledby": `tab-${tool}` });
    panel.append(make("pre", {}, make("code", {})), button);
    element("panels").append(panel);
  }
  // The pattern for tabs of the ARIA Authoring Practices Guide: arrows, Home and End move and choose.
  element("tools").addEventListener("keydown", (event) => {
    const shown = TOOLS.filter((tool) => !element(`tab-${tool}`).hidden);
    const at = shown.findIndex((tool) => element(`tab-${tool}`) === document.activeElement);
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 };
    if (at < 0 || moves[event.key] === undefined) return;
    event.preventDefault();
    const tool = shown.at(moves[event.key] % shown.length);
    choose(tool);
    element(`tab-${tool}`).focus();
  });
}

function understoodText({ told, names, unknown }) {
  const parts = [];
  if (told.system) parts.push(SYSTEMS[told.system] + (told.cpu ? ` ${told.cpu}` : ""));
  if (told.release) parts.push(`${told.system === "macos" ? "macOS" : told.libc} ${told.release.join(".")}`);
  if (told.python) parts.push(`Python ${told.python}${told.free_threaded ? "t" : ""}`);
  if (told.torch) parts.push(`torch ${told.torch}`);
  if (told.driver) parts.push(`driver ${driverText(told.driver)}`);
  const known = [...new Set(names.filter((name) => !unknown.includes(name)))];
  if (told.gpus) parts.push(told.gpus.length ? `${known.join(", ") || "GPU"} (${told.gpus.join(", ")})` : "no GPU");
  const lost = unknown.length ? ` Not known: ${[...new Set(unknown)].join(", ")}; choose its compute capability below.` : "";
  return (parts.length ? `Understood: ${parts.join(", ")}.` : "Nothing of this was understood.") + lost;
}
