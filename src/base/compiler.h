/* The only place for compiler extensions outside the ISA folders: attributes and vector types. */
#ifndef MTS_BASE_COMPILER_H
#define MTS_BASE_COMPILER_H

#if defined(__GNUC__)
#define MTS_INLINE static inline __attribute__((always_inline))
#define MTS_AT_UNLOAD __attribute__((destructor)) /* also at exit */
#define MTS_NOINLINE __attribute__((noinline))
#define MTS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define MTS_ALIGN64 __attribute__((aligned(64)))
#define MTS_PREFETCH(address) __builtin_prefetch(address)
#else
#error "Mantissa needs gcc or clang"
#endif

#endif
