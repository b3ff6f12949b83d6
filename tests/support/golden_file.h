/*
 * Golden values of a model against which tests/golden holds a network: a folder with the model as
 * transformers saves it, and golden.safetensors, which the tools/make_golden*.py scripts write and
 * describe.  It has a batch, "grad.<parameter>" of that batch, and what else a test asks for.
 *
 * Folders are found in the environment's MANTISSA_GOLDEN_DIR, or in tests/golden/data.
 * Every function fails the running cmocka test when it cannot do its work.
 */
#ifndef MTS_TESTS_SUPPORT_GOLDEN_FILE_H
#define MTS_TESTS_SUPPORT_GOLDEN_FILE_H

#include "io/safetensors.h"
#include "support/test_check.h"
#include "support/test_model.h"

enum { GOLDEN_DIR_BYTES = 1024 };

/* A folder, its golden values, and one batch of these. */
typedef struct golden {
    char dir[GOLDEN_DIR_BYTES];
    safetensors *file;
    model_input in; /* borrows the arrays below */
    int64_t *lengths, *offset;
    int32_t *ids, *types, *positions;
    targets targets; /* none at first: the test reads what its head wants, golden_close frees it */
} golden;

/* Path of the folder `name`. */
void golden_folder(char dir[GOLDEN_DIR_BYTES], const char *name);

/* The folder and its batch, whose tensors have names with this prefix: lengths, ids, and type_ids,
 * without which all types are 0.  Freed by golden_close. */
void golden_open(golden *g, const char *name, const char *prefix);
void golden_close(golden *g);

/* A network with the weights of the folder, all of which it uses; options->head NULL: the one that
 * config.json asks for.  Freed by network_destroy. */
network *golden_network(const char *dir, const network_options *options);
/* The same with cfg, whose content it takes over, in the place of config.json. */
network *golden_network_of(const char *dir, model_config *cfg, const network_options *options);
/* The loss of the batch, with all gradients, in a step that is not the first. */
double golden_learn(const golden *g, network *net);
/* What options->limits must be for this batch. */
network_limits golden_limits(const golden *g);

/* ------------------------------------------------------------------------ reading tensors ---- */

const st_tensor *golden_tensor(const golden *g, const char *name);
/* Its n elements, to be freed by mem_free; of a tensor of this type, or of floats of any. */
void *golden_raw(const golden *g, const char *name, st_dtype dtype, int64_t n);
float *golden_floats(const golden *g, const char *name, int64_t n);
/* Its only element. */
double golden_number(const golden *g, const char *name);
/* The gradient of p, to be freed by mem_free. */
float *golden_gradient(const golden *g, const param *p);

/* ---------------------------------------------------------------------------- comparisons ---- */

/* The largest |x[i]|. */
double golden_largest(const float *x, int64_t n);
double golden_largest_gradient(const golden *g, const param *p);

/* The largest |found[i] - x[i]| / unit, with 0 < unit.  Fails unless all are at most `bound`. */
double golden_compare(const char *what, const float *found, const float *x, int64_t n, double unit,
                      double bound);
/* The same of the gradient of p; the unit is the largest element of the gradient of `like`: of p
 * itself, or of another if p has none, and only what rounding leaves. */
double golden_compare_gradient(const golden *g, const param *p, const param *like, double bound);

/* The signal-to-noise ratio of all gradients together, in dB. */
double golden_gradient_snr(const golden *g, const network *net);

#endif
