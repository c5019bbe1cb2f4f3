// A call of any operator by the dispatcher: arguments of C++ into torch's boxes (StableIValue), results out of them.
//
// Who owns what (torch/csrc/stable/c/shim.h): a box with a tensor, a list, a string or an optional owns it. The
// dispatcher takes all argument boxes, whether the call succeeds or fails; results are the caller's. So a box is ours
// only until the call, and whatever throws before it must free those that are made: `Boxes` does.
#pragma once
#include <gpuwheel_compat/tensor.h>

#include <new>

namespace gpuwheel_compat {
// A number for an operator of Python's side: its kind, and the bits of its parts. Not a tensor, which modes would take for one.
inline std::array<int64_t, 3> words_of(const Scalar& s) {
  std::array<int64_t, 3> words{s.tag, s.i, 0};
  const auto bits = [](double v) {
    int64_t word;
    std::memcpy(&word, &v, sizeof word);
    return word;
  };
  if (s.tag == Scalar::D || s.tag == Scalar::Z) words[1] = bits(s.d);
  if (s.tag == Scalar::Z) words[2] = bits(s.im);
  return words;
}

// One argument: where its value is, and of which kind. It holds nothing: it lives as long as the expression of a call.
class Arg {
 public:
  enum Kind : uint8_t { kNone, kWord, kGenerator, kTensor, kScalar, kString, kTensors, kMaybeTensors, kInts, kDoubles, kBools };

  Arg(const Tensor& v) : kind(kTensor), p(&v) {}
  Arg(const Scalar& v) : kind(kScalar), p(&v) {}
  Arg(bool v) : kind(kWord), word(v) {}
  template <class T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, int> = 0>
  Arg(T v) : kind(kWord), word(static_cast<StableIValue>(static_cast<int64_t>(v))) {}
  Arg(double v) : kind(kWord), word(torch::stable::detail::from(v)) {}
  Arg(float v) : Arg(static_cast<double>(v)) {}
  Arg(ScalarType v) : kind(kWord), word(torch::stable::detail::from(v)) {}
  Arg(Layout v) : kind(kWord), word(torch::stable::detail::from(v)) {}
  Arg(MemoryFormat v) : kind(kWord), word(torch::stable::detail::from(v)) {}
  // The type in the upper half, the index in the lower one.
  Arg(Device v)
      : kind(kWord),
        word(static_cast<uint64_t>(static_cast<uint32_t>(static_cast<int32_t>(v.index()))) |
             static_cast<uint64_t>(static_cast<uint32_t>(torch::stable::detail::from(v.type()))) << 32) {}
  Arg(string_view v) : kind(kString), p(v.data()), n(v.size()) {}
  Arg(const std::string& v) : Arg(string_view(v)) {}
  Arg(const char* v) : Arg(string_view(v)) {}
  Arg(ArrayRef<Tensor> v) : kind(kTensors), p(v.data()), n(v.size()) {}
  Arg(const std::vector<Tensor>& v) : kind(kTensors), p(v.data()), n(v.size()) {}
  Arg(const std::vector<optional<Tensor>>& v) : kind(kMaybeTensors), p(v.data()), n(v.size()) {}
  Arg(ArrayRef<int64_t> v) : kind(kInts), p(v.data()), n(v.size()) {}
  Arg(const std::vector<int64_t>& v) : kind(kInts), p(v.data()), n(v.size()) {}
  Arg(ArrayRef<double> v) : kind(kDoubles), p(v.data()), n(v.size()) {}
  template <size_t N>
  Arg(const std::array<bool, N>& v) : kind(kBools), p(v.data()), n(N) {}
  Arg(nullopt_t) : optional_(true) {}
  template <class T>
  Arg(const optional<T>& v) : Arg(v ? Arg(*v) : Arg(nullopt)) { optional_ = true; }
  Arg(const OptionalIntArrayRef& v) : Arg(v.value) {}
  // By its key: Python has the generator. One that is not defined is none.
  Arg(const optional<Generator>& v) : optional_(true) {
    if (v && v->defined()) { kind = kGenerator; word = static_cast<StableIValue>(v->key()); }
  }

  // Whether torch's C ABI has no box for it: then Python calls the operator.
  bool is_by_python() const { return kind == kScalar || kind == kGenerator; }
  const Scalar& scalar() const { return *static_cast<const Scalar*>(p); }
  bool is_optional() const { return optional_; }

  // A box that owns what is in it.
  StableIValue box() const;
  // Frees what a box of this argument owns.
  void free(StableIValue box) const noexcept;

 private:
  StableIValue bare() const;
  void free_bare(StableIValue box) const noexcept;
  StableIValue element(size_t i) const;
  void free_element(StableIValue box) const noexcept;
  StableIValue list() const;

  Kind kind = kNone;
  bool optional_ = false;
  union {
    StableIValue word = 0;
    const void* p;
  };
  size_t n = 0;
};

inline StableIValue Arg::box() const {
  if (kind == kNone) return torch::stable::detail::from(nullptr);
  if (!optional_) return bare();
  // torch frees this with `delete` on its side: the pair of it is a plain `new`.
  auto owner = std::make_unique<StableIValue>();
  *owner = bare();
  return torch::stable::detail::from(owner.release());
}

inline void Arg::free(StableIValue box) const noexcept {
  if (kind == kNone) return;
  if (!optional_) return free_bare(box);
  std::unique_ptr<StableIValue> owner(torch::stable::detail::to<StableIValue*>(box));
  free_bare(*owner);
}

inline StableIValue new_tensor_box(const Tensor& t) {
  AtenTensorHandle h;
  if (auto* old = t.handle_or_null()) GWC_OK(aoti_torch_new_tensor_handle(old, &h));
  else GWC_OK(aoti_torch_new_uninitialized_tensor(&h));
  return torch::stable::detail::from(h);
}

inline StableIValue Arg::bare() const {
  switch (kind) {
    case kNone: case kWord: case kGenerator: return word;
    case kTensor: return new_tensor_box(*static_cast<const Tensor*>(p));
    case kScalar: {
      const auto words = words_of(scalar());
      return Arg(IntArrayRef(words)).list();
    }
    case kString: {
      StringHandle h;
      GWC_OK(torch_new_string_handle(static_cast<const char*>(p), n, &h));
      return torch::stable::detail::from(h);
    }
    default: return list();
  }
}

inline void Arg::free_bare(StableIValue box) const noexcept {
  using torch::stable::detail::to;
  switch (kind) {
    case kNone: case kWord: case kGenerator: return;
    case kTensor: (void)aoti_torch_delete_tensor_object(to<AtenTensorHandle>(box)); return;
    case kString: (void)torch_delete_string(to<StringHandle>(box)); return;
    default: {
      const auto l = to<StableListHandle>(box);
      size_t made = 0;
      StableIValue e;
      if (torch_list_size(l, &made) == 0)
        for (size_t i = 0; i < made; ++i) if (torch_list_get_item(l, i, &e) == 0) free_element(e);
      (void)torch_delete_list(l);
    }
  }
}

inline StableIValue Arg::element(size_t i) const {
  switch (kind) {
    case kTensors: return new_tensor_box(static_cast<const Tensor*>(p)[i]);
    case kMaybeTensors: return Arg(static_cast<const optional<Tensor>*>(p)[i]).box();
    case kDoubles: return torch::stable::detail::from(static_cast<const double*>(p)[i]);
    case kBools: return torch::stable::detail::from(static_cast<const bool*>(p)[i]);
    default: return torch::stable::detail::from(static_cast<const int64_t*>(p)[i]);
  }
}

inline void Arg::free_element(StableIValue box) const noexcept {
  using torch::stable::detail::to;
  if (kind == kTensors) (void)aoti_torch_delete_tensor_object(to<AtenTensorHandle>(box));
  if (kind != kMaybeTensors || box == 0) return;
  std::unique_ptr<StableIValue> owner(to<StableIValue*>(box));
  (void)aoti_torch_delete_tensor_object(to<AtenTensorHandle>(*owner));
}

inline StableIValue Arg::list() const {
  StableListHandle l;
  GWC_OK(torch_new_list_reserve_size(n, &l));
  const auto box = torch::stable::detail::from(l);
  try {
    // The list has room for all: what is made is in it at once.
    for (size_t i = 0; i < n; ++i) GWC_OK(torch_list_push_back(l, element(i)));
  } catch (...) {
    free_bare(box);
    throw;
  }
  return box;
}

// Boxes of arguments, freed unless they are handed on.
class Boxes {
 public:
  explicit Boxes(StableIValue* stack) : stack_(stack) {}
  Boxes(const Boxes&) = delete;
  ~Boxes() { for (size_t i = 0; i < made_; ++i) args_[i].free(stack_[i]); }
  void fill(const std::initializer_list<Arg>& args) {
    for (args_ = args.begin(); made_ < args.size(); ++made_) stack_[made_] = args_[made_].box();
  }
  void handed_on() { made_ = 0; }

 private:
  const Arg* args_ = nullptr;
  StableIValue* stack_;
  size_t made_ = 0;
};

// Room for the arguments or the results of any operator of ATen: the longest list has 30.
constexpr size_t kMostBoxes = 40;

// Calls the dispatcher; the answer is torch's error code.
inline AOTITorchError dispatch(const char* op, const char* overload, const std::initializer_list<Arg>& args, StableIValue* stack) {
  TORCH_CHECK(args.size() <= kMostBoxes, op, " has ", args.size(), " arguments; gpuwheel passes on ", kMostBoxes);
  Boxes boxes(stack);
  boxes.fill(args);
  boxes.handed_on();
  return torch_call_dispatcher(op, overload, stack, TORCH_ABI_VERSION);
}

// The operator of Python that stands for one of torch. Without overloads: torch 2.13 ends badly where a name has several.
inline std::string by_python_name(const char* prefix, const char* op, const char* overload) {
  const char* base = std::strstr(op, "::") + 2;
  return *overload ? str(GWC_PYTHON "::", prefix, base, "__", overload) : str(GWC_PYTHON "::", prefix, base);
}
// Of scalars.h: the name of the operator that Python makes for one with a Scalar, when it is first called.
inline std::string with_numbers(const char* op, const char* overload);
// Of failed.h: throws what torch threw.
[[noreturn]] inline void fail_call(const char* op, const char* overload, const std::initializer_list<Arg>& args);

// The dispatcher; or, where an argument cannot cross (a Scalar, a generator), an operator of Python that takes what stands for it.
inline void run(const char* op, const char* overload, const std::initializer_list<Arg>& args, StableIValue* stack) {
  const bool by_python = std::any_of(args.begin(), args.end(), [](const Arg& arg) { return arg.is_by_python(); });
  if ((by_python ? dispatch(with_numbers(op, overload).c_str(), "", args, stack) : dispatch(op, overload, args, stack)) != 0)
    fail_call(op, overload, args);
}

// Results. One that throws must not lose those after it.
inline Tensor take_tensor(StableIValue box) {
  return Tensor(torch::stable::detail::to<AtenTensorHandle>(box), Tensor::steal{});
}
template <class R>
struct Taken {
  static R from(StableIValue* s) { return torch::stable::detail::to<R>(*s); }
};
template <>
struct Taken<void> {
  static void from(StableIValue*) {}
};
template <>
struct Taken<Tensor> {
  static Tensor from(StableIValue* s) { return take_tensor(*s); }
};
template <class... R>
struct Taken<std::tuple<R...>> {
  template <size_t... I>
  static std::tuple<R...> each(StableIValue* s, std::index_sequence<I...>) { return {Taken<R>::from(s + I)...}; }
  static std::tuple<R...> from(StableIValue* s) { return each(s, std::index_sequence_for<R...>{}); }
};

// Calls an operator.
template <class R>
R invoke(const char* op, const char* overload, std::initializer_list<Arg> args) {
  StableIValue stack[kMostBoxes];
  run(op, overload, args, stack);
  return Taken<R>::from(stack);
}

// Calls an operator whose `results` are tensors that the caller has already: those that it was given to write to.
inline void invoke_into(size_t results, const char* op, const char* overload, std::initializer_list<Arg> args) {
  StableIValue stack[kMostBoxes];
  run(op, overload, args, stack);
  for (size_t i = 0; i < results; ++i) (void)aoti_torch_delete_tensor_object(torch::stable::detail::to<AtenTensorHandle>(stack[i]));
}

// The same by values: for operators that no table lists.
template <class R, class... A>
R call(const char* op, const char* overload, const A&... args) {
  return invoke<R>(op, overload, {Arg(args)...});
}
}  // namespace gpuwheel_compat

// The same values in the functions that a library registers, for templates of torch that convert by type.
HIDDEN_NAMESPACE_BEGIN(torch, stable, detail)
template <>
struct FromImpl<gpuwheel_compat::Tensor> {
  static StableIValue call(const gpuwheel_compat::Tensor& v, uint64_t, bool) { return gpuwheel_compat::new_tensor_box(v); }
};
template <>
struct ToImpl<gpuwheel_compat::Tensor> {
  static gpuwheel_compat::Tensor call(StableIValue v, uint64_t, bool) { return gpuwheel_compat::take_tensor(v); }
};
template <>
struct FromImpl<gpuwheel_compat::Device> {
  static StableIValue call(const gpuwheel_compat::Device& v, uint64_t, bool) { return gpuwheel_compat::Arg(v).box(); }
};
template <>
struct ToImpl<gpuwheel_compat::Device> {
  static gpuwheel_compat::Device call(StableIValue v, uint64_t, bool) {
    return {to<gpuwheel_compat::DeviceType>(v >> 32), static_cast<gpuwheel_compat::DeviceIndex>(static_cast<uint32_t>(v))};
  }
};
template <class T>
struct FromImpl<gpuwheel_compat::ArrayRef<T>> {
  static StableIValue call(const gpuwheel_compat::ArrayRef<T>& v, uint64_t, bool) { return gpuwheel_compat::Arg(v).box(); }
};
HIDDEN_NAMESPACE_END(torch, stable, detail)
