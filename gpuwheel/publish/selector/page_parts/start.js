// Brings the parts together.

function start() {
  const data = JSON.parse(element("data").textContent);
  FACTS = data.facts;
  let state = stateOf(location.hash, initialState(data, navigator));
  let choice, lines, shown = ROWS, began = false;

  const update = (changes, spoken = true) => {
    state = { ...state, ...changes };
    choice = choose(data, machineOf(state));
    lines = installLines(data, choice, location.href);
    if (lines[state.tool] === undefined) state.tool = "pip";
    shown = ROWS;
    showAnswer(data, choice, lines);
    showControls(data, state);
    showCounts(data, choice);
    showRows(data, choice, shown);
    if (spoken && began) element("live").textContent = `${element("answer-title").textContent}. ${element("counts").textContent}`;
    if (began) history.replaceState(null, "", fragmentOf(state));
    began = true;
  };

  const chooseTool = (tool) => {
    state.tool = tool;
    showControls(data, state);
    history.replaceState(null, "", fragmentOf(state));
  };

  document.title = `${data.project}: choose a wheel`;
  element("project").textContent = data.project;
  element("summary").textContent = data.summary;
  // The index is two folders up from `choose/PROJECT/`; anywhere else nobody knows where it is.
  const index = location.pathname.includes(`/choose/${data.project}/`) ? ` --index "${quotedUrl(new URL("../../", location.href.split("#")[0]).href)}"` : "";
  element("terminal").textContent = `gpuwheel which ${data.project}${index}`;
  makeTools(chooseTool, (tool, button) => copy(lines[tool], button));
  chips("system", Object.keys(SYSTEMS), SYSTEMS, (system) => update({ system, release: "", libc: "glibc" }));
  chips("cpu", ["x86_64", "aarch64"], { aarch64: "aarch64 (Arm)" }, (cpu) => update({ cpu }));
  chips("python", data.pythons, {}, (python) => update({ python }));
  element("torch").append(option("", "Any"), ...[...data.torch].reverse().map((one) => option(one, one)));
  element("gpus").append(...gpuOptions(data));
  element("driver").append(
    option("", "Not known"),
    ...[...data.cuda].reverse().map(([cuda, driver]) => option(driver, `CUDA ${cuda} (driver ${driver} or newer)`)),
  );
  element("torch").addEventListener("change", (event) => update({ torch: event.target.value, torch_cuda: "" }));
  element("gpus").addEventListener("change", (event) => update({ gpus: event.target.value.split(" ")[0] }));
  element("driver").addEventListener("change", (event) => update({ driver: event.target.value }));
  element("release").addEventListener("change", (event) => {
    const [kind, release] = event.target.value.split(" ");
    update({ libc: kind === "musl" ? "musl" : "glibc", release: release || "" });
  });
  element("free_threaded").addEventListener("change", (event) => update({ free_threaded: event.target.checked ? "1" : "" }));
  element("pre").addEventListener("change", (event) => update({ pre: event.target.checked ? "1" : "" }));
  element("controls").addEventListener("submit", (event) => event.preventDefault());
  element("paste").addEventListener("input", (event) => {
    if (!event.target.value.trim()) return;
    const read = readMachineText(data, event.target.value);
    update(changedBy(read.told), false);
    element("understood").textContent = understoodText(read);
    element("live").textContent = `${element("understood").textContent} ${element("answer-title").textContent}.`;
  });
  element("filter").addEventListener("input", () => showRows(data, choice, (shown = ROWS)));
  element("more").addEventListener("click", () => {
    const at = shown;
    showRows(data, choice, (shown += ROWS));
    const next = element("rows").children[at];
    next.tabIndex = -1;
    next.focus();
  });
  element("link").addEventListener("click", (event) => copy(new URL(fragmentOf(state), location.href).href, event.target));
  element("reset").addEventListener("click", () => {
    element("paste").value = element("filter").value = "";
    update(initialState(data, navigator));
  });
  addEventListener("hashchange", () => update(stateOf(location.hash, initialState(data, navigator))));
  update({});
  performance.mark("interactive");
}

start();
