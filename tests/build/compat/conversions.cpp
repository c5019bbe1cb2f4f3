// Functions whose arguments or results cannot be converted, at each place and of each kind, and one that throws.
#include <torch/extension.h>

#include <array>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>
#include <variant>

using at::Tensor;
using Maybe = c10::optional<Tensor>;

namespace {
// A text that no std::string can hold: what converts it throws, after all that comes before it was converted.
std::string_view too_long() {
  static const char letter = 'x';
  return {&letter, ~size_t{0}};
}
struct Unknown {};

int64_t throws(Tensor x, std::vector<Tensor> y, int64_t kind) {
  switch (kind) {
    case 0: TORCH_CHECK(false, "error of ", x.dim(), " dimensions");
    case 1: TORCH_CHECK_INDEX(false, "index");
    case 2: TORCH_CHECK_VALUE(false, "value");
    case 3: TORCH_CHECK_TYPE(false, "type");
    case 4: TORCH_CHECK_NOT_IMPLEMENTED(false, "not implemented");
    case 5: throw std::bad_alloc();
    case 6: throw std::overflow_error("overflow");
    case 7: throw std::out_of_range("range");
    case 8: throw std::domain_error("domain");
    case 9: throw Unknown();
    default: return static_cast<int64_t>(y.size());
  }
}
}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("throws", &throws);
  // Arguments: what stands before the one that is refused was taken, what stands after it was not.
  m.def("small", [](Tensor, int8_t, Tensor) {});
  m.def("natural", [](std::vector<Tensor>, uint64_t, std::string) {});
  m.def("maybe_small", [](Maybe, c10::optional<int16_t>, std::vector<Maybe>) {});
  m.def("small_list", [](std::string, std::vector<uint8_t>, c10::optional<std::string>) {});
  m.def("three", [](Tensor, std::array<int64_t, 3>, Tensor) {});
  m.def("three_texts", [](std::vector<std::string>, std::array<std::string, 3>, std::vector<std::string>) {});
  m.def("no_none", [](Tensor, Tensor, Tensor) {});
  m.def("no_none_in_list", [](Tensor, std::vector<Tensor>, Tensor) {});
  // The same in what is packed.
  m.def("pairs", [](Tensor, std::map<std::string, int8_t>, Tensor) {});
  m.def("tuple", [](std::tuple<Tensor, std::string, int8_t>, Tensor) {});
  m.def("either", [](Tensor, std::variant<int64_t, Tensor, std::vector<Tensor>>, std::set<int64_t>) {});
  m.def("dtype", [](std::vector<Tensor>, at::ScalarType, Tensor) {});
  // Results: what stands before the one that cannot be converted was.
  m.def("tensor_and_text", [](Tensor x) { return std::make_tuple(x, too_long()); });
  m.def("list_and_text", [](Tensor x) { return std::make_tuple(std::vector<Tensor>{x, x}, std::string("text"), too_long()); });
  m.def("maybe_and_text", [](Tensor x) { return std::make_tuple(Maybe(x), c10::optional<std::string>("text"), x, too_long()); });
  m.def("maybes_and_text", [](Tensor x) { return std::make_pair(std::vector<Maybe>{x, c10::nullopt}, too_long()); });
  m.def("texts", [](Tensor) { return std::vector<std::string_view>{"one", "two", too_long()}; });
  m.def("maybe_text", [](Tensor) { return c10::optional<std::string_view>(too_long()); });
  m.def("packed_text", [](Tensor x) { return std::map<std::string, std::tuple<Tensor, std::string_view>>{{"a", {x, too_long()}}}; });
}
