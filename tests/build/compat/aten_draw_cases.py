# ruff: noqa: E501, S311
"""Draw ATen overloads and write a C++ source that calls each by the headers: python aten_draw_cases.py GENERATED FOLDER SEED COUNT.

Each becomes an operator of the same arguments in the namespace of the module, where a Scalar comes as a tensor without
dimensions. `aten_compare_cases.py` calls both and compares.
"""

import json
import random
import re
import sys
from pathlib import Path

import tomllib
import torch

# Random, of a device that is not here, of a state outside of the arguments, or slow on purpose.
LEFT_OUT = re.compile(
    r"rand|dropout|bernoulli|multinomial|normal|poisson|exponential_|geometric_|cauchy|uniform|rrelu|empty|cudnn|miopen"
    r"|mkldnn|quant|fbgemm|sparse|cuda|mps|nested|backward|to_padded|fake_|_pin|pin_memory|record_stream|set_|resize|q_"
    r"|storage|coalesce|indices|values|crow|ccol|col_|row_|is_set|choose|lstm|gru|rnn|special_|chalf|from_file|sym_"
    r"|requires_grad|retain|data|_version|output_nr|is_leaf|is_pinned|rename|names|detach_|swapaxes_|infinitely|stft"
)
CPP = {
    "Tensor": "Tensor",
    "Tensor?": "std::optional<Tensor>",
    "int": "int64_t",
    "int?": "std::optional<int64_t>",
    "float": "double",
    "float?": "std::optional<double>",
    "bool": "bool",
    "bool?": "std::optional<bool>",
    "str": "std::string",
    "str?": "std::optional<std::string>",
    "int[]": "std::vector<int64_t>",
    "Tensor[]": "std::vector<Tensor>",
    "ScalarType": "at::ScalarType",
    "ScalarType?": "std::optional<at::ScalarType>",
    "Layout?": "std::optional<at::Layout>",
    "Device": "at::Device",
    "Device?": "std::optional<at::Device>",
    "MemoryFormat": "at::MemoryFormat",
    "MemoryFormat?": "std::optional<at::MemoryFormat>",
}
TYPES = {"number": "Tensor", "Optional[number]": "Tensor?", "SymInt": "int"}
SHORT = re.compile(r"^(Optional|List)\[(.*)\]$")
HEAD = """\
#include <torch/extension.h>
using at::Tensor;
namespace {
template <class T> T in(StableIValue v) { return torch::stable::detail::to<T>(v); }
at::Scalar number(const Tensor& t) {
  if (t.scalar_type() == at::kBool) { bool b; aoti_torch_item_bool(t.handle(), &b); return b; }
  if (t.scalar_type() == at::kLong) { int64_t i; aoti_torch_item_int64(t.handle(), &i); return i; }
  double d; aoti_torch_item_float64(t.handle(), &d); return d;
}
template <class T> void out(StableIValue* s, const T& v) { s[0] = torch::stable::detail::from(v); }
void out(StableIValue*) {}
template <class... T> void out(StableIValue* s, const std::tuple<T...>& v) {
  std::apply([&](const auto&... e) { size_t i = 0; ((s[i++] = torch::stable::detail::from(std::decay_t<decltype(e)>(e))), ...); }, v);
}
template <class F> void told(F call) {
  try { call(); }
  catch (const std::exception& e) { throw std::runtime_error(gpuwheel_compat::str(gpuwheel_compat::python_type(e), "\\n", e.what())); }
}
struct Operator {
  Operator(const char* schema, const char* name, void (*f)(StableIValue*, uint64_t, uint64_t)) {
    TorchLibraryHandle lib;
    aoti_torch_library_init_fragment("aten_calls", __FILE__, __LINE__, &lib);
    aoti_torch_library_def(lib, schema);
    aoti_torch_library_init_impl("aten_calls", "CompositeImplicitAutograd", __FILE__, __LINE__, &lib);
    torch_library_impl(lib, name, f, TORCH_ABI_VERSION);
  }
};
}
"""
TAIL = "PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n"


def type_of(argument):
    text = TYPES.get(str(argument.type), str(argument.type))
    if (match := SHORT.match(text)) and text not in TYPES.values():
        inner = TYPES.get(match[2], match[2])
        text = inner + ("?" if match[1] == "Optional" else "[]")
    # ScalarType, Layout and MemoryFormat are numbers to the schema's printer, and names to its parser.
    real = re.search(rf"(\w+)(\[\d*\])?(\?)?(\([^)]*\))? {re.escape(argument.name)}\b", argument.real)
    if real and real[1] in {"ScalarType", "Layout", "MemoryFormat", "Device"}:
        text = real[1] + (real[3] or "")
    return text


def numbers(argument):
    return "number" in str(argument.type)


class Argument:
    def __init__(self, argument, schema):
        self.type, self.name, self.default = argument.type, argument.name, argument.default_value
        self.written = argument.alias_info is not None and argument.alias_info.is_write
        self.real = schema
        self.is_out = argument.is_out
        self.text = type_of(self)


def offered(generated):
    """C++ names: functions and methods."""
    lines = (generated / "functions.inc").read_text() + (generated / "factories.inc").read_text()
    functions = set(re.findall(r"^inline [^(]*?[ &](\w+)\(", lines, re.MULTILINE))
    methods = set(re.findall(r" Tensor::(\w+)\(", lines))
    return functions, methods


def call(base, overload, arguments, functions, methods):
    """The C++ expression, or None where there is no such function."""
    outs = [each for each in arguments if each.is_out]
    given = [
        f"number(a{i})"
        if numbers(each) and each.text == "Tensor"
        else f"(a{i} ? std::optional<at::Scalar>(number(*a{i})) : std::nullopt)"
        if numbers(each)
        else f"a{i}"
        for i, each in enumerate(arguments)
    ]
    if outs:
        return f"at::{base}_outf({', '.join(given)})" if f"{base}_outf" in functions else None
    method = base in methods and overload not in {"dtype", "dtype_out"}
    if (
        method
        and arguments
        and not numbers(arguments[0])
        and arguments[0].name == "self"
        and arguments[0].text == "Tensor"
    ):
        return f"a0.{base}({', '.join(given[1:])})"
    return f"at::{base}({', '.join(given)})" if base in functions else None


def wrapper(index, schema, functions, methods):
    base = schema.name.removeprefix("aten::")
    arguments = [Argument(each, str(schema)) for each in schema.arguments]
    if any(each.text not in CPP for each in arguments):
        return None
    returns = [TYPES.get(str(each.type), str(each.type)) for each in schema.returns]
    returns = [re.sub(r"^List\[Tensor\]$", "Tensor[]", each) for each in returns]
    if not returns or any(each not in {"Tensor", "int", "float", "bool", "Tensor[]"} for each in returns):
        return None
    expression = call(base, schema.overload_name, arguments, functions, methods)
    if expression is None:
        return None
    taken = " ".join(f"auto a{i} = in<{CPP[each.text]}>(s[{i}]);" for i, each in enumerate(arguments))
    name = f"call{index}"
    listed = ", ".join(f"{each.text} a{i}" for i, each in enumerate(arguments))
    text = f"{name}({listed}) -> ({', '.join(returns)})"
    line = (
        f"static void {name}(StableIValue* s, uint64_t, uint64_t) {{ told([&] {{ {taken} out(s, {expression}); }}); }}"
    )
    line += f'\nstatic const Operator operator{index}("{text}", "{name}", &{name});\n'
    described = {
        "name": name,
        "base": base,
        "overload": schema.overload_name,
        "arguments": [[each.text, numbers(each), each.written, each.name] for each in arguments],
    }
    return line, described


def main():
    generated, folder, seed, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    functions, methods = offered(generated)
    refused = {line.split(":")[0] for line in (generated / "refused.txt").read_text().splitlines()}
    schemas = [each for each in torch._C._jit_get_all_schemas() if each.name.startswith("aten::")]
    schemas.sort(key=str)
    random.Random(seed).shuffle(schemas)
    # First those that are not called by the dispatcher alone.
    table = tomllib.loads((generated.parents[3] / "data" / "aten.toml").read_text())
    hot = {*table["direct"], *table["named"]}
    schemas.sort(key=lambda each: f"{each.name[6:]}.{each.overload_name}".rstrip(".") not in hot)
    lines, described = [], []
    for schema in schemas:
        base = schema.name.removeprefix("aten::")
        full = f"{base}.{schema.overload_name}".rstrip(".")
        if base.startswith("_") or LEFT_OUT.search(base) or full in refused or len(described) == count:
            continue
        if any("Generator" in str(each.type) for each in schema.arguments):
            continue
        if not torch._C._dispatch_has_kernel(f"aten::{full}"):
            continue
        made = wrapper(len(described), schema, functions, methods)
        if made:
            made[1]["hot"] = full in hot
            lines.append(made[0])
            described.append(made[1])
    (folder / "aten_calls.cpp").write_text(HEAD + "".join(lines) + TAIL)
    (folder / "aten_calls.json").write_text(json.dumps(described))
    print(len(described))


main()
