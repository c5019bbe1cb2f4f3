// All of it that needs no CUDA.
#pragma once
#include <gpuwheel_compat/dispatch.h>
#include <gpuwheel_compat/module.h>
#include <gpuwheel_compat/autograd.h>
#include <gpuwheel_compat/python.h>


