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
