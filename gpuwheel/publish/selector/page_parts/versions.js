// Versions and ranges (PEP 440), as `packaging` reads them.

const VERSION = new RegExp(
  "^v?(?:(\\d+)!)?(\\d+(?:\\.\\d+)*)" +
    "(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?(\\d*))?" +
    "(?:-(\\d+)|[-_.]?(post|rev|r)[-_.]?(\\d*))?" +
    "(?:[-_.]?(dev)[-_.]?(\\d*))?" +
    "(?:\\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$",
);
const PRE = { alpha: "a", beta: "b", preview: "rc", pre: "rc", c: "rc" };
const RELEASES = 100; // of a minor version that two numbers stand for

function parseVersion(text) {
  const match = VERSION.exec(text.trim().toLowerCase());
  if (match === null) return null;
  const [, epoch, release, pre, preNumber, bare, post, postNumber, dev, devNumber, local] = match;
  return {
    epoch: Number(epoch || 0),
    release: release.split(".").map(Number),
    pre: pre ? [PRE[pre] || pre, Number(preNumber || 0)] : null,
    post: bare ? Number(bare) : post ? Number(postNumber || 0) : null,
    dev: dev ? Number(devNumber || 0) : null,
    local: local ? local.split(/[-_.]/).map((part) => (/^\d+$/.test(part) ? Number(part) : part)) : null,
  };
}

function versionText(version) {
  const { epoch, release, pre, post, dev, local } = version;
  return (
    (epoch ? `${epoch}!` : "") +
    release.join(".") +
    (pre ? pre.join("") : "") +
    (post === null ? "" : `.post${post}`) +
    (dev === null ? "" : `.dev${dev}`) +
    (local ? `+${local.join(".")}` : "")
  );
}

function compareLists(left, right, compare) {
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = compare(left[i], right[i]);
    if (order) return order;
  }
  return left.length - right.length;
}

const compareNumbers = (left, right) => (left < right ? -1 : Number(left > right));

function withoutZeros(release) {
  let end = release.length;
  while (end > 1 && release[end - 1] === 0) end--;
  return release.slice(0, end);
}

// dev before pre before nothing before post; of a dev without pre and post, before every pre.
function suffixKey({ pre, post, dev }) {
  const early = pre === null && post === null && dev !== null;
  return [
    pre === null ? (early ? -1 : 1) : 0,
    pre === null ? "" : pre[0],
    pre === null ? 0 : pre[1],
    post === null ? -1 : post,
    dev === null ? Infinity : dev,
  ];
}

function comparePublic(left, right) {
  return (
    compareNumbers(left.epoch, right.epoch) ||
    compareLists(withoutZeros(left.release), withoutZeros(right.release), compareNumbers) ||
    compareLists(suffixKey(left), suffixKey(right), compareNumbers)
  );
}

function compareLocal(left, right) {
  if (left === null || right === null) return Number(left !== null) - Number(right !== null);
  return compareLists(left, right, (a, b) => {
    if (typeof a === typeof b) return compareNumbers(a, b);
    return typeof a === "number" ? 1 : -1;
  });
}

const compareVersions = (left, right) => comparePublic(left, right) || compareLocal(left.local, right.local);

function sameBase(left, right) {
  return left.epoch === right.epoch && !compareLists(withoutZeros(left.release), withoutZeros(right.release), compareNumbers);
}

function beginsWith(version, epoch, release) {
  if (version.epoch !== epoch) return false;
  return release.every((part, i) => part === (version.release[i] || 0));
}

const isPre = (version) => version.pre !== null || version.dev !== null;

// Of one clause: a question about versions; null where it cannot be read.
function clause(text) {
  const match = /^(===|~=|==|!=|<=|>=|<|>)\s*(\S+)$/.exec(text);
  if (match === null) return null;
  const [, operator, stated] = match;
  if (operator === "===") return (version) => versionText(version) === stated.toLowerCase();
  const prefix = stated.endsWith(".*");
  const wanted = parseVersion(prefix ? stated.slice(0, -2) : stated);
  if (wanted === null || (prefix && (!/^[=!]=$/.test(operator) || isPre(wanted) || wanted.post !== null || wanted.local))) return null;
  if (wanted.local && operator !== "==" && operator !== "!=") return null;
  if (operator === "~=") {
    if (wanted.release.length < 2) return null;
    const begin = wanted.release.slice(0, -1);
    return (version) => comparePublic(version, wanted) >= 0 && beginsWith(version, wanted.epoch, begin);
  }
  const equal = prefix
    ? (version) => beginsWith(version, wanted.epoch, wanted.release)
    : (version) => !(wanted.local ? compareVersions(version, wanted) : comparePublic(version, wanted));
  const questions = {
    "==": equal,
    "!=": (version) => !equal(version),
    ">=": (version) => comparePublic(version, wanted) >= 0,
    "<=": (version) => comparePublic(version, wanted) <= 0,
    "<": (version) => compareVersions(version, wanted) < 0 && (isPre(wanted) || !isPre(version) || !sameBase(version, wanted)),
    ">": (version) =>
      comparePublic(version, wanted) > 0 && (wanted.post !== null || version.post === null || !sameBase(version, wanted)),
  };
  return questions[operator];
}

// Versions that a range names itself: ==2.14.0+cu128 admits one release of 2.14, which no number alone finds.
function stated(specifier, minor) {
  const named = [...specifier.matchAll(/[<>=!~]=?=?\s*([^\s,*]+)/g)].map((match) => parseVersion(match[1]));
  const [major, second] = minor.split(".").map(Number);
  const ofMinor = ({ epoch, release }) => !epoch && release[0] === major && (release[1] || 0) === second;
  return named.filter((one) => one !== null && ofMinor(one) && !isPre(one));
}

// Whether a version, or for one of two numbers some release of it, is in a range; one that cannot be read admits all.
function admits(specifier, version) {
  const clauses = specifier.split(",").map((part) => part.trim()).filter(Boolean).map(clause);
  if (clauses.includes(null)) return true;
  const fits = (one) => clauses.every((holds) => holds(one));
  if (!/^\d+\.\d+$/.test(version)) {
    const parsed = parseVersion(version);
    return parsed === null || fits(parsed);
  }
  for (let patch = 0; patch < RELEASES; patch++) if (fits(parseVersion(`${version}.${patch}`))) return true;
  return stated(specifier, version).some(fits);
}
