// A C++ function as a kernel of the dispatcher: its arguments are taken off the stack, its result is put there.
#pragma once
#include <gpuwheel_compat/packed.h>

namespace gpuwheel_compat::bridge {
using Stack = StableIValue*;

// Functions, lambdas and std::function, by what they take and give.
template <class F>
struct signature : signature<decltype(&F::operator())> {};
template <class R, class... A>
struct signature<R(A...)> {
  using result = R;
  using arguments = std::tuple<A...>;
  using type = R(A...);
  static constexpr size_t count = sizeof...(A);
};
#define GWC_SIGNATURE(QUALIFIERS)                                                        \
  template <class C, class R, class... A>                                                \
  struct signature<R (C::*)(A...) QUALIFIERS> : signature<R(A...)> {};
GWC_SIGNATURE()
GWC_SIGNATURE(const)
GWC_SIGNATURE(noexcept)
GWC_SIGNATURE(const noexcept)
#undef GWC_SIGNATURE
template <class R, class... A>
struct signature<R (*)(A...)> : signature<R(A...)> {};
template <class R, class... A>
struct signature<R (*)(A...) noexcept> : signature<R(A...)> {};

// --- results: what the dispatcher gives back, and how the Python side reads it
// `kind` says which: "one" value, "none", "tuple" of several, "tuple1" (the dispatcher unpacks it), "packed" as a text.
template <From from, class R, class = void>
struct result {
  static constexpr bool plain = travels<from, R>::plain;
  static constexpr const char* kind = plain ? "one" : "packed";
  static constexpr uint64_t slots = plain ? 1 : 2;
  static std::string described() { return schema<R>::described(); }
  static std::string name() {
    if constexpr (plain) return travels<from, R>::name();
    else return "(str, Tensor[])";
  }
  static void put(Stack stack, const R& r) {
    if constexpr (plain) stack[0] = wire<R>::out(r);
    else {
      Writer writer;
      writer.write(*packed<R>::to(r));
      result<from, std::tuple<std::string, std::vector<Tensor>>>::put(stack, std::tie(writer.text, writer.tensors));
    }
  }
};
template <From from>
struct result<from, void> {
  static constexpr const char* kind = "none";
  static constexpr uint64_t slots = 0;
  static std::string described() { return "\"None\""; }
  static std::string name() { return "()"; }
};
template <From from, class... R>
struct result<from, std::tuple<R...>, std::enable_if_t<(sizeof...(R) > 0) && (travels<from, bare<R>>::plain && ...)>> {
  static constexpr const char* kind = sizeof...(R) == 1 ? "tuple1" : "tuple";
  static constexpr uint64_t slots = sizeof...(R);
  static std::string described() { return described_all<R...>("tuple"); }
  static std::string name() {
    std::string all;
    ((all += (all.empty() ? "" : ", ") + travels<from, bare<R>>::name()), ...);
    return "(" + all + ")";
  }
  template <class T>
  static void put(Stack stack, const T& r) {
    each(stack, r, std::index_sequence_for<R...>{});
  }

 private:
  template <class T, size_t... I>
  static void each(Stack stack, const T& r, std::index_sequence<I...>) {
    size_t made = 0;
    try {
      ((stack[I] = wire<bare<R>>::out(std::get<I>(r)), ++made), ...);
    } catch (...) {  // the dispatcher takes all of them or none
      ((I < made ? drop<wire<bare<R>>>(stack[I]) : void()), ...);
      throw;
    }
  }
};
template <From from, class A, class B>
struct result<from, std::pair<A, B>, std::enable_if_t<travels<from, bare<A>>::plain && travels<from, bare<B>>::plain>>
    : result<from, std::tuple<A, B>> {};

// --- arguments
// Module functions refuse None where a tensor is expected, as pybind11 did; operators of TORCH_LIBRARY take it as undefined.
template <class T>
void refuse_undefined(const T&) {}
inline void refuse_undefined(const Tensor& tensor) {
  if (!tensor.defined()) throw Mismatch("a tensor is expected, not None");
}
inline void refuse_undefined(const std::vector<Tensor>& tensors) {
  for (const auto& each : tensors) refuse_undefined(each);
}

template <From from, class F>
struct arguments_of;
template <From from, class... A>
struct arguments_of<from, std::tuple<A...>> {
  static constexpr size_t count = sizeof...(A);
  static constexpr bool plain[sizeof...(A) + 1] = {travels<from, bare<A>>::plain..., true};
  static constexpr bool has_packed = !(travels<from, bare<A>>::plain && ...);
  // The slot on the stack of a plain argument; for a packed one, its place in the list.
  static constexpr size_t place(size_t argument) {
    size_t before = 0;
    for (size_t at = 0; at < argument; ++at) before += plain[at] == plain[argument];
    return before;
  }
  static constexpr size_t packed_slot() {
    size_t all = 0;
    for (size_t at = 0; at < count; ++at) all += plain[at];
    return all;
  }
  static constexpr uint64_t slots = packed_slot() + (has_packed ? 2 : 0);
};

// Frees what is still on the stack when an earlier argument was refused.
template <From from, class... A>
struct Pending {
  Stack stack;
  bool taken[sizeof...(A) + 1] = {};
  bool packed_taken = false;
  ~Pending() { each(std::index_sequence_for<A...>{}); }

 private:
  using places = arguments_of<from, std::tuple<A...>>;
  template <size_t I, class T>
  void one() {
    if constexpr (travels<from, T>::plain)
      if (!taken[I]) drop<wire<T>>(stack[places::place(I)]);
  }
  template <size_t... I>
  void each(std::index_sequence<I...>) {
    (one<I, bare<A>>(), ...);
    if constexpr (places::has_packed) {
      if (packed_taken) return;
      drop<wire<std::string>>(stack[places::packed_slot()]);
      drop<wire<std::vector<Tensor>>>(stack[places::packed_slot() + 1]);
    }
  }
};

template <From from, class... A>
struct Taken {
  using places = arguments_of<from, std::tuple<A...>>;
  Pending<from, A...> pending;
  ValuePtr packed_values;

  explicit Taken(Stack stack) : pending{stack} {
    if constexpr (places::has_packed) {
      pending.packed_taken = true;
      std::string text;
      {
        struct Tail {  // the tensors are taken even if the text cannot be
          Stack stack;
          std::vector<Tensor> tensors;
        } tail{stack, wire<std::vector<Tensor>>::in(stack[places::packed_slot() + 1])};
        text = wire<std::string>::in(stack[places::packed_slot()]);
        packed_values = Reader(text, tail.tensors).read();
      }
    }
  }
  template <size_t I, class T>
  auto take() {
    if constexpr (travels<from, T>::plain) {
      pending.taken[I] = true;
      auto held = wire<T>::in(pending.stack[places::place(I)]);
      if constexpr (from == From::module) refuse_undefined(held);
      return held;
    } else {
      return packed<T>::from(*packed_values->items.at(places::place(I)));
    }
  }
};

template <From from, class F, class R, class... A, size_t... I>
void invoke(F& function, Stack stack, std::index_sequence<I...>) {
  using taking = Taken<from, A...>;
  auto held = [&] {
    taking taken(stack);
    // Braces: the order is that of the arguments.
    return std::tuple<decltype(std::declval<taking>().template take<I, bare<A>>())...>{taken.template take<I, bare<A>>()...};
  }();
  (void)held;
  if constexpr (std::is_void_v<R>) function(static_cast<A&&>(std::get<I>(held))...);
  else result<from, bare<R>>::put(stack, function(static_cast<A&&>(std::get<I>(held))...));
}
template <From from, class F, class S>
struct invoker;
template <From from, class F, class R, class... A>
struct invoker<from, F, R(A...)> {
  static void run(F& function, Stack stack) { invoke<from, F, R, A...>(function, stack, std::index_sequence_for<A...>{}); }
};

// A C++ signature does not say what is written to: every tensor may be, so that nothing drops or reorders calls.
inline std::string mutable_type(const std::string& type, size_t at) {
  return type.rfind("Tensor", 0) == 0 ? "Tensor(a" + std::to_string(at) + "!)" + type.substr(6) : type;
}
template <From from, class... A>
std::vector<std::string> schema_types(std::tuple<A...>*) {
  std::vector<std::string> all;
  [[maybe_unused]] auto one = [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    if constexpr (travels<from, T>::plain) all.push_back(travels<from, T>::name());
  };
  (one(static_cast<bare<A>*>(nullptr)), ...);
  if constexpr (arguments_of<from, std::tuple<A...>>::has_packed) all.insert(all.end(), {"str", "Tensor[]"});
  return all;
}
// "(Tensor(a0!) _0, int _1)"
inline std::string schema_of(const std::vector<std::string>& types) {
  std::string all;
  for (size_t at = 0; at < types.size(); ++at) all += (at ? ", " : "") + mutable_type(types[at], at) + " _" + std::to_string(at);
  return "(" + all + ")";
}
template <From from, class S>
std::string inferred_schema() {
  return schema_of(schema_types<from>(static_cast<typename S::arguments*>(nullptr))) + " -> " + result<from, bare<typename S::result>>::name();
}
}  // namespace gpuwheel_compat::bridge
