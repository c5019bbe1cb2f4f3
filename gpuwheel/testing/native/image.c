/* Fatbin layout as NVIDIA's tools write it (checked against cuobjdump): a header {u32 magic, u16 version, u16 header
   bytes, u64 payload bytes}, then parts {u16 kind (1 PTX, 2 ELF), u16, u32 header bytes, u64 stored bytes, u32 compressed
   bytes, ..., u32 arch at 28, u64 flags at 40, u64 plain bytes at 56}. Flags: 0x2000 LZ4, 0x8000 zstd. */
#define _GNU_SOURCE
#include "image.h"

#include <ctype.h>
#include <dlfcn.h>
#include <elf.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FATBIN_MAGIC = 0xBA55ED50u, KIND_PTX = 1, KIND_ELF = 2, FLAG_LZ4 = 0x2000, FLAG_ZSTD = 0x8000, FLAG_ARCH = 0x100000, FLAG_FAMILY = 0x200000, MAX_PARTS = 64 };
enum { EIATTR_MAX_THREADS = 0x05, EIATTR_KPARAM_INFO = 0x17, EIATTR_REGCOUNT = 0x2F, EIATTR_KPARAM_INFO_V2 = 0x45, EIFMT_SVAL = 4 };

static uint16_t u16(const unsigned char* p) { uint16_t v; memcpy(&v, p, 2); return v; }
static uint32_t u32(const unsigned char* p) { uint32_t v; memcpy(&v, p, 4); return v; }
static uint64_t u64(const unsigned char* p) { uint64_t v; memcpy(&v, p, 8); return v; }

/* One LZ4 block (github.com/lz4/lz4, doc/lz4_Block_format.md). Returns 0 if it is damaged. */
static int lz4(const unsigned char* in, size_t n, unsigned char* out, size_t capacity) {
  const unsigned char* const end = in + n;
  size_t done = 0;
  while (in < end) {
    const unsigned token = *in++;
    size_t length = token >> 4;
    if (length == 15) {
      unsigned char more;
      do {
        if (in >= end) return 0;
        length += more = *in++;
      } while (more == 255);
    }
    if (length > (size_t)(end - in) || length > capacity - done) return 0;
    memcpy(out + done, in, length);
    in += length;
    done += length;
    if (in >= end) break; /* the last sequence has literals only */
    if (end - in < 2) return 0;
    const size_t distance = u16(in);
    in += 2;
    length = (token & 15) + 4;
    if ((token & 15) == 15) {
      unsigned char more;
      do {
        if (in >= end) return 0;
        length += more = *in++;
      } while (more == 255);
    }
    if (distance == 0 || distance > done || length > capacity - done) return 0;
    for (; length > 0; --length, ++done) out[done] = out[done - distance];
  }
  return done == capacity;
}

static int zstd(const unsigned char* in, size_t n, unsigned char* out, size_t capacity) {
  void* library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return NOT_SUPPORTED;
  size_t (*decompress)(void*, size_t, const void*, size_t) = (size_t (*)(void*, size_t, const void*, size_t))dlsym(library, "ZSTD_decompress");
  if (decompress == NULL) return NOT_SUPPORTED;
  return decompress(out, capacity, in, n) == capacity ? SUCCESS : INVALID_IMAGE;
}

/* A kernel of the part that is being read, which is the last. */
static ImageKernel* kernel_named(Image* image, const char* name) {
  for (int i = 0; i < image->kernel_count; ++i) {
    if (strcmp(image->kernels[i].name, name) != 0) continue;
    image->kernels[i].parts |= (uint64_t)1 << (image->part_count - 1);
    return &image->kernels[i];
  }
  image->kernels = realloc(image->kernels, sizeof *image->kernels * (size_t)(image->kernel_count + 1));
  ImageKernel* kernel = &image->kernels[image->kernel_count++];
  memset(kernel, 0, sizeof *kernel);
  kernel->name = strdup(name);
  kernel->parameter_count = -1;
  kernel->parts = (uint64_t)1 << (image->part_count - 1);
  kernel->max_threads = 1024;
  return kernel;
}

static ImagePart* add_part(Image* image) {
  image->parts = realloc(image->parts, sizeof *image->parts * (size_t)(image->part_count + 1));
  ImagePart* part = &image->parts[image->part_count++];
  memset(part, 0, sizeof *part);
  return part;
}

/* The attributes of `.nv.info` sections: {u8 format, u8 attribute, u16 value or size, bytes}. */
static void read_info(const unsigned char* p, size_t n, ImageKernel* kernel) {
  const unsigned char* const end = p + n;
  int count = 0;
  while (end - p >= 4) {
    const int format = p[0], attribute = p[1];
    const size_t size = format == EIFMT_SVAL ? u16(p + 2) : 0;
    const unsigned char* value = p + 4;
    if (size > (size_t)(end - value)) return;
    if ((attribute == EIATTR_KPARAM_INFO || attribute == EIATTR_KPARAM_INFO_V2) && size >= 12) {
      const unsigned ordinal = u16(value + 4);
      if (ordinal < MAX_PARAMETERS) {
        kernel->sizes[ordinal] = attribute == EIATTR_KPARAM_INFO ? u32(value + 8) >> 18 : u16(value + 8);
        if ((int)ordinal >= count) count = (int)ordinal + 1;
      }
    }
    if (attribute == EIATTR_MAX_THREADS && size >= 12) kernel->max_threads = (int)(u32(value) * u32(value + 4) * u32(value + 8));
    p = value + size;
  }
  kernel->parameter_count = count;
}

/* The attributes of the whole image: {u32 symbol, u32 registers} per kernel. */
static void read_registers(Image* image, const unsigned char* data, const Elf64_Shdr* info, const Elf64_Shdr* symbols, const char* names) {
  const unsigned char* p = data + info->sh_offset;
  const unsigned char* const end = p + info->sh_size;
  while (end - p >= 4) {
    const size_t size = p[0] == EIFMT_SVAL ? u16(p + 2) : 0;
    if (size > (size_t)(end - p - 4)) return;
    if (p[1] == EIATTR_REGCOUNT && size >= 8 && u32(p + 4) < symbols->sh_size / sizeof(Elf64_Sym)) {
      const Elf64_Sym* symbol = (const Elf64_Sym*)(data + symbols->sh_offset) + u32(p + 4);
      kernel_named(image, names + symbol->st_name)->registers = (int)u32(p + 8);
    }
    p += 4 + size;
  }
}

static int read_elf(Image* image, const unsigned char* data, size_t size) {
  if (size < sizeof(Elf64_Ehdr) || memcmp(data, ELFMAG, SELFMAG) != 0) return INVALID_IMAGE;
  const Elf64_Ehdr* header = (const Elf64_Ehdr*)data;
  if (header->e_shoff > size || (size_t)header->e_shnum * sizeof(Elf64_Shdr) > size - header->e_shoff || header->e_shstrndx >= header->e_shnum) return INVALID_IMAGE;
  const Elf64_Shdr* sections = (const Elf64_Shdr*)(data + header->e_shoff);
  const char* names = (const char*)data + sections[header->e_shstrndx].sh_offset;
  const Elf64_Shdr *info = NULL, *symbols = NULL;
  for (int i = 0; i < header->e_shnum; ++i) {
    const char* name = names + sections[i].sh_name;
    const int has_bytes = sections[i].sh_type != SHT_NOBITS;
    if (has_bytes && (sections[i].sh_offset > size || sections[i].sh_size > size - sections[i].sh_offset)) return INVALID_IMAGE;
    if (strncmp(name, ".nv.info.", 9) == 0) read_info(data + sections[i].sh_offset, sections[i].sh_size, kernel_named(image, name + 9));
    if (strcmp(name, ".nv.info") == 0) info = &sections[i];
    if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < header->e_shnum) symbols = &sections[i];
    if (strncmp(name, ".nv.shared.", 11) == 0) kernel_named(image, name + 11)->shared_bytes = (int)sections[i].sh_size;
  }
  if (info != NULL && symbols != NULL) read_registers(image, data, info, symbols, (const char*)data + sections[symbols->sh_link].sh_offset);
  return SUCCESS;
}

/* The bytes of one `.param`: `.param .align 8 .b8 name[16]`, `.param .u64 .ptr .global .align 4 name`. */
static uint32_t parameter_size(const char* p, const char* end) {
  uint32_t size = 0;
  for (; p < end; ++p) {
    unsigned bits, count;
    char letter;
    if (size == 0 && *p == '.' && sscanf(p, ".%c%u", &letter, &bits) == 2 && strchr("busf", letter) != NULL) size = bits / 8;
    if (*p == '[' && sscanf(p, "[%u]", &count) == 1) size *= count;
  }
  return size;
}

/* `p` follows an entry's name. What a cubin said already is the same. */
static void read_parameters(const char* p, ImageKernel* kernel) {
  p += strspn(p, " \t\r\n");
  kernel->parameter_count = 0;
  const char *const body = strchr(p, '{'), *bound = strstr(p, ".maxntid"), *const close = *p == '(' ? strchr(p, ')') : NULL;
  if (bound == NULL || bound > body) bound = strstr(p, ".reqntid");
  int x = 0, y = 1, z = 1;
  if (bound != NULL && bound < body && sscanf(bound + 8, "%d , %d , %d", &x, &y, &z) >= 1) kernel->max_threads = x * y * z;
  while (close != NULL && p < close) {
    const char* end = memchr(p + 1, ',', (size_t)(close - p - 1));
    if (end == NULL) end = close;
    const uint32_t size = parameter_size(p, end);
    if (size > 0 && kernel->parameter_count < MAX_PARAMETERS) kernel->sizes[kernel->parameter_count++] = size;
    p = end;
  }
}

static const char NAME_LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$.";

static void read_ptx(Image* image, const char* text, size_t size, ImagePart* part) {
  static atomic_ulong last_id;
  int major = 0, minor = 0;
  part->text = strndup(text, size);
  part->size = strlen(part->text);
  part->id = atomic_fetch_add(&last_id, 1) + 1;
  const char* version = strstr(part->text, ".version ");
  if (version != NULL && sscanf(version, ".version %d.%d", &major, &minor) == 2) part->version = major * 10 + minor;
  for (const char* p = part->text; (p = strstr(p, ".entry")) != NULL;) {
    p += 6;
    p += strspn(p, " \t\r\n");
    const size_t length = strspn(p, NAME_LETTERS); /* of CUTLASS, thousands */
    if (length == 0) continue;
    char* const name = strndup(p, length);
    ImageKernel* const kernel = kernel_named(image, name);
    free(name);
    if (kernel->parameter_count < 0) read_parameters(p + length, kernel);
  }
}

static int read_part(Image* image, const unsigned char* header, const unsigned char* body, size_t stored) {
  const int kind = u16(header);
  const uint64_t flags = u64(header + 40);
  if (kind != KIND_PTX && kind != KIND_ELF) return SUCCESS; /* options and other side notes */
  if (image->part_count == MAX_PARTS) return INVALID_IMAGE;
  ImagePart* part = add_part(image);
  part->ptx = kind == KIND_PTX;
  part->arch = (int)u32(header + 28);
  part->zstd = (flags & FLAG_ZSTD) != 0;
  part->only = flags & FLAG_ARCH ? 'a' : flags & FLAG_FAMILY ? 'f' : 0;
  unsigned char* plain = NULL;
  size_t size = stored;
  if (flags & (FLAG_LZ4 | FLAG_ZSTD)) {
    const size_t compressed = u32(header + 16);
    size = u64(header + 56);
    if (compressed > stored || size > ((size_t)1 << 31)) return INVALID_IMAGE;
    plain = malloc(size + 8);
    int result = INVALID_IMAGE;
    if (flags & FLAG_ZSTD) result = zstd(body, compressed, plain, size);
    else if (lz4(body, compressed, plain, size)) result = SUCCESS;
    if (result != SUCCESS) {
      free(plain);
      return result;
    }
    body = plain;
  }
  int result = SUCCESS;
  if (part->ptx) read_ptx(image, (const char*)body, size, part);
  else result = read_elf(image, body, size);
  free(plain);
  return result;
}

/* The text itself, ended by a zero. */
static int read_plain_ptx(Image* image, const char* text) {
  const char* const target = strstr(text, ".target sm_");
  if (target == NULL) return INVALID_PTX;
  ImagePart* const part = add_part(image);
  part->ptx = 1;
  char only = 0;
  sscanf(target, ".target sm_%d%c", &part->arch, &only);
  part->only = only == 'a' || only == 'f' ? only : 0;
  read_ptx(image, text, strlen(text), part);
  return SUCCESS;
}

int image_read(Image* image, const void* data) {
  memset(image, 0, sizeof *image);
  const unsigned char* p = data;
  if (memcmp(p, ELFMAG, SELFMAG) == 0) {
    const Elf64_Ehdr* header = data;
    ImagePart* part = add_part(image);
    part->arch = (int)(header->e_flags & 0xff); /* up to ABI 7; later ones do not say it here */
    if (header->e_ident[EI_ABIVERSION] >= 8) part->arch = (int)(header->e_flags >> 8 & 0xff);
    return read_elf(image, p, header->e_shoff + (size_t)header->e_shnum * sizeof(Elf64_Shdr));
  }
  if (p[0] == '.' || p[0] == '/' || isspace(p[0])) return read_plain_ptx(image, data);
  if (u32(p) != FATBIN_MAGIC) return INVALID_IMAGE;
  const unsigned char* const end = p + u16(p + 6) + u64(p + 8);
  for (p += u16(p + 6); end - p >= 64;) {
    const size_t header = u32(p + 4), stored = u64(p + 8);
    if (header < 64 || header + stored > (size_t)(end - p)) return INVALID_IMAGE;
    const int result = read_part(image, p, p + header, stored);
    if (result != SUCCESS) return result;
    p += header + stored;
  }
  return SUCCESS;
}

const ImagePart* image_ptx(const Image* image, const ImageKernel* kernel) {
  const ImagePart* best = NULL;
  for (int i = 0; i < image->part_count; ++i) {
    const ImagePart* const part = &image->parts[i];
    if (part->text == NULL || (kernel != NULL && !(kernel->parts >> i & 1))) continue;
    const int better = best == NULL || (best->only != 0 && part->only == 0) || ((best->only != 0) == (part->only != 0) && part->arch >= best->arch);
    if (better) best = part;
  }
  return best;
}

/* The first CUDA version whose driver compiles a version of PTX (PTX ISA manual, release history). */
static int driver_for_ptx(int version) {
  static const int table[][2] = {{80, 12000}, {81, 12010}, {82, 12020}, {83, 12030}, {84, 12040}, {85, 12050}, {86, 12070},
                                 {87, 12080}, {88, 12090}, {90, 13000}, {91, 13010}, {92, 13020}};
  for (size_t i = 0; i < sizeof table / sizeof *table; ++i) {
    if (version <= table[i][0]) return table[i][1];
  }
  return 1 << 30;
}

/* Code runs on the GPUs of its major version from its own minor on, PTX on all later ones; what is for an architecture
   alone runs there, and what is for a family stays in the major version (CUDA programming guide, "Feature sets"). */
static int runs(const ImagePart* part, int capability) {
  if (part->only == 'a') return part->arch == capability;
  if (part->arch > capability) return 0;
  return (part->ptx && part->only == 0) || part->arch / 10 == capability / 10;
}

/* The newest part that runs: code before PTX. */
int image_fits(const Image* image, const ImageKernel* kernel, int capability, int driver) {
  int failure = NO_BINARY_FOR_GPU, chosen = -1;
  for (int i = 0; i < image->part_count; ++i) {
    const ImagePart *part = &image->parts[i], *best = chosen < 0 ? NULL : &image->parts[chosen];
    if (part->zstd && driver < 12040) return INVALID_IMAGE; /* zstd came with driver 550 */
    if (!runs(part, capability)) continue;
    if (part->ptx && driver_for_ptx(part->version) > driver) failure = UNSUPPORTED_PTX;
    else if (best == NULL || part->ptx < best->ptx || (part->ptx == best->ptx && part->arch >= best->arch)) chosen = i;
  }
  if (chosen < 0) return failure;
  return kernel->parts >> chosen & 1 ? SUCCESS : NOT_FOUND;
}
