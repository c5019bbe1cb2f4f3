/* Reads kernel images: fatbin, cubin or PTX. */
#ifndef GPUWHEEL_IMAGE_H
#define GPUWHEEL_IMAGE_H

#include "fake.h"

typedef struct ImageKernel {
  char* name;
  int parameter_count; /* -1: unknown (the image holds PTX only) */
  uint32_t sizes[MAX_PARAMETERS];
  int registers, shared_bytes, max_threads;
  uint64_t parts; /* a bit for each part that has it */
} ImageKernel;

typedef struct ImagePart {
  int ptx;     /* else SASS */
  int arch;    /* 90 for sm_90 */
  int version; /* of PTX: 88 for 8.8 */
  int zstd;
  char only; /* 'a': for this GPU alone, 'f': for its family, 0 */
  char* text; /* of PTX, or NULL */
  size_t size;
  uint64_t id; /* counts the PTX of the process from 1 */
} ImagePart;

typedef struct Image {
  ImageKernel* kernels;
  int kernel_count;
  ImagePart* parts;
  int part_count;
} Image;

/* SUCCESS, INVALID_IMAGE, or NOT_SUPPORTED for a zstd image on a machine without libzstd.so.1. */
int image_read(Image* image, const void* data);

/* The part that this device takes with this driver (12080), if it has the kernel: SUCCESS, or the error that CUDA gives. */
int image_fits(const Image* image, const ImageKernel* kernel, int capability, int driver);

/* The newest PTX that has the kernel (NULL: the newest of all), whatever the device; that for one GPU alone only if there
   is no other. NULL: there is none. */
const ImagePart* image_ptx(const Image* image, const ImageKernel* kernel);

#endif
