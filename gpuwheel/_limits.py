"""How much gpuwheel takes from outside: one table of bounds, each with its reason. `docs/reference/limits.md` shows it.

They are there for damaged and hostile files; a project that meets one in earnest has found a bound that is too low.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ARCHIVE_EXPANSION",
    "ARCHIVE_MEMBERS",
    "ARCHIVE_SMALL",
    "BASELINE_FILE",
    "BASE_LAYER",
    "CLUSTER_BLOB",
    "CLUSTER_EVENTS",
    "CLUSTER_LOG",
    "CONFIG_FILE",
    "DEVICE_IMAGES",
    "DOWNLOAD",
    "ELF_STRINGS",
    "ELF_SYMBOLS",
    "ELF_VERSIONS",
    "FILE_NAME",
    "INDEX_AXIS",
    "INDEX_LINKS",
    "INDEX_PAGE",
    "LAYER_MEMBERS",
    "LIMITS",
    "MANIFEST_FILE",
    "METADATA_FILE",
    "OCI_DOCUMENT",
    "OCI_ENTRIES",
    "PATH_NAME",
    "PATTERN_DEPTHS",
    "PATTERN_PARTS",
    "PTX_DEPTH",
    "PTX_INITIAL",
    "PTX_TEXT",
    "PTX_VARIABLE",
    "RECORD_PROBLEMS",
    "REDIRECTS",
    "RELEASE_CHOICES",
    "REMOTE_ENTRY",
    "REMOTE_RATE",
    "REMOTE_WAIT",
    "REQUIREMENTS",
    "REQUIREMENTS_TEXT",
    "REQUIREMENT_TEXT",
    "RETRY_WAIT",
    "SCRIPT_FILE",
    "SDIST_HEAD",
    "SHOWN_NAME",
    "SHOWN_NAMES_TIME",
    "SHOWN_TEXT",
    "SLOWEST_TRANSFER",
    "SOURCE_FILE",
    "SYMBOL_NAME",
    "TAR_HEADER",
    "TOML_PARTS",
    "TRANSFER_GRACE",
    "UNPACKED_IMAGE",
    "WHEEL_FACTS",
    "WHEEL_TAGS",
    "YANK_REASON",
    "Limit",
]

_KB, _MB, _GB = 1000, 1000**2, 1000**3


@dataclass(frozen=True)
class Limit:
    """One bound."""

    name: str
    """Stable; messages name it."""
    value: int
    unit: str
    bounds: str
    """What is counted."""
    why: str

    def __str__(self) -> str:
        return f"{self.value:,} {self.unit}"

    def passed(self, found: str) -> str:
        """What stands in the brackets of a message: the value found, the one expected, the bound's name."""
        return f"found {found}, expected at most {self}: the limit {self.name}"


ARCHIVE_MEMBERS = Limit(
    *("archive-members", 200_000, "members"),
    bounds="files in one wheel or sdist",
    why="the largest wheels on PyPI have about 20,000; each costs an object in memory",
)
RELEASE_CHOICES = Limit(
    *("release-choices", 700, "choices"),
    bounds="releases that are tried for one set that meets the requirements of a wheel (gpuwheel audit)",
    why="most sets take fewer than 100, and a choice a millisecond; `library-not-checked` tells of a set not found",
)
ARCHIVE_SMALL = Limit(
    *("archive-small", 64 * _MB, "bytes"),
    bounds="an archive that unpacks to no more than this passes, however well it was compressed",
    why="sources and tables may compress a hundredfold; this much fits into any machine's memory",
)
ARCHIVE_EXPANSION = Limit(
    *("archive-expansion", 100, "times"),
    bounds="size of all members unpacked, over the size of the archive file, above archive-small",
    why="libraries and device code compress 2 to 20 times; zeros, of which archive bombs are made, 1,000 times",
)
FILE_NAME = Limit(
    *("file-name", 255, "bytes"),
    bounds="one part of a path inside an archive",
    why="Linux file systems take no longer one (NAME_MAX)",
)
PATH_NAME = Limit(
    *("path-name", 4_096, "characters"),
    bounds="a whole path inside an archive or in the configuration",
    why="Linux takes no longer one (PATH_MAX)",
)
METADATA_FILE = Limit(
    *("metadata-file", 16 * _MB, "bytes"),
    bounds="METADATA, PKG-INFO, WHEEL and RECORD",
    why="a description with pictures inside takes some hundred kilobytes; RECORD has about 120 bytes for each file",
)
REQUIREMENTS = Limit(
    *("requirements", 5_000, "entries"),
    bounds="Requires-Dist entries of one wheel",
    why="the longest lists on PyPI, with every extra, have about 1,000",
)
REQUIREMENTS_TEXT = Limit(
    *("requirements-text", 1_000_000, "characters"),
    bounds="all Requires-Dist entries of one wheel together",
    why="the longest lists on PyPI have about 100,000; each word of a marker takes readers some microseconds",
)
REQUIREMENT_TEXT = Limit(
    *("requirement-text", 4_000, "characters"),
    bounds="one requirement",
    why="direct references with digests take some hundred characters; parsers of versions take quadratic time",
)
RECORD_PROBLEMS = Limit(
    *("record-problems", 20, "lines"),
    bounds="differences between RECORD and the files that are shown; the rest is counted",
    why="nobody reads more, and a damaged RECORD differs in every line",
)
SHOWN_TEXT = Limit(
    *("shown-text", 200, "characters"),
    bounds="a value from outside inside a message; what is longer is cut and measured",
    why="a message is read by people",
)
SHOWN_NAME = Limit(
    *("shown-name", 10_000, "characters"),
    bounds="the C++ name of a symbol of a wheel inside a message; where it is longer, the symbol stands there",
    why="250 bytes of a symbol can stand for gigabytes of name",
)
SHOWN_NAMES_TIME = Limit(
    *("shown-names-time", 2, "seconds"),
    bounds="how long `c++filt` may take for the C++ names in one message; after that, the symbols stand there",
    why="it takes milliseconds, except for symbols that are made to be long",
)
UNPACKED_IMAGE = Limit(
    *("unpacked-image", 1024 * _MB, "bytes"),
    bounds="one piece of device code, unpacked (gpuwheel inspect --kernels)",
    why="the largest in torch has about 100 MB",
)
BASELINE_FILE = Limit(
    *("baseline-file", 16 * _MB, "bytes"),
    bounds="a file of findings that are known (gpuwheel audit --baseline)",
    why="a finding takes about 400 bytes for each file that shows it: this is enough for 40,000",
)
MANIFEST_FILE = Limit(
    *("manifest-file", 8 * _MB, "bytes"),
    bounds="_kernels.json of a wheel",
    why="a kernel takes about 120 bytes for each architecture: this is enough for 8,000 kernels on 8 architectures",
)
ELF_SYMBOLS = Limit(
    *("elf-symbols", 1_000_000, "symbols"),
    bounds="dynamic symbols of one library",
    why="libtorch_cpu.so has 170,000",
)
ELF_STRINGS = Limit(
    *("elf-strings", 128 * _MB, "bytes"),
    bounds="names of all sections and dynamic symbols of one library together",
    why="libtorch_cpu.so has 25 MB; tables that overlap could name one long string a million times",
)
ELF_VERSIONS = Limit(
    *("elf-versions", 32_767, "versions"),
    bounds="symbol versions that a library asks for, or defines",
    why="an entry of .gnu.version has 15 bits for them",
)
SYMBOL_NAME = Limit(
    *("symbol-name", _MB, "bytes"),
    bounds="one name of a symbol, a section or a library",
    why="mangled names of heavy templates reach 100,000 bytes",
)
DEVICE_IMAGES = Limit(
    *("device-images", 200_000, "images"),
    bounds="pieces of device code in one section or .fatbin file",
    why="libtorch_cuda.so has about 10,000: a source for each architecture",
)
CONFIG_FILE = Limit(
    *("config-file", 2 * _MB, "bytes"),
    bounds="pyproject.toml, lock files, configuration of pip and uv",
    why="lock files of large projects take some hundred kilobytes",
)
PATTERN_PARTS = Limit(
    *("pattern-parts", 64, "parts"),
    bounds="folders in one pattern or path of the configuration",
    why="patterns are matched folder by folder, and no source tree is that deep",
)
PATTERN_DEPTHS = Limit(
    *("pattern-depths", 4, "times"),
    bounds="`**` in one pattern",
    why="each multiplies the folders that are searched",
)
SOURCE_FILE = Limit(
    *("source-file", 256 * _MB, "bytes"),
    bounds="one source file, or file that it includes",
    why="generated tables of constants reach some megabytes; devices and pipes never end",
)
INDEX_PAGE = Limit(
    *("index-page", 32 * _MB, "bytes"),
    bounds="one page of a package index, unpacked",
    why="the longest project pages of PyPI have about 15 MB",
)
INDEX_LINKS = Limit(
    *("index-links", 100_000, "links"),
    bounds="files listed on one page of a package index",
    why="the longest project pages of PyPI have about 20,000",
)
INDEX_AXIS = Limit(
    *("index-axis", 16, "values"),
    bounds="torches, and CUDA toolkits, that get an index of their own; of more, the newest that the tables know",
    why="each is another page for every project, and a wheel can claim any number of them",
)
DOWNLOAD = Limit(
    *("download", 20 * _GB, "bytes"),
    bounds="a file whose size is not pinned; others end with their pinned size",
    why="wheels of torch with CUDA have 2 to 3 GB",
)
CLUSTER_BLOB = Limit(
    *("cluster-blob", 2 * _GB, "bytes"),
    bounds="an sdist or wheel that travels between machines",
    why="it is in the memory of both, and of the scheduler; wheels of torch extensions have up to 1 GB",
)
CLUSTER_LOG = Limit(
    *("cluster-log", 8 * _MB, "bytes"),
    bounds="what tools printed on another machine; of more, the end",
    why="a compiler that warns in every header prints about 1 MB",
)
CLUSTER_EVENTS = Limit(
    *("cluster-events", 100_000, "events"),
    bounds="what one build on another machine tells of itself",
    why="a step, a command and a source for each of 10,000 files",
)
TOML_PARTS = Limit(
    *("toml-parts", 64, "parts"),
    bounds="a name with dots in a TOML file",
    why="parsers take quadratic time for them; real ones have up to five",
)
TRANSFER_GRACE = Limit(
    *("transfer-grace", 60, "seconds"),
    bounds="time before slowest-transfer counts",
    why="proxies and mirrors may fetch a file themselves before they send its first byte",
)
SLOWEST_TRANSFER = Limit(
    *("slowest-transfer", 4 * _KB, "bytes a second"),
    bounds="the least average rate of one answer of a server",
    why="a modem's rate; an answer that is slower would take days, or never end",
)
REDIRECTS = Limit(
    *("redirects", 10, "redirects"),
    bounds="redirects from one URL to the next, for one file or page",
    why="indexes use one or two; more lead in a circle",
)
RETRY_WAIT = Limit(
    *("retry-wait", 30, "seconds"),
    bounds="how long gpuwheel waits because a server asks for it (Retry-After)",
    why="a build that sleeps for an hour looks as if it hung; who wants to wait can start it again",
)
REMOTE_ENTRY = Limit(
    *("remote-entry", _GB, "bytes"),
    bounds="one entry of a remote of compiled content",
    why="objects and libraries with device code reach some hundred megabytes; a larger one is compiled here",
)
REMOTE_WAIT = Limit(
    *("remote-wait", 8, "seconds"),
    bounds="how long one build waits for its remote, beyond what remote-rate allows for what came or went",
    why="reuse may save minutes; a remote that is slow or dead must not cost them",
)
REMOTE_RATE = Limit(
    *("remote-rate", _MB, "bytes a second"),
    bounds="what a remote has to give or take, or it is left alone for the rest of a build",
    why="compilers make objects at about this rate: a slower remote saves nothing",
)
SCRIPT_FILE = Limit(
    *("script-file", 16 * _MB, "bytes"),
    bounds="a script in a wheel whose first line an installer replaces",
    why="it is changed in memory; programs, which may be larger, have no such line",
)
BASE_LAYER = Limit(
    *("base-layer", 50 * _GB, "bytes"),
    bounds="one layer of a base image, unpacked, when it is searched for its Python",
    why="layers with toolkits of CUDA have 10 GB; streams of zeros never end",
)
LAYER_MEMBERS = Limit(
    *("layer-members", 1_000_000, "members"),
    bounds="gzip members in one layer of a base image",
    why="layers of gpuwheel and eStargz have two for each file; a million of nothing costs minutes",
)
TAR_HEADER = Limit(
    *("tar-header", _MB, "bytes"),
    bounds="the extended header of one file in a layer",
    why="it holds a long path and some attributes, and is read into memory",
)
OCI_DOCUMENT = Limit(
    *("oci-document", 4 * _MB, "bytes"),
    bounds="a manifest, index or configuration of an image",
    why="registries take manifests of 4 MiB; those of images have some kilobytes",
)
OCI_ENTRIES = Limit(
    *("oci-entries", 10_000, "entries"),
    bounds="layers of an image, manifests of an index",
    why="container engines take 127 layers; a layout may hold some hundred images",
)
WHEEL_TAGS = Limit(
    *("wheel-tags", 1_000, "tags"),
    bounds="single tags that the compressed tag of one wheel stands for",
    why="the widest wheels on PyPI have a few dozen; a name of 255 characters can stand for 70,000",
)
WHEEL_FACTS = Limit(
    *("wheel-facts", 256 * _KB, "bytes"),
    bounds="what an index and its page say of one wheel",
    why="most take 2 kilobytes; every visitor of the page loads those of all wheels",
)
SDIST_HEAD = Limit(
    *("sdist-head", _GB, "bytes"),
    bounds="what is unpacked of an sdist until its PKG-INFO comes",
    why="build backends write it first or last, and the largest sdists unpack to some hundred megabytes",
)
YANK_REASON = Limit(
    *("yank-reason", 500, "characters"),
    bounds="why a file is yanked; the rest is cut",
    why="installers print it on one line",
)
PTX_TEXT = Limit(
    *("ptx-text", 256 * _MB, "characters"),
    bounds="one text of PTX that the pretend GPU reads",
    why="the longest of public wheels have 30 MB",
)
PTX_DEPTH = Limit(
    *("ptx-depth", 60, "levels"),
    bounds="brackets, scopes and signs within each other in PTX",
    why="compilers write four; each takes the reader some levels of its own stack",
)
PTX_VARIABLE = Limit(
    *("ptx-variable", 2 * _GB, "bytes"),
    bounds="one variable that PTX declares",
    why="it becomes memory of the process; the largest of real modules have some megabytes",
)
PTX_INITIAL = Limit(
    *("ptx-initial", 256 * _MB, "bytes"),
    bounds="what the variables of a text of PTX begin with, where it says so",
    why="a text of 256 MB cannot spell out more, and `{1}` can stand for any number of zeros",
)

LIMITS = tuple(
    sorted((value for value in list(globals().values()) if isinstance(value, Limit)), key=lambda it: it.name)
)
"""All of them, by name."""
