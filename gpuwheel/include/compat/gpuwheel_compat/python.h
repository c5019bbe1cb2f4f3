// `#include <Python.h>` where nothing of Python is called: the library is one for every Python, so its API is not here.
#pragma once

#include <gpuwheel_compat/base.h>  // Python.h brings the C library's headers, and sources rely on them

#include <cctype>
#include <cerrno>
#include <climits>
#include <cwchar>
#include <unistd.h>

// Functions of an extension run without the GIL: there is none to release.
#define Py_BEGIN_ALLOW_THREADS {
#define Py_END_ALLOW_THREADS }

// The entry point of an empty module, by whose import a library of operators is loaded. The module in front of the
// library is one, and nobody calls this. A module with something in it does not compile: its members take null alone.
struct PyObject;
using Py_ssize_t = std::ptrdiff_t;
struct PyModuleDef_Base {};
struct PyModuleDef {
  PyModuleDef_Base m_base;
  const char* m_name = nullptr;
  const char* m_doc = nullptr;
  Py_ssize_t m_size = 0;
  std::nullptr_t m_methods{}, m_slots{}, m_traverse{}, m_clear{}, m_free{};
};
#define PyModuleDef_HEAD_INIT ::PyModuleDef_Base {}
#define PyMODINIT_FUNC extern "C" __attribute__((visibility("hidden"))) PyObject*
inline PyObject* PyModule_Create(PyModuleDef*) { return nullptr; }
