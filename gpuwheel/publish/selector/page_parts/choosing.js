// The wheel that fits a machine best; where none does, the nearest. `data` is what `selector_page` writes.

const UNSEEN = new Set(["torch", "driver", "gpu"]); // what pip and uv do not look at on an index

const FIXED = new Set(["gpu", "cpu", "system", "libc"]); // what nobody changes for a wheel

const costOf = (reasons) => reasons.reduce((sum, reason) => sum + FACTS[reason.fact][1], 0);
const seenByInstallers = (reasons) => reasons.every((reason) => UNSEEN.has(reason.fact));
let FACTS = {};

// What is asked of each wheel is asked once for all that are alike.
function judgements(data, machine) {
  const python = machine.python.split(".").slice(0, 2).join(".");
  const cost = (judged) => ({ ...judged, cost: costOf(judged.reasons), seen: seenByInstallers(judged.reasons) });
  return {
    tags: data.tags.map((tags) => cost(judgeTags(machine, tags))),
    ranges: data.ranges.map(([wanted, torch, torchs]) => {
      const own = torchs.find(([of]) => of === python);
      return cost({ reasons: judgeRanges(machine, wanted, own ? own[1] : torch) });
    }),
    code: data.code.map(([held, floor]) => cost(judgeCode(machine, held, floor))),
  };
}

function ownReasons(data, i, preReleases) {
  const { wheels, versions } = data, [text, , , isPreRelease] = versions[wheels.version[i]], reasons = [];
  if (wheels.variant[i] !== undefined) {
    reasons.push({ fact: "variant", found: wheels.variant[i], expected: "a wheel for every installer" });
  }
  if (wheels.yanked[i] !== undefined) {
    const why = typeof wheels.yanked[i] === "string" && wheels.yanked[i] ? `withdrawn: ${wheels.yanked[i]}` : "withdrawn";
    reasons.push({ fact: "yanked", found: `${text} (${why})`, expected: "one that stands" });
  }
  if (isPreRelease && !preReleases) {
    reasons.push({ fact: "pre-release", found: `${text} (a pre-release)`, expected: "a final one" });
  }
  return reasons;
}

function choose(data, machine) {
  FACTS = data.facts;
  const { wheels, versions } = data, count = wheels.file.length;
  const known = judgements(data, machine);
  const of = (i) => [known.tags[wheels.tags[i]], known.ranges[wheels.ranges[i]], known.code[wheels.code[i]]];
  const all = [...Array(count).keys()];
  // As installers: a pre-release counts where there is no final release that they could take.
  const final = (i) => !versions[wheels.version[i]][3] && of(i).every(({ seen }) => seen) && !ownReasons(data, i, true).length;
  const preReleases = machine.pre_releases || !all.some(final);
  const own = all.map((i) => ownReasons(data, i, preReleases));
  const costs = all.map((i) => of(i).reduce((sum, { cost }) => sum + cost, costOf(own[i])));
  const seen = all.filter((i) => of(i).every((judged) => judged.seen) && seenByInstallers(own[i]));
  const rank = (i) => known.tags[wheels.tags[i]].rank;
  const build = (i) => wheels.build[i] || 0;
  const release = (i) => versions[wheels.version[i]];
  const byTag = (a, b) => compareLists(rank(a), rank(b), compareNumbers);
  const torchMajor = machine.torch_cuda ? Number(machine.torch_cuda.split(".")[0]) : null;
  const cudas = data.cudas.map(([cuda, runtimes]) => {
    const numbers = cuda ? cuda.split(".").map(Number) : runtimes.slice(-1);
    return [Number([...runtimes, ...numbers.slice(0, 1)].includes(torchMajor)), numbers];
  });
  const toolkit = (i) => cudas[wheels.cuda[i]];
  const onGpu = (i) => Number(Boolean(machine.gpus && machine.gpus.length) && known.code[wheels.code[i]].service > 0);
  const better = (a, b) =>
    onGpu(b) - onGpu(a) ||
    release(b)[2] - release(a)[2] ||
    known.code[wheels.code[b]].service - known.code[wheels.code[a]].service ||
    toolkit(b)[0] - toolkit(a)[0] ||
    compareLists(toolkit(b)[1], toolkit(a)[1], compareNumbers) ||
    release(b)[1] - release(a)[1] ||
    byTag(a, b) ||
    build(b) - build(a) ||
    a - b;
  const taken = (some) =>
    some.reduce((best, i) => {
      if (best === null) return i;
      return (release(i)[1] - release(best)[1] || -byTag(i, best) || build(i) - build(best)) > 0 ? i : best;
    }, null);
  const fitting = all.filter((i) => !costs[i]).sort(better);
  const others = all
    .filter((i) => costs[i])
    .sort((a, b) => costs[a] - costs[b] || release(b)[1] - release(a)[1] || build(b) - build(a) || a - b);
  const best = fitting.length ? fitting[0] : null;
  // ==1.0 admits 1.0+cu129 too (PEP 440), which sorts higher: uv locks it even where it is for other systems alone.
  const whole = best !== null && release(best)[0].includes("+");
  const further = best === null || whole ? [] : all.filter((i) => release(i)[2] === release(best)[2] && release(i)[1] !== release(best)[1]);
  const pinned = all.filter((i) => of(i).every((judged) => judged.seen) && own[i].every(({ fact }) => fact === "yanked"));
  const same = pinned.filter((i) => best !== null && release(i)[1] === release(best)[1]);
  const lists = (i) => data.indexes[wheels.indexes[i]];
  const free = (one) => !further.some((i) => lists(i).includes(one));
  const index = best === null ? null : lists(best).find((one) => free(one) && taken(same.filter((i) => lists(i).includes(one))) === best);
  const hasCode = (i) => data.code[wheels.code[i]][0].codes.length > 0;
  const fixed = (i) => [...of(i).flatMap(({ reasons }) => reasons), ...own[i]].some(({ fact }) => FIXED.has(fact));
  const alone = best !== null && !data.code[wheels.code[best]][0].asks_gpu && machine.gpus && machine.gpus.length;
  const forGpu = alone ? others.find((i) => hasCode(i) && !fixed(i)) : undefined;
  return {
    machine,
    best,
    forGpu: forGpu === undefined ? null : forGpu, // where the best wheel leaves the GPU alone
    nearest: best === null && others.length ? others[0] : null,
    fits: fitting.length,
    order: [...fitting, ...others],
    installer: taken(seen),
    index: index === undefined ? null : index,
    service: (i) => known.code[wheels.code[i]].service,
    leftOut: (i) => known.code[wheels.code[i]].leftOut,
    reasons: (i) => {
      const [tags, ranges, code] = of(i);
      return [...tags.reasons, ...ranges.reasons, ...code.reasons, ...own[i]];
    },
  };
}
