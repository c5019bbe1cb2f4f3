"""From pyproject.toml, the environment and `-C` to one checked value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from gpuwheel._environment import tool_environment
from gpuwheel.config.files.products import excluded_products, product_patterns
from gpuwheel.config.files.python_packages import packages_beside_default
from gpuwheel.config.laws.every import check_minimum_version, check_settings
from gpuwheel.config.laws.kernel_packages import check_launcher
from gpuwheel.config.laws.narrow import narrow_lines
from gpuwheel.config.model import LoadedConfig, Settings
from gpuwheel.config.project.project_table import (
    check_dependencies,
    check_inner_settings,
    check_python,
    floor_of_pythons,
    inner_defaults,
    inner_table,
    names_packages,
    project_facts,
    read_pyproject,
)
from gpuwheel.config.project.standard import check_standard
from gpuwheel.config.reading.defaults import defaults_for
from gpuwheel.config.reading.extras import check_extras
from gpuwheel.config.reading.mistakes import close_match, dotted
from gpuwheel.config.reading.policies import expanded_policies
from gpuwheel.config.reading.setting_keys import Array, Key, Scalar, Table, Tables, Texts, keys_of
from gpuwheel.config.reading.sources import Given, from_config_settings, from_environ, from_toml, split_config_settings
from gpuwheel.config.reading.variables import arch_list, epoch_of, other_variables
from gpuwheel.config.survey import survey_extensions
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode, TorchAbi
from gpuwheel.model.versions import NOTHING_KNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.version import Version

    from gpuwheel.model.versions import KnownVersions

__all__ = ["built_settings", "load_config", "own_table"]

_PYPROJECT = "pyproject.toml"
_MINIMUM = ("minimum-version",)
_ARCHS = ("archs",)

Values = dict[tuple[str, ...], Given]


def load_config(
    root: Path,
    *,
    environ: Mapping[str, str],
    config_settings: Mapping[str, str | list[str]] | None = None,
    known: KnownVersions = NOTHING_KNOWN,
) -> LoadedConfig:
    """What the project in `root` asks for; each source wins over the one before it.

    Defaults, `[tool.gpuwheel]` of pyproject.toml, TORCH_CUDA_ARCH_LIST, `GPUWHEEL_*`, `-C gpuwheel.KEY=VALUE`. Where
    they have a policy for versions, it chooses from those that are `known`.

    Raises:
        ConfigError: anything in them is unknown, of the wrong form, or contradicts something else.
    """
    # Paths of sources are compared with the root, and both have to have one spelling where links lead to the project.
    root = root.resolve()
    document = read_pyproject(root)
    try:
        return _load(root, document, environ, config_settings or {}, known)
    # TOML has no bound on nesting, and Python's parser recurses.
    except RecursionError as error:
        msg = "pyproject.toml holds tables or lists that are nested too deeply (expected a few levels)"
        raise ConfigError(msg, hint="see docs/reference/configuration.md for its form") from error


def _load(
    root: Path,
    document: Mapping[str, Any],
    environ: Mapping[str, str],
    config_settings: Mapping[str, str | list[str]],
    known: KnownVersions,
) -> LoadedConfig:
    own, inner = split_config_settings(config_settings)
    check_inner_settings(document, environ, inner)
    project = project_facts(root, document)

    table = own_table(document)
    above = from_environ(environ, other_variables()) | from_config_settings(own)
    # Before all other keys are read: one that only a newer gpuwheel knows should be told as that.
    minimum = _minimum_version(table, above)
    torch_archs = arch_list(environ)
    given = from_toml(table, _PYPROJECT) | torch_archs | above
    # Defaults last: which they are depends on two of the values given.
    everything = defaults_for(minimum, _mode(given)) | given
    everything, policies = expanded_policies(everything, project.requires_python, known)
    settings = cast("Settings", built_settings(Settings, everything))
    origins = {dotted(path): value.origin for path, value in given.items()}

    modes = {extension.mode.value for extension in settings.extensions.values()}
    tools = tool_environment(environ, modes.pop() if len(modes) == 1 else None)
    warnings = (
        *check_python(project),
        *check_settings(settings, root, origins),
        *_arch_list_notes(torch_archs, given, settings),
        *tools.warnings,
    )
    check_dependencies(project, settings)
    check_extras(document, settings)
    check_launcher(project, settings)
    check_standard(root, document)
    epoch_of(environ)  # a build could not begin
    table = inner_table(document)
    packages = packages_beside_default(root, project.name, settings.extensions)
    products = product_patterns(settings, root)
    found = {"wheel.packages": packages} if packages and not names_packages(document, environ, inner) else {}
    return LoadedConfig(
        settings,
        project,
        origins,
        # Later ones win: what the user gives by -C beats what is found, and products stay out whatever is given.
        inner_defaults(table) | found | inner | excluded_products(products, table, environ, inner),
        table,
        warnings,
        floor_of_pythons(project),
        tools.notes,
        narrow_lines(settings, root),
        policies,
        survey_extensions(settings, root, TorchAbi.COMPAT),
    )


def own_table(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """`[tool.gpuwheel]` of a pyproject.toml.

    Raises:
        ConfigError: it is no table.
    """
    tool = document.get("tool", {})
    table = tool.get("gpuwheel", {}) if isinstance(tool, dict) else tool
    if not isinstance(table, dict):
        msg = f"tool.gpuwheel in pyproject.toml is not a table (found {table!r}, expected [tool.gpuwheel])"
        raise ConfigError(msg)
    return table


def _mode(given: Values) -> str | None:
    """The mode of the extensions, where they have one and name it."""
    modes = [value.value for path, value in given.items() if path[0] == "extensions" and path[-1] == "mode"]
    named = [mode.value for mode in modes if isinstance(mode, Mode)]
    return named[0] if len(set(named)) == 1 else None


def _minimum_version(table: Mapping[str, Any], above: Values) -> Version | None:
    """The version of gpuwheel the project was written for, checked ahead of every other key."""
    mine = from_toml({name: value for name, value in table.items() if (name,) == _MINIMUM}, _PYPROJECT)
    given = (mine | {path: value for path, value in above.items() if path == _MINIMUM}).get(_MINIMUM)
    if given is None:
        return None
    minimum = cast("Version", given.value)
    check_minimum_version(minimum, given.origin)
    return minimum


def built_settings(fields: type, given: Values, prefix: tuple[str, ...] = ()) -> object:
    """A dataclass of the model from the values below `prefix`; what is not given keeps the dataclass's default."""
    arguments: dict[str, object] = {}
    for key in keys_of(fields).values():
        path = (*prefix, key.name)
        match key.value:
            case Scalar() | Array() | Texts():
                if path in given:
                    arguments[key.attribute] = given[path].value
                elif key.required:
                    raise _missing(key, prefix, given)
            case Table(nested):
                arguments[key.attribute] = built_settings(nested, given, path)
            case Tables(fields=nested):
                names = dict.fromkeys(found[len(path)] for found in given if found[:-1][: len(path)] == path)
                arguments[key.attribute] = {name: built_settings(nested, given, (*path, name)) for name in names}
    built: object = fields(**arguments)
    return built


def _missing(key: Key, prefix: tuple[str, ...], given: Values) -> ConfigError:
    """A table without a key it must have: a table that is begun, or a name that was misspelt in `-C`."""
    origin = next(value.origin for path, value in given.items() if path[: len(prefix)] == prefix)
    known = {path[-2] for path in given if path[:-2] == prefix[:-1] and path[-1] == key.name}
    return ConfigError(
        f"{dotted(prefix)} in {origin} has no {key.name} (expected {key.name} = [...])",
        hint=close_match(prefix[-1], known) or f"add {key.name} to [{dotted(('tool', 'gpuwheel', *prefix))}]",
    )


def _arch_list_notes(torch_archs: Values, given: Values, settings: Settings) -> tuple[str, ...]:
    """What became of TORCH_CUDA_ARCH_LIST: it decides, or something nearer to gpuwheel does."""
    if _ARCHS not in torch_archs:
        return ()
    origin = torch_archs[_ARCHS].origin
    if given[_ARCHS].origin != origin:
        return (f"{origin} is not used: archs come from {given[_ARCHS].origin}",)
    keeping = [name for name, group in settings.kernels.items() if group.archs is not None]
    kept = f"; kernels.{', kernels.'.join(keeping)} keep their own" if keeping else ""
    return (f"{origin} sets archs to {' '.join(str(target) for target in settings.archs)}{kept}",)
