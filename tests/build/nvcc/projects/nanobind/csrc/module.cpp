#include <nanobind/nanobind.h>
extern "C" int fill_device_count();
void fill(float*, float);
NB_MODULE(_C, m) { m.def("device_count", [] { fill(nullptr, 1.0f); return fill_device_count(); }); }
