// A module in Python's limited API, without torch: CUDA sources may hold it too.
#include <Python.h>

__global__ void fill(float* out, int n, float value) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = value;
}

static PyObject* device_count(PyObject*, PyObject*) {
  int count = 0;
  return PyLong_FromLong(cudaGetDeviceCount(&count) == cudaSuccess ? count : 0);
}

static PyObject* launch_fill(PyObject*, PyObject* arguments) {
  unsigned long long out;
  int n;
  float value;
  if (!PyArg_ParseTuple(arguments, "Kif", &out, &n, &value)) return nullptr;
  fill<<<(n + 255) / 256, 256>>>(reinterpret_cast<float*>(out), n, value);
  return PyLong_FromLong(cudaGetLastError());
}

static PyMethodDef methods[] = {{"device_count", device_count, METH_NOARGS, nullptr},
                                {"fill", launch_fill, METH_VARARGS, nullptr},
                                {nullptr, nullptr, 0, nullptr}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, methods};

PyMODINIT_FUNC PyInit__C() { return PyModule_Create(&definition); }
