// C++ autograd functions: torch::autograd::Function on a node of the graph that Python makes.
//
// The stable ABI cannot make a node. `forward` runs here, as the classic one does; then one operator of the Python side
// (see launcher/compat.py) hands inputs, outputs and marks to a Python torch.autograd.Function, whose backward calls an
// operator of this library. Where no graph is recorded, and nothing can alias, nothing of that is called.
#pragma once
#include <gpuwheel_compat/boundary.h>
#include <gpuwheel_compat/ivalue.h>
#include <gpuwheel_compat/python_calls.h>

#include <cxxabi.h>

#include <atomic>

namespace gpuwheel_compat::autograd {
using Variable = Tensor;
using variable_list = std::vector<Variable>;
inline bool any_variable_requires_grad(const variable_list& variables) {
  return std::any_of(variables.begin(), variables.end(), [](const Variable& each) { return each.defined() && each.requires_grad(); });
}
using tensor_list = std::vector<Tensor>;
using IndexRange = std::pair<size_t, size_t>;

namespace detail {
struct Node;
struct ForwardGradMode;
}  // namespace detail

struct AutogradContext {
  AutogradContext() = default;
  AutogradContext(const AutogradContext&) = delete;
  AutogradContext& operator=(const AutogradContext&) = delete;

  std::unordered_map<std::string, IValue> saved_data;

  void save_for_backward(variable_list to_save) { to_save_ = std::move(to_save); }
  void mark_dirty(const variable_list& inputs) { dirty_ = inputs; }
  void mark_non_differentiable(const variable_list& outputs) { non_differentiable_ = outputs; }
  void set_materialize_grads(bool value) { materialize_grads_ = value; }
  variable_list get_saved_variables() const {
    if (!saved_error_.empty()) throw Error(saved_error_);
    return saved_;
  }
  /// Whether the input with this number, of those that are tensors, needs its gradient.
  inline bool needs_input_grad(size_t output_edge_index) const;
  inline bool needs_input_grad(std::initializer_list<IndexRange> ranges) const {
    for (const auto& [first, end] : ranges)
      for (size_t i = first; i < end; ++i)
        if (needs_input_grad(i)) return true;
    return false;
  }

 private:
  variable_list to_save_, dirty_, non_differentiable_, saved_;
  std::string saved_error_;  // why torch gave no saved tensors
  bool materialize_grads_ = true;
  detail::Node* node_ = nullptr;
  friend struct detail::Node;
};

namespace detail {
/// What all nodes of one Function share.
struct Kind {
  std::string name;
  variable_list (*backward)(AutogradContext*, variable_list);
};

/// One call of a Function. Owned by the call while it runs, and by Python's node (`acquire`, `release`).
struct Node {
  const Kind* kind;
  AutogradContext ctx;
  std::vector<bool> is_variable;  // of each argument of forward
  variable_list inputs;           // those that are; only until forward is done
  std::vector<bool> defined;      // of each of these
  bool in_forward = true, grad_enabled = false;
  std::mutex mutex;  // backward may be called by several threads at once; it has one context
  std::atomic<int64_t> owners{1};

  explicit Node(const Kind* k) : kind(k) { ctx.node_ = this; }

  static void acquire(void* node) { static_cast<Node*>(node)->owners.fetch_add(1, std::memory_order_relaxed); }
  static void release(void* node) {
    auto* self = static_cast<Node*>(node);
    if (self->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete self;
  }

  void take(const Tensor& argument) { take_variable(argument); }
  void take(const std::optional<Tensor>& argument) {
    if (argument && argument->defined()) take_variable(*argument);
    else is_variable.push_back(false);
  }
  template <class A>
  void take(const A&) {
    is_variable.push_back(false);
  }

  bool needs_input_grad(size_t edge) const {
    if (in_forward) {
      const bool records = grad_enabled && std::any_of(inputs.begin(), inputs.end(), requires_grad);
      TORCH_CHECK(records && edge < inputs.size(), "Index out of range");
      return requires_grad(inputs[edge]);
    }
    TORCH_CHECK(edge < defined.size(), "Index out of range");
    if (!defined[edge]) return false;
    const auto at = std::count(defined.begin(), defined.begin() + static_cast<std::ptrdiff_t>(edge), true);
    return call_python<bool>(GWC_PYTHON "::autograd_needs", static_cast<int64_t>(at));
  }

  /// Whether the outputs can be handed over as they are: no graph is recorded, no mark is made, none is an input.
  bool is_plain(const variable_list& outputs) const {
    if (!ctx.dirty_.empty() || (grad_enabled && std::any_of(inputs.begin(), inputs.end(), is_recorded))) return false;
    for (const auto& output : outputs) {
      const void* data = data_or_null(output);
      if (!data) return false;
      for (const auto& input : inputs)
        if (data_or_null(input) == data) return false;
    }
    return true;
  }

  /// Has Python make the node of the graph; gives the outputs with their history.
  variable_list record(const variable_list& outputs) {
    auto found = call_python<std::vector<std::optional<Tensor>>>(GWC_PYTHON "::autograd_apply", reinterpret_cast<int64_t>(kind), reinterpret_cast<int64_t>(this), inputs,
        outputs, ctx.to_save_, ctx.dirty_, ctx.non_differentiable_, ctx.materialize_grads_);
    variable_list recorded;
    recorded.reserve(found.size());
    for (auto& each : found) recorded.push_back(each ? std::move(*each) : Tensor());
    return recorded;
  }

  /// The marks are Python's now, and tensors kept here would be kept alive with the graph.
  void end_forward() {
    in_forward = false;
    for (const auto& input : inputs) defined.push_back(input.defined());
    for (auto* list : {&inputs, &ctx.to_save_, &ctx.dirty_, &ctx.non_differentiable_}) list->clear();
  }

  variable_list run_backward(variable_list grads, variable_list saved, std::string saved_error) {
    std::lock_guard<std::mutex> lock(mutex);
    ctx.saved_ = std::move(saved);
    ctx.saved_error_ = std::move(saved_error);
    struct Clear {
      AutogradContext& ctx;
      ~Clear() { ctx.saved_.clear(); }
    } clear{ctx};
    return of_variables(kind->backward(&ctx, std::move(grads)));
  }

 private:
  void take_variable(const Tensor& tensor) {
    is_variable.push_back(true);
    inputs.push_back(tensor);
  }
  static bool requires_grad(const Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); }
  /// The same where grad mode is on, without Python: a view of what requires grad has a node, and so is no leaf.
  static bool is_recorded(const Tensor& tensor) {
    if (!tensor.defined()) return false;
    if (!tensor.is_leaf() || tensor.layout() != Layout::Strided) return true;
    return !call<Tensor>("aten::alias", "", tensor).is_leaf();
  }
  static const void* data_or_null(const Tensor& tensor) {
    if (!tensor.defined() || tensor.layout() != Layout::Strided) return nullptr;
    const void* data = nullptr;
    return torch_get_const_data_ptr(tensor.handle(), &data) == 0 ? data : nullptr;
  }
  variable_list of_variables(variable_list grads) const {
    const size_t expected = is_variable.size();
    const auto undefined = [](const Tensor& t) { return !t.defined(); };
    if (grads.size() > expected && std::all_of(grads.begin() + static_cast<std::ptrdiff_t>(expected), grads.end(), undefined))
      grads.resize(expected);
    TORCH_CHECK(grads.size() == expected, "function ", kind->name, " returned an incorrect number of gradients (expected ",
                expected, ", got ", grads.size(), ")");
    variable_list kept;
    for (size_t i = 0; i < expected; ++i) {
      if (is_variable[i]) {
        kept.push_back(defined[kept.size()] ? std::move(grads[i]) : Tensor());
        continue;
      }
      TORCH_CHECK(!grads[i].defined(), "function ", kind->name, " returned a gradient different that is defined at position ",
                  i + 1, ", std the corresponding forward input was not a Variable");
    }
    return kept;
  }
};

/// The operator that Python's node calls: backward(int node, Tensor?[] grads, Tensor?[] saved, str error) -> Tensor[].
inline void backward_kernel(StableIValue* stack, uint64_t, uint64_t) {
  using torch::stable::detail::to;
  // All is taken off the stack before backward runs: what it throws leaves nothing there.
  auto* node = reinterpret_cast<Node*>(to<int64_t>(stack[0]));
  auto given = to<std::vector<std::optional<Tensor>>>(stack[1]);
  auto kept = to<std::vector<std::optional<Tensor>>>(stack[2]);
  auto error = to<std::string>(stack[3]);
  const auto defined = [](std::vector<std::optional<Tensor>>& from) {
    variable_list all;
    all.reserve(from.size());
    for (auto& each : from) all.push_back(each ? std::move(*each) : Tensor());
    return all;
  };
  try {
    bridge::leaving([&] {
      stack[0] = torch::stable::detail::from(node->run_backward(defined(given), defined(kept), std::move(error)));
    });
  } catch (...) {
    bridge::last_failure() = {};  // is of the function that Python called, which this is not
    throw;
  }
}

/// Registers it. The name holds an address, so that no two libraries in a process share one.
inline bool register_backward() {
  const std::string name = "backward_" + std::to_string(reinterpret_cast<uintptr_t>(&backward_kernel));
  TorchLibraryHandle library = nullptr;  // is kept: operators live as long as the process
  GWC_OK(aoti_torch_library_init_fragment("gpuwheel_autograd", __FILE__, __LINE__, &library));
  GWC_OK(aoti_torch_library_def(library, (name + "(int node, Tensor?[] grads, Tensor?[] saved, str error) -> Tensor[]").c_str()));
  // No dispatch key is excluded there: autograd records what backward calls, for double backward.
  GWC_OK(aoti_torch_library_init_impl("gpuwheel_autograd", "CompositeImplicitAutograd", __FILE__, __LINE__, &library));
  GWC_OK(torch_library_impl(library, name.c_str(), &backward_kernel, TORCH_ABI_VERSION));
  return true;
}

template <class T>
std::string node_name() {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> demangled(abi::__cxa_demangle(typeid(T).name(), nullptr, nullptr, &status), &std::free);
  return "torch::autograd::CppNode<" + std::string(status == 0 ? demangled.get() : typeid(T).name()) + ">";
}

inline void ensure_backward() {
  static const bool once = register_backward();  // for the library, not for each Function
  (void)once;
}

/// The kind of T; Python makes its Function at the first call.
template <class T>
const Kind* kind_of() {
  static const Kind kind{node_name<T>(), &T::backward};
  static const bool announced = [] {
    ensure_backward();
    call_python<void>(GWC_PYTHON "::autograd_function", reinterpret_cast<int64_t>(&kind),
               reinterpret_cast<int64_t>(&backward_kernel), reinterpret_cast<int64_t>(&Node::acquire),
               reinterpret_cast<int64_t>(&Node::release), kind.name);
    return true;
  }();
  (void)announced;
  return &kind;
}

/// Grad mode as forward has it: off.
struct ForwardGradMode {
  const bool before = aoti_torch_grad_mode_is_enabled();
  ForwardGradMode() { aoti_torch_grad_mode_set_enabled(false); }
  ~ForwardGradMode() { aoti_torch_grad_mode_set_enabled(before); }
};

struct Release {
  void operator()(Node* node) const { Node::release(node); }
};
/// Whether tensors can hide in an argument of this type: one of them might be given back as an output.
template <class A>
inline constexpr bool is_simple = std::is_arithmetic_v<A> || std::is_enum_v<A> || std::is_same_v<A, Tensor> ||
                                  std::is_same_v<A, std::optional<Tensor>> || std::is_convertible_v<A, std::string>;
}  // namespace detail

inline bool AutogradContext::needs_input_grad(size_t output_edge_index) const {
  return node_->needs_input_grad(output_edge_index);
}

template <typename X, typename... Args>
using forward_t = decltype(X::forward(nullptr, std::declval<Args>()...));

template <class T>
struct Function {
  template <typename X = T, typename... Args>
  static auto apply(Args&&... args) -> std::enable_if_t<std::is_same_v<X, T>, forward_t<X, Args...>> {
    using Result = std::decay_t<forward_t<X, Args...>>;
    constexpr bool one = std::is_same_v<Result, Tensor>;
    static_assert(one || std::is_same_v<Result, variable_list>, "forward gives a Variable or a variable_list");
    std::unique_ptr<detail::Node, detail::Release> node(new detail::Node(detail::kind_of<T>()));
    (node->take(args), ...);
    variable_list outputs;
    {
      detail::ForwardGradMode mode;
      node->grad_enabled = mode.before;
      if constexpr (one) outputs.push_back(T::forward(&node->ctx, std::forward<Args>(args)...));
      else outputs = T::forward(&node->ctx, std::forward<Args>(args)...);
    }
    constexpr bool simple = (detail::is_simple<std::decay_t<Args>> && ...);
    if (!simple || !node->is_plain(outputs)) outputs = node->record(outputs);
    node->end_forward();
    if constexpr (one) return std::move(outputs.at(0));
    else return outputs;
  }
  static constexpr bool is_traceable = false;
};

namespace detail {
inline std::vector<std::optional<Tensor>> optionals(const variable_list& tensors) {
  std::vector<std::optional<Tensor>> all;
  for (const auto& each : tensors) all.push_back(each.defined() ? std::optional<Tensor>(each) : std::nullopt);
  return all;
}
}  // namespace detail

/// Gradients of outputs for inputs; an input that is not used has an undefined one where that is allowed.
inline variable_list grad(const variable_list& outputs, const variable_list& inputs, const variable_list& grad_outputs = {},
                          std::optional<bool> retain_graph = std::nullopt, bool create_graph = false,
                          bool allow_unused = false) {
  variable_list grads;
  for (auto& each : call_python<std::vector<std::optional<Tensor>>>(GWC_PYTHON "::autograd_grad", outputs, inputs,
                                                             detail::optionals(grad_outputs), retain_graph, create_graph,
                                                             allow_unused))
    grads.push_back(each ? std::move(*each) : Tensor());
  return grads;
}

/// Adds gradients to the leaves, or to `inputs` alone.
inline void backward(const variable_list& tensors, const variable_list& grad_tensors = {},
                     std::optional<bool> retain_graph = std::nullopt, bool create_graph = false,
                     const variable_list& inputs = {}) {
  call_python<void>(GWC_PYTHON "::autograd_backward", tensors, detail::optionals(grad_tensors), retain_graph, create_graph,
             inputs);
}

/// Tells autograd that a kernel wrote to the tensor.
inline void increment_version(const Tensor& tensor) { call_python<void>(GWC_PYTHON "::increment_version", tensor); }
}  // namespace gpuwheel_compat::autograd
