/* NAME.so beside libNAME.so and NAME.py: what an extension module is found, imported and loaded by.
 *
 * `import pkg.NAME` finds this file first, as it is an extension module; it runs NAME.py in the module. `find_spec(...).origin`,
 * `__file__` and glob("*.so") name it, and torch.ops.load_library(it) loads libNAME.so, whose operators then are there.
 *
 * It is for every Python from 3.8 on, free-threaded ones too: it refers to no symbol of Python, but asks for each by name,
 * and has the one structure that an extension module must define in both of its layouts (Include/object.h, moduleobject.h).
 * Compiled with -DGWC_NAME=NAME, as C or C++.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define GWC_TEXT2(name) #name
#define GWC_TEXT(name) GWC_TEXT2(name)
#define GWC_JOIN2(a, b) a##b
#define GWC_JOIN(a, b) GWC_JOIN2(a, b)

typedef void *Object; /* PyObject * */
typedef struct {
  int id;
  void *value;
} Slot; /* PyModuleDef_Slot */
typedef struct {
  Object (*init)(void);
  ptrdiff_t index;
  Object copy;
  const char *name, *doc;
  ptrdiff_t size;
  void *methods;
  Slot *slots;
  void *traverse, *clear, *free;
} Rest; /* of PyModuleDef, after its PyObject */
/* PyObject with the GIL, and without (3.13t, 3.14t). */
static struct {
  ptrdiff_t references;
  void *type;
  Rest rest;
} with_gil = {1, 0, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
static struct {
  uintptr_t thread;
  uint16_t flags;
  uint8_t mutex, gc_bits;
  uint32_t local_references; /* all bits: never freed */
  ptrdiff_t shared_references;
  void *type;
  Rest rest;
} without_gil = {0, 0, 0, 0, UINT32_MAX, 0, 0, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};

/* The path of another file beside this one; 0 if it is too long. */
static int beside(char *path, size_t size, const char *file) {
  Dl_info self;
  const char *slash;
  if (!dladdr((void *)&with_gil, &self) || !self.dli_fname) return 0;
  slash = strrchr(self.dli_fname, '/');
  return (size_t)snprintf(path, size, "%.*s%s", slash ? (int)(slash - self.dli_fname + 1) : 0, self.dli_fname, file) < size;
}

#define ASK(result, name, parameters) result(*name) parameters = (result(*) parameters)dlsym(RTLD_DEFAULT, #name)

static int raise_import_error(const char *why) {
  ASK(void, PyErr_SetString, (Object, const char *));
  Object *type = (Object *)dlsym(RTLD_DEFAULT, "PyExc_ImportError");
  if (PyErr_SetString && type) PyErr_SetString(*type, why);
  return -1;
}

/* Runs NAME.py in a module of its own, so that none of its names is seen in the imported one, or meets a function's:
 *   hidden = types.ModuleType(name); hidden.TARGET = module
 *   importlib.machinery.SourceFileLoader(name, path).exec_module(hidden)
 * Without a module it only defines the operators that C++ asks of Python. */
static int run_python(Object module) {
  ASK(Object, PyImport_ImportModule, (const char *));
  ASK(Object, PyObject_CallMethod, (Object, const char *, const char *, ...));
  ASK(int, PyObject_SetAttrString, (Object, const char *, Object));
  ASK(const char *, PyModule_GetName, (Object));
  ASK(void, Py_DecRef, (Object));
  char path[PATH_MAX];
  const char *name;
  Object types = 0, hidden = 0, machinery = 0, loader = 0, done = 0;
  if (!PyImport_ImportModule || !PyObject_CallMethod || !PyObject_SetAttrString || !PyModule_GetName || !Py_DecRef)
    return raise_import_error(GWC_TEXT(GWC_NAME) ": this Python lacks functions that extension modules need");
  if (!beside(path, sizeof path, GWC_TEXT(GWC_NAME) ".py"))
    return raise_import_error(GWC_TEXT(GWC_NAME) ": the path of the extension is too long");
  name = module ? PyModule_GetName(module) : "gpuwheel_compat_operators";
  if ((types = PyImport_ImportModule("types")) && (machinery = PyImport_ImportModule("importlib.machinery")) &&
      (hidden = PyObject_CallMethod(types, "ModuleType", "s", name)) &&
      PyObject_SetAttrString(hidden, "TARGET", module ? module : hidden) == 0 &&
      (loader = PyObject_CallMethod(machinery, "SourceFileLoader", "ss", name, path)))
    done = PyObject_CallMethod(loader, "exec_module", "O", hidden);
  Py_DecRef(types); /* of null: nothing */
  Py_DecRef(machinery);
  Py_DecRef(loader);
  Py_DecRef(done);
  if (module || !done) Py_DecRef(hidden); /* else it stays, as its operators do */
  return done ? 0 : -1;
}

static int is_imported; /* then NAME.py runs for the module */

/* Python calls this in its main thread, soon after torch.ops.load_library. */
static int define_operators(void *unused) {
  ASK(void, PyErr_Print, (void));
  (void)unused;
  if (!is_imported && run_python(0) != 0 && PyErr_Print) PyErr_Print();
  return 0;
}

/* Loads libNAME.so where torch is in the process: for torch.ops.load_library, which only loads. An import tells errors itself.
 * No Python can run here: this thread may not have the GIL, and waiting for it with the loader's lock held could be for ever. */
__attribute__((constructor)) static void gwc_load(void) {
  static const char *const torch[] = {"libtorch.so", "libtorch_cpu.so"};
  ASK(int, Py_IsInitialized, (void));
  ASK(int, Py_AddPendingCall, (int (*)(void *), void *));
  char path[PATH_MAX];
  size_t i;
  for (i = 0; i < sizeof torch / sizeof *torch; ++i) {
    void *found = dlopen(torch[i], RTLD_NOW | RTLD_NOLOAD);
    if (!found) continue;
    dlclose(found);
    if (!beside(path, sizeof path, "lib" GWC_TEXT(GWC_NAME) ".so")) return;
    if (!dlopen(path, RTLD_NOW | RTLD_LOCAL))
      fprintf(stderr, "%s: %s\n", GWC_TEXT(GWC_NAME) ".so", dlerror());
    else if (Py_IsInitialized && Py_AddPendingCall && Py_IsInitialized())
      Py_AddPendingCall(define_operators, 0);
    return;
  }
}

static int gwc_exec(Object module) {
  ASK(void *, PyInterpreterState_Get, (void));
  ASK(void *, PyInterpreterState_Main, (void));
  if (PyInterpreterState_Get && PyInterpreterState_Main && PyInterpreterState_Get() != PyInterpreterState_Main())
    return raise_import_error(GWC_TEXT(GWC_NAME) " cannot be imported in a subinterpreter: torch has one state for the process");
  return run_python(module);
}

#ifdef __cplusplus
extern "C"
#endif
__attribute__((visibility("default"))) Object GWC_JOIN(PyInit_, GWC_NAME)(void) {
  enum { exec = 2, gil = 4 }; /* Py_mod_exec; Py_mod_gil, from 3.13 on */
  static Slot slots[3];
  ASK(const char *, Py_GetVersion, (void));
  ASK(Object, PyModuleDef_Init, (void *));
  const char *version = Py_GetVersion ? Py_GetVersion() : "";
  int minor = 0;
  const int free_threaded = strstr(version, "free-threading") != 0;
  Rest *rest = free_threaded ? &without_gil.rest : &with_gil.rest;
  is_imported = 1;
  if (!PyModuleDef_Init || sscanf(version, "3.%d", &minor) != 1) return 0;
  slots[0].id = exec;
  slots[0].value = (void *)gwc_exec;
  if (minor >= 13) { /* the library has a lock of its own, where functions relied on the GIL */
    slots[1].id = gil;
    slots[1].value = (void *)1; /* Py_MOD_GIL_NOT_USED */
  }
  rest->name = GWC_TEXT(GWC_NAME);
  rest->slots = slots;
  return PyModuleDef_Init(free_threaded ? (void *)&without_gil : (void *)&with_gil);
}
