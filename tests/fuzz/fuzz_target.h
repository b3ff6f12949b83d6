/*
 * One hostile input, one reader: the targets that fixed seeds (ctest) and libFuzzer drive alike.
 *
 * Path: fixed_seeds.c, libfuzzer.c -> a fuzz_target -> a reader of src/.
 * To add a reader: tests/fuzz/target_<name>.c with a constant fuzz_target_<name>; the build finds
 * it.  A target must be fast (some thousand inputs a second), must not keep anything from one input
 * to the next, and must say by FUZZ_REQUIRE what holds for every input.
 */
#ifndef MTS_TESTS_FUZZ_FUZZ_TARGET_H
#define MTS_TESTS_FUZZ_FUZZ_TARGET_H

#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"

/* Ends the program with a message unless cond holds; works in a fuzzer, too. */
#define FUZZ_REQUIRE(cond)                                                                         \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #cond);                    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Bytes of an input, which may hold NUL. */
typedef struct fuzz_bytes {
    const char *data;
    size_t size;
} fuzz_bytes;

#define FUZZ_BYTES(literal)                                                                        \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define FUZZ_COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct fuzz_target {
    const char *name;
    /* Give the input to the reader and check what it answers; true: it was accepted. */
    bool (*run)(const uint8_t *data, size_t size);
    const fuzz_bytes *seeds; /* [n_seeds], inputs that are accepted: where mutation begins */
    size_t n_seeds;
    /* Or NULL.  More of them, in out[room]; returns how many.  They live as long as the program. */
    size_t (*make_seeds)(fuzz_bytes *out, size_t room);
    const fuzz_bytes *cases; /* [n_cases] or NULL, inputs that were findings once */
    size_t n_cases;
    bool whole;               /* no beginning of a seed is accepted, but all of it */
    const char *const *words; /* of the format, for mutation; NULL ends the list */
} fuzz_target;

enum { FUZZ_SEEDS_MAX = 16 };

/* All seeds of a target; returns how many. */
size_t fuzz_seeds(const fuzz_target *target, fuzz_bytes out[FUZZ_SEEDS_MAX]);

/* ------------------------------------------------------------------------- for targets ---- */

/* Of the program: its text is that of the last call that failed, until fuzz_require_error has
 * looked at it and has moved it to fuzz_last_error. */
extern mts_ctx fuzz_ctx;
extern char fuzz_last_error[];

/* An error is one of `allowed` (MTS_OK ends the list), and its text one line. */
void fuzz_require_line(mts_status st, const mts_status *allowed);
/* The same, and the line is UTF-8. */
void fuzz_require_error(mts_status st, const mts_status *allowed);
/* The same with MTS_ERR_BAD_FILE and MTS_ERR_UNSUPPORTED. */
void fuzz_require_refusal(mts_status st);

/* An empty folder of this program, removed when the program ends by itself: below TMPDIR, or in
 * memory, or below the present folder. */
const char *fuzz_folder(void);
/* Write a file of that folder, without fsync: this is done many thousand times. */
void fuzz_put(const char *name, const void *data, size_t size);
void fuzz_remove(const char *name);

/* Cut *data at the first NUL, which belongs to neither part: the part before it; *data becomes the
 * rest.  Without NUL: all of it, and the rest is empty. */
fuzz_bytes fuzz_take_part(fuzz_bytes *data);
/* Take a length of two bytes, and as many bytes; less if there are not so many. */
fuzz_bytes fuzz_take_counted(fuzz_bytes *data);
/* The bytes as text with a NUL behind; freed by free. */
char *fuzz_text(fuzz_bytes bytes);

#endif
