/* The arithmetic that rows of the table of meanings name. */
#ifndef GPUWHEEL_PTX_NUMBERS_H
#define GPUWHEEL_PTX_NUMBERS_H

#include "conversions.h"
#include "floats.h"
#include "halves.h"
#include "integers.h"
#include "values.h"
#include "video.h"

#endif
