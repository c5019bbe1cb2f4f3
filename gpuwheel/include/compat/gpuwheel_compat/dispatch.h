// AT_DISPATCH_*: code for the element type that a tensor has.
#pragma once
#include <gpuwheel_compat/functions.h>

// ------------------------------------------------------------------------------------------------ dispatch over element types
namespace gpuwheel_compat {
inline gpuwheel_compat::ScalarType scalar_type_of(gpuwheel_compat::ScalarType t) { return t; }
inline gpuwheel_compat::ScalarType scalar_type_of(const gpuwheel_compat::DeprecatedTypeProperties& t) { return t.scalarType(); }
}
#define AT_DISPATCH_SWITCH(TYPE, NAME, ...)                                                                     \
  [&] { const auto gwc_t = ::gpuwheel_compat::scalar_type_of(TYPE); constexpr const char* at_dispatch_name = NAME; (void)at_dispatch_name; \
    switch (gwc_t) { __VA_ARGS__ default: AT_ERROR('"', NAME, "\" not implemented for '", gpuwheel_compat::toString(gwc_t), "'"); } }()
#define AT_PRIVATE_CASE_TYPE_USING_HINT(E, HINT, ...) case E: { using HINT [[maybe_unused]] = torch::headeronly::impl::ScalarTypeToCPPTypeT<E>; return __VA_ARGS__(); }
#define AT_DISPATCH_CASE(E, ...) AT_PRIVATE_CASE_TYPE_USING_HINT(E, scalar_t, __VA_ARGS__)
#define AT_PRIVATE_CASE_TYPE(NAME, E, T, ...) case E: { using scalar_t = T; return __VA_ARGS__(); }
#define AT_DISPATCH_CASE_FLOATING_TYPES(...) AT_DISPATCH_CASE(gpuwheel_compat::ScalarType::Double, __VA_ARGS__) AT_DISPATCH_CASE(gpuwheel_compat::ScalarType::Float, __VA_ARGS__)
#define AT_DISPATCH_CASE_INTEGRAL_TYPES(...) AT_DISPATCH_CASE(gpuwheel_compat::ScalarType::Byte, __VA_ARGS__) AT_DISPATCH_CASE(gpuwheel_compat::ScalarType::Char, __VA_ARGS__) \
  AT_DISPATCH_CASE(gpuwheel_compat::ScalarType::Int, __VA_ARGS__) AT_DISPATCH_CASE(gpuwheel_compat::ScalarType::Long, __VA_ARGS__) AT_DISPATCH_CASE(gpuwheel_compat::ScalarType::Short, __VA_ARGS__)
#define AT_DISPATCH_FLOATING_TYPES(T, N, ...) AT_DISPATCH_SWITCH(T, N, AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND_HALF(T, N, ...) AT_DISPATCH_SWITCH(T, N, AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__) AT_DISPATCH_CASE(gpuwheel_compat::ScalarType::Half, __VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND(A, T, N, ...) AT_DISPATCH_SWITCH(T, N, AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__) AT_DISPATCH_CASE(A, __VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND2(A, B, T, N, ...) AT_DISPATCH_SWITCH(T, N, AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__) AT_DISPATCH_CASE(A, __VA_ARGS__) AT_DISPATCH_CASE(B, __VA_ARGS__))
#define AT_DISPATCH_INTEGRAL_TYPES(T, N, ...) AT_DISPATCH_SWITCH(T, N, AT_DISPATCH_CASE_INTEGRAL_TYPES(__VA_ARGS__))
#define AT_DISPATCH_ALL_TYPES(T, N, ...) AT_DISPATCH_SWITCH(T, N, AT_DISPATCH_CASE_INTEGRAL_TYPES(__VA_ARGS__) AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__))
#define AT_DISPATCH_ALL_TYPES_AND2(A, B, T, N, ...) AT_DISPATCH_SWITCH(T, N, AT_DISPATCH_CASE_INTEGRAL_TYPES(__VA_ARGS__) AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__) AT_DISPATCH_CASE(A, __VA_ARGS__) AT_DISPATCH_CASE(B, __VA_ARGS__))
