// All of it that needs no CUDA.
#pragma once
#include <gpuwheel_compat/dispatch.h>
#include <gpuwheel_compat/functions.h>
#include <gpuwheel_compat/library.h>
#include <gpuwheel_compat/logging.h>
#include <gpuwheel_compat/autograd.h>
#include <gpuwheel_compat/device_guard.h>
#include <gpuwheel_compat/philox_engine.h>
#include <gpuwheel_compat/python.h>
