/* Reads kernel images: fatbin, cubin or PTX. */
#ifndef GPUWHEEL_IMAGE_H
#define GPUWHEEL_IMAGE_H

#include "fake.h"

typedef struct ImageKernel {
  char* name;
  int parameter_count; /* -1: unknown (the image holds PTX only) */
  uint32_t sizes[MAX_PARAMETERS];
  int registers, shared_bytes, max_threads;
} ImageKernel;

typedef struct ImagePart {
  int ptx;     /* else SASS */
  int arch;    /* 90 for sm_90 */
  int version; /* of PTX: 88 for 8.8 */
  int zstd;
} ImagePart;

typedef struct Image {
  ImageKernel* kernels;
  int kernel_count;
  ImagePart* parts;
  int part_count;
} Image;

/* SUCCESS, INVALID_IMAGE, or NOT_SUPPORTED for a zstd image on a machine without libzstd.so.1. */
int image_read(Image* image, const void* data);

/* SUCCESS if a part runs on this device with this driver (12080), else the error that CUDA gives. */
int image_fits(const Image* image, int capability, int driver);

#endif
