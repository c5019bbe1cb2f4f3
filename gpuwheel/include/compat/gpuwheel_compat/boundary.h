// Exceptions on their way out of the library: Python gets the type that it got, whoever called.
//
// They cross torch's dispatcher as C++ exceptions. pybind11, which called it, knows those of the standard library and makes
// RuntimeError of all others; so ours leave as the one that it makes the right type of. Where there is none (TypeError), our
// Python side asks for the type: `last_failure`.
#pragma once
#include <gpuwheel_compat/errors.h>

namespace gpuwheel_compat::bridge {
// An argument is not what the function takes: the Python side answers with pybind11's TypeError, or tries the next overload.
class Mismatch : public TypeError {
 public:
  using TypeError::TypeError;
};

// What the last failed call of this thread threw.
struct LastFailure {
  std::string type, text;
  bool mismatch = false;
};
inline LastFailure& last_failure() {
  thread_local LastFailure failure;
  return failure;
}
// Those of py::register_exception: each says whether the exception is its own, and what it is in Python.
using Translator = std::function<bool(const std::exception_ptr&, LastFailure&)>;
inline std::vector<Translator>& translators() {
  static auto* all = new std::vector<Translator>;  // is never destroyed: calls may come while the process ends
  return *all;
}

inline void remember(const std::exception_ptr& thrown) {
  auto& failure = last_failure();
  failure = {"RuntimeError", "Caught an unknown exception!", false};
  for (auto each = translators().rbegin(); each != translators().rend(); ++each)
    if ((*each)(thrown, failure)) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const Mismatch& e) {
    failure = {e.python_type(), e.what(), true};
  } catch (const Error& e) {
    failure = {e.python_type(), python_text(e.msg()), false};
  } catch (const std::exception& e) {
    failure = {python_type(e), e.what(), false};
  } catch (...) {
  }
}

template <class F>
void leaving(F&& run) {
  try {
    run();
    if (!last_failure().type.empty()) last_failure() = {};  // what it caught itself
  } catch (const Error& e) {
    remember(std::current_exception());
    const std::string_view type = e.python_type();
    const auto text = python_text(e.msg());
    if (type == "ValueError") throw std::invalid_argument(text);
    if (type == "IndexError") throw std::out_of_range(text);
    if (text != e.msg()) throw Error(text);
    throw;
  } catch (...) {
    remember(std::current_exception());
    throw;
  }
}
}  // namespace gpuwheel_compat::bridge
