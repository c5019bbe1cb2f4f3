/* printf and assert of device code: texts and arguments lie in memory that a kernel names, so each byte is looked up. */
#include <stdio.h>

#include "machine.h"

enum { MOST_TEXT = 4096 };

/* A text that ends in a zero, or NULL. */
static const char* text_at(Warp* w, const Instruction* i, u32 lane, u64 address, char* room) {
  for (u32 k = 0; k < MOST_TEXT; ++k) {
    const u8* const at = at_generic(w, i, lane, address + k, 1, 1, READ);
    if (at == NULL) return NULL;
    room[k] = (char)*at;
    if (room[k] == 0) return room;
  }
  room[MOST_TEXT - 1] = 0;
  return room;
}

static u64 argument(Warp* w, const Instruction* i, u32 lane, u64* at, u32 bytes) {
  *at = (*at + bytes - 1) / bytes * bytes;
  u64 value = 0;
  const u8* const there = at_generic(w, i, lane, *at, bytes, bytes, READ);
  if (there) memcpy(&value, there, bytes);
  *at += bytes;
  return value;
}

/* One conversion, with the flags, width and precision that the kernel wrote: bounded, and never %n. */
static int converted(Warp* w, const Instruction* i, u32 lane, const char* spec, u32 length, u64* at, char* out, size_t room) {
  char one[32], text[MOST_TEXT];
  const char kind = spec[length - 1];
  /* only flags, width, precision and lengths: no positions, no %n, no numbers of ten digits */
  const int strange = strspn(spec + 1, "-+ #0123456789.lhzjt") != length - 2;
  if (length >= sizeof one - 3 || length > 12 || strange) return snprintf(out, room, "%.*s", (int)length, spec);
  const int wide = memchr(spec, 'l', length) != NULL || memchr(spec, 'z', length) != NULL || memchr(spec, 'j', length) != NULL;
  u32 n = 0;
  for (u32 k = 0; k + 1 < length; ++k) {
    if (strchr("lhzjtL", spec[k]) == NULL) one[n++] = spec[k];
  }
  if (strchr("diouxX", kind)) {
    memcpy(one + n, "ll", 2);
    one[n + 2] = kind;
    one[n + 3] = 0;
    const u64 value = argument(w, i, lane, at, wide ? 8 : 4);
    return snprintf(out, room, one, wide ? (long long)value : strchr("di", kind) ? (long long)(s32)value : (long long)(u32)value);
  }
  one[n] = kind;
  one[n + 1] = 0;
  if (strchr("eEfFgGaA", kind)) {
    const u64 bits = argument(w, i, lane, at, 8);
    double value;
    memcpy(&value, &bits, 8);
    return snprintf(out, room, one, value);
  }
  if (kind == 'c') return snprintf(out, room, one, (int)argument(w, i, lane, at, 4));
  if (kind == 'p') return snprintf(out, room, one, (void*)(uintptr_t)argument(w, i, lane, at, 8));
  if (kind == 's') {
    const char* const value = text_at(w, i, lane, argument(w, i, lane, at, 8), text);
    return snprintf(out, room, one, value ? value : "(null)");
  }
  return snprintf(out, room, "%.*s", (int)length, spec);
}

/* Returns how many arguments there were, as printf of device code does; negative: no format. */
static s32 print_lane(Warp* w, const Instruction* i, u32 lane, u64 format_at, u64 at) {
  Launch* const l = w->block->launch;
  char format[MOST_TEXT], out[2 * MOST_TEXT];
  if (text_at(w, i, lane, format_at, format) == NULL) return -1;
  s32 arguments = 0;
  size_t n = 0;
  for (const char* p = format; *p && n + 1 < sizeof out;) {
    if (*p != '%') { out[n++] = *p++; continue; }
    if (p[1] == '%') { out[n++] = '%', p += 2; continue; }
    const u32 length = (u32)strcspn(p + 1, "diouxXeEfFgGaAcpsn") + 2;
    if (p[length - 1] == 0) break;
    const int made = converted(w, i, lane, p, length, &at, out + n, sizeof out - n);
    n += made < 0 ? 0 : (size_t)made < sizeof out - n ? (size_t)made : sizeof out - n - 1;
    p += length;
    ++arguments;
  }
  if (l->print) l->print(out, n);
  else fwrite(out, 1, n, stdout);
  return arguments;
}

/* d = vprintf(format, arguments) */
void print(Warp* w, const Instruction* i, u32 on) {
  FOR_LANES(on) ((s32*)slot(w, i, 0))[lane] = print_lane(w, i, lane, operand_u64(w, i, 1, lane), operand_u64(w, i, 2, lane));
}

/* __assertfail(message, file, line, function): the launch ends. */
void assertion(Warp* w, const Instruction* i, u32 on) {
  const u32 lane = (u32)__builtin_ctz(on);
  char message[MOST_TEXT], file[MOST_TEXT];
  Report* const made = report(w, i, lane, ASSERTION);
  if (made) {
    const char* const said = text_at(w, i, lane, operand_u64(w, i, 0, lane), message);
    const char* const where = text_at(w, i, lane, operand_u64(w, i, 1, lane), file);
    snprintf(made->text, sizeof made->text, "%.90s (%.40s:%u)", said ? said : "", where ? where : "", operand_u32(w, i, 2, lane));
  }
  stop(w->block->launch, 710);
}
