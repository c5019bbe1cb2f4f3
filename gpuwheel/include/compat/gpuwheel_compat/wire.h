// Values that travel by themselves: between a StableIValue on the dispatcher's stack and C++.
//
// `in` takes what the stack owns, and frees it whether it throws or not. The types are those that schema.h calls plain.
#pragma once
#include <gpuwheel_compat/boundary.h>
#include <gpuwheel_compat/schema.h>

namespace gpuwheel_compat::bridge {
// Integers of 64 bits without sign: the Python side sends the upper half of their range as negative numbers, and says so.
inline bool& sends_upper_half() {
  thread_local bool sends = false;
  return sends;
}

// Frees what a box owns, if it owns anything.
template <class Wire>
void drop(StableIValue box) noexcept {
  try {
    (void)Wire::in(box);
  } catch (...) {
  }
}

template <class T, class = void>
struct wire {
  using held = T;
  static T in(StableIValue v) { return torch::stable::detail::to<T>(v); }
  static StableIValue out(const T& v) { return torch::stable::detail::from(v); }
};
template <class T>
struct wire<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>> {
  using held = T;
  static T in(StableIValue v) {
    const auto wide = torch::stable::detail::to<int64_t>(v);
    if constexpr (sizeof(T) == 8) {
      if (std::is_unsigned_v<T> && wide < 0 && !sends_upper_half()) throw Mismatch(str("the value ", wide, " is negative"));
    } else if (wide < static_cast<int64_t>(std::numeric_limits<T>::min()) || wide > static_cast<int64_t>(std::numeric_limits<T>::max())) {
      throw Mismatch(str("the value ", wide, " does not fit"));
    }
    return static_cast<T>(wide);
  }
  static StableIValue out(T v) { return torch::stable::detail::from(static_cast<int64_t>(v)); }
};
template <>
struct wire<Generator> {
  using held = Generator;
  static Generator in(StableIValue v) { return Generator(torch::stable::detail::to<int64_t>(v)); }
  static StableIValue out(const Generator& v) { return torch::stable::detail::from(v.key()); }
};
template <>
struct wire<float> {
  using held = float;
  static float in(StableIValue v) { return static_cast<float>(torch::stable::detail::to<double>(v)); }
  static StableIValue out(float v) { return torch::stable::detail::from(static_cast<double>(v)); }
};

// Frees the handle of a string or list when the scope ends.
template <class H, AOTITorchError (*Free)(H)>
struct Freed {
  H handle;
  ~Freed() { Free(handle); }
};
template <>
struct wire<std::string> {
  using held = std::string;
  static std::string in(StableIValue v) {
    const Freed<StringHandle, &torch_delete_string> text{torch::stable::detail::to<StringHandle>(v)};
    size_t size;
    const char* data;
    GWC_OK(torch_string_length(text.handle, &size));
    GWC_OK(torch_string_c_str(text.handle, &data));
    return {data, size};
  }
  static StableIValue out(const std::string& v) {
    StringHandle handle;
    GWC_OK(torch_new_string_handle(v.data(), v.size(), &handle));
    return torch::stable::detail::from(handle);
  }
};
template <>
struct wire<std::string_view> : wire<std::string> {
  static StableIValue out(std::string_view v) { return wire<std::string>::out(std::string(v)); }
};
struct CString : std::string {
  using std::string::string;
  CString(std::string&& from) : std::string(std::move(from)) {}
  operator const char*() const { return c_str(); }
};
template <>
struct wire<const char*> {
  using held = CString;
  static CString in(StableIValue v) { return wire<std::string>::in(v); }
  static StableIValue out(const char* v) { return wire<std::string>::out(v); }
};

template <class T>
struct wire<std::optional<T>> {
  using inner = wire<std::remove_cv_t<T>>;
  using held = std::optional<std::conditional_t<std::is_const_v<T>, const typename inner::held, typename inner::held>>;
  static held in(StableIValue v) {
    const std::unique_ptr<StableIValue> inside(torch::stable::detail::to<StableIValue*>(v));
    if (!inside) return std::nullopt;
    return held(inner::in(*inside));
  }
  static StableIValue out(const std::optional<T>& v) {
    if (!v) return torch::stable::detail::from(nullptr);
    auto inside = std::make_unique<StableIValue>(inner::out(*v));
    return torch::stable::detail::from(inside.release());
  }
};

template <class T>
struct wire<std::vector<T>> {
  using inner = wire<T>;
  using held = std::vector<T>;
  static held in(StableIValue v) {
    const Freed<StableListHandle, &torch_delete_list> list{torch::stable::detail::to<StableListHandle>(v)};
    size_t size;
    GWC_OK(torch_list_size(list.handle, &size));
    held all;
    all.reserve(size);
    size_t at = 0;
    try {
      for (; at < size; ++at) all.push_back(T(inner::in(item(list.handle, at))));
    } catch (...) {
      for (++at; at < size; ++at) drop<inner>(item(list.handle, at));
      throw;
    }
    return all;
  }
  template <class C>
  static StableIValue out(const C& v) {
    StableListHandle handle;
    GWC_OK(torch_new_list_reserve_size(v.size(), &handle));
    size_t pushed = 0;
    try {
      for (const auto& each : v) {
        GWC_OK(torch_list_push_back(handle, inner::out(each)));
        ++pushed;
      }
    } catch (...) {
      for (size_t at = 0; at < pushed; ++at) drop<inner>(item(handle, at));
      torch_delete_list(handle);
      throw;
    }
    return torch::stable::detail::from(handle);
  }

 private:
  static StableIValue item(StableListHandle list, size_t at) {
    StableIValue element;
    GWC_OK(torch_list_get_item(list, at, &element));
    return element;
  }
};
template <class T>
struct wire<ArrayRef<T>> : wire<std::vector<T>> {};
template <class T, size_t N>
struct wire<std::array<T, N>> {
  using held = std::array<T, N>;
  static held in(StableIValue v) {
    auto all = wire<std::vector<T>>::in(v);
    if (all.size() != N) throw Mismatch(str("a sequence of ", N, " is expected"));
    held fixed;
    std::move(all.begin(), all.end(), fixed.begin());
    return fixed;
  }
  static StableIValue out(const held& v) { return wire<std::vector<T>>::out(v); }
};
}  // namespace gpuwheel_compat::bridge
