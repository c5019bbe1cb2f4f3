"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from fnmatch import fnmatch
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "gpuwheel"
MODULES = sorted(PACKAGE.rglob("*.py"))
MODULE_LINES, FUNCTION_LINES, PARAMETERS, FOLDER_MODULES = 400, 60, 6, 16
# Names of modules that stand in several rooms, and mean the same in each: a verb and its command, a subject and what is
# known, decided or written of it. What stands in for setuptools is a package of its own, imported by nobody here.
SHARED_NAMES = {
    *(
        "__init__",
        "__main__",
        "build",
        "cells",
        "check",
        "dev",
        "fetch",
        "index",
        "keys",
        "linked_libraries",
        "new",
        "nvmath",
        "project_table",
    ),
    *("python_packages", "reading", "reference", "update"),
}
VAGUE = {"utils", "util", "helpers", "common", "core", "manager", "misc"}

# Where what belongs to the process is read or changed, and why. Everywhere else it is handed on.
OF_THE_PROCESS = {
    "os": {"chdir", "environ", "environb", "fchdir", "getcwd", "getcwdb", "getenv", "putenv", "umask", "unsetenv"},
    "Path": {"cwd"},
}
MAY_TOUCH = {
    "backend.py": "an edge",
    "cli/": "an edge",
    "testing/": "an edge",
    "ui.py": "the terminal, of the edges",
    "_process.py": "puts back what it changes",
    "_endings.py": "names files as the reader sees them from where the edge runs",
    "adopt/setup_worker/": "a process of its own",
    "matrix/worker.py": "a process of its own",
    "matrix/executors/cluster.py": "what dask calls on a worker is an edge",
    "matrix/requires_worker.py": "a process of its own",
    "matrix/rebuild/fetch_worker.py": "a process of its own",
    "compile/cmake/admitted_command.py": "a process of its own",
    "compile/device/nvrtc_worker.py": "a process of its own",
    "compile/tiles/cutile_worker.py": "a process of its own",
    "binary/mangled.py": "c++filt only makes names readable",
}

# A folder that belongs to one machine or one person, not to the project; examples may speak of "somebody".
MACHINE_PATH = re.compile(r"(?<![\w.}/])/(?:root|home|work|mnt|Users)/(?!somebody\b)[A-Za-z0-9_.]")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_tree(path)))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in _nodes(path):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def _top_level_names(tree: ast.Module) -> set[str]:
    """What a module's own statements bind, imports under `if TYPE_CHECKING` left out."""
    names: set[str] = set()
    for node in tree.body:
        for inner in ast.walk(node) if isinstance(node, (ast.If, ast.Try)) else [node]:
            match inner:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.Assign(targets=targets):
                    names.update(target.id for target in targets if isinstance(target, ast.Name))
                case ast.AnnAssign(target=ast.Name(id=name)):
                    names.add(name)
                case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                    names.update((alias.asname or alias.name).partition(".")[0] for alias in aliases)
    return names


def _imported(node: ast.AST) -> Iterator[str]:
    """Names that are imported anywhere below, those that only types need left out; a package for each of its parts."""
    children = ast.iter_child_nodes(node)
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=others):
            children = iter(others)
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases)
        case ast.ImportFrom(module=str(module), names=aliases):
            yield module
            yield from (f"{module}.{alias.name}" for alias in aliases)
    for child in children:
        yield from _imported(child)


def _exports(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            exports: list[str] = ast.literal_eval(node.value)
            return exports
    return None


def _per_module(found_in: Callable[[Path], Iterable[str]], modules: Iterable[Path] = MODULES) -> dict[str, list[str]]:
    """What a rule finds, by module: one test for all of them, which is a tenth of the time of one for each."""
    found = {_name(path): list(found_in(path)) for path in modules}
    assert len(found) > 400
    return {name: lines for name, lines in found.items() if lines}


def _unsaid(path: Path) -> Iterator[str]:
    exports, names = _exports(_tree(path)), _top_level_names(_tree(path))
    if exports is None:
        if path.name != "__init__.py":
            yield "no __all__"
        elif names:
            yield f"no __all__, but something to offer: {names}"
    elif len(exports) != len(set(exports)) or not set(exports) <= names:
        yield f"__all__ has names twice, or that are not there: {exports}"


def test_public_modules_say_what_they_offer() -> None:
    assert _per_module(_unsaid, [path for path in MODULES if path.name != "__main__.py"]) == {}


def _over_budget(path: Path) -> list[str]:
    over = []
    lines = path.read_text(encoding="utf-8").count("\n")
    if lines > MODULE_LINES:
        over.append(f"{lines} lines (budget {MODULE_LINES})")
    for function in _functions(path):
        size = (function.end_lineno or function.lineno) - function.lineno + 1
        if size > FUNCTION_LINES:
            over.append(f"{function.name}: {size} lines (budget {FUNCTION_LINES})")
        arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        count = len([argument for argument in arguments if argument.arg not in {"self", "cls"}])
        if count > PARAMETERS and not function.decorator_list:  # a command's parameters are its options
            over.append(f"{function.name}: {count} parameters (budget {PARAMETERS})")
    return over


def test_modules_and_functions_keep_their_budgets() -> None:
    assert _per_module(_over_budget) == {}


def test_folders_keep_their_budget() -> None:
    counts = Counter(path.parent for path in MODULES)
    assert {_name(folder): count for folder, count in counts.items() if count > FOLDER_MODULES} == {}


def test_a_name_of_a_module_means_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for path in (path for path in MODULES if "setup_worker" not in path.parts):
        places.setdefault(path.stem, []).append(_name(path))
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in SHARED_NAMES} == {}


def test_no_module_needs_itself() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}
    needs = {name: set(_imported(_tree(path))) for name, path in names.items()}
    knot: list[str] = []
    try:
        TopologicalSorter({name: needed & names.keys() - {name} for name, needed in needs.items()}).prepare()
    except CycleError as error:
        knot = error.args[1]

    assert len(needs["gpuwheel.cli.app"] & names.keys()) > 1
    assert knot == []


def test_names_say_what_is_inside() -> None:
    assert _per_module(lambda path: VAGUE & {path.stem, *path.relative_to(ROOT).parts}) == {}


def _taken_from_the_process(path: Path) -> list[str]:
    if path.relative_to(PACKAGE).as_posix().startswith(tuple(MAY_TOUCH)):
        return []
    found = []
    for node in _nodes(path):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if name in OF_THE_PROCESS.get(module, ()):
                found.append(f"{node.lineno}: {module}.{name}")
            case ast.ImportFrom(module="os", names=aliases):
                found += [f"{node.lineno}: {one.name}" for one in aliases if one.name in OF_THE_PROCESS["os"]]
            case ast.Call(func=ast.Name(id="run" | "running" | "run_each" as name), keywords=keywords):
                given = {keyword.arg for keyword in keywords}
                found += [] if "env" in given else [f"{node.lineno}: {name}() that hands on no environment"]
    return found


def test_the_environment_and_the_current_folder_are_handed_on() -> None:
    assert _per_module(_taken_from_the_process) == {}


def test_who_may_touch_the_process_is_there() -> None:
    assert [place for place in MAY_TOUCH if not (PACKAGE / place).exists()] == []


def test_importing_the_backend_is_cheap() -> None:
    # `get_requires_for_build_wheel` runs before anything heavy is installed.
    heavy = ["click", "jinja2", "scikit_build_core", "torch", "tqdm", "unearth"]
    code = f"import sys, gpuwheel.backend; print([m for m in {heavy!r} if m in sys.modules])"

    assert run([sys.executable, "-c", code]).stdout.strip() == "[]"


def test_a_build_of_one_mode_imports_neither_the_others_nor_what_failures_need() -> None:
    # Importing is half of what a build costs in which nothing changed.
    rooms = ["audit", "pipeline.nvcc_mode", "pipeline.kernels_mode", "toolchain.cuda.toolkit"]
    rooms += [
        "compile.device.images",
        "compile.device.diagnostics",
        "compile.messages.ending",
        "compile.messages.reading",
    ]
    left_out = [f"gpuwheel.{room}" for room in rooms]
    code = (
        "import sys, gpuwheel.pipeline.dev, gpuwheel.pipeline.embed_mode\n"
        f"print([m for m in {left_out!r} if m in sys.modules])"
    )

    assert run([sys.executable, "-c", code]).stdout.strip() == "[]"


def test_no_file_names_a_machine() -> None:
    tracked = run(["git", "ls-files", "-z"], cwd=ROOT).stdout.split("\0")
    found = []
    for name in filter(None, tracked):
        path = ROOT / name
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), 1):
            if match := MACHINE_PATH.search(line):
                found.append(f"{name}:{number}: {match.group()}...")
    assert found == []


def _commands(text: str) -> list[str]:
    """The lines of a document's shell blocks."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    readme = _commands((ROOT / "README.md").read_text(encoding="utf-8"))
    (command,) = [line for line in readme if line.endswith("nox -s tests")]

    assert command in script


def test_no_test_file_is_left_out_of_a_run(pytestconfig: pytest.Config) -> None:
    """Pytest does not look into folders called "build" unless it is told to."""
    skipped = pytestconfig.getini("norecursedirs")
    tests = [path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")]
    left_out = [path for path in tests if any(fnmatch(part, glob) for part in path.parts for glob in skipped)]
    assert tests
    assert not left_out


def test_sources_of_templates_fit_a_screen() -> None:
    """No formatter runs over a template's C++: 120 columns, as everywhere."""
    sources = [path for path in (ROOT / "templates").rglob("csrc/*") if path.suffix != ".py"]
    lines = {path: path.read_text(encoding="utf-8").splitlines() for path in sources}
    long = [f"{_name(path)}:{i + 1}" for path in lines for i, line in enumerate(lines[path]) if len(line) > 120]

    assert len(sources) > 15
    assert long == []


BY_RELEASES = {"templates/releases.bundle"}  # absent before the first
PAGES_OF_PATHS = ("docs/explanation/where-things-go.md", "docs/explanation/architecture.md", "CONTRIBUTING.md")


@pytest.mark.parametrize("page", PAGES_OF_PATHS)
def test_paths_in_pages_for_contributors_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    top = "gpuwheel|templates|tests|ci|docs|sample_extension"
    named = set(re.findall(rf"`((?:{top})/[\w./-]*?)/?`", text)) - BY_RELEASES
    assert named
    assert sorted(path for path in named if not (ROOT / path).exists()) == []
