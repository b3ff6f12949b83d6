/*
 * The families of kernels of this build, and the choice among them.
 *
 * Path: gemm driver -> kernels_select -> family -> kernel.  The choice never changes a result: all
 * families give the same bits.
 */
#include "kernels/kernels.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_features.h"

static const gemm_family *const families[] = {
    &gemm_family_ref,
#if defined(__x86_64__)
    &gemm_family_avx2,
    &gemm_family_avx512vnni,
    &gemm_family_amx,
#endif
};

enum { FAMILIES = sizeof families / sizeof families[0] };

const gemm_family *const *kernels_families(int *count)
{
    *count = FAMILIES;
    return families;
}

static uint32_t missing_features(const gemm_family *family)
{
    return family->features & ~cpu_features();
}

static const gemm_family *best_family(void)
{
    int best = FAMILIES - 1;
    while (best > 0 && missing_features(families[best]) != 0)
        best--;
    return families[best]; /* the first one, ref, needs no features */
}

/* "ref, avx2, ..." */
static void list_names(char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < FAMILIES && used < size; i++) {
        int n = snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "", families[i]->name);
        used += n > 0 ? (size_t)n : 0;
    }
}

static mts_status forced_family(mts_ctx *ctx, const char *name, const gemm_family **out)
{
    char text[128];
    for (int i = 0; i < FAMILIES; i++) {
        if (strcmp(families[i]->name, name) != 0)
            continue;
        uint32_t missing = missing_features(families[i]);
        if (missing == 0) {
            *out = families[i];
            return MTS_OK;
        }
        cpu_features_describe(missing, text, sizeof text);
        return status_set(ctx, MTS_ERR_UNSUPPORTED,
                          "MANTISSA_KERNEL=%s cannot run here: this processor or its operating "
                          "system does not offer %s",
                          name, text);
    }
    list_names(text, sizeof text);
    return status_set(ctx, MTS_ERR_ARGUMENT,
                      "MANTISSA_KERNEL=%s: no such family of kernels, expected one of %s", name,
                      text);
}

mts_status kernels_select(mts_ctx *ctx, const gemm_family **out)
{
    static _Atomic(const gemm_family *) selected;
    mts_status st = MTS_OK;
    const gemm_family *choice = NULL, *first = NULL;
    *out = atomic_load(&selected);
    if (*out != NULL)
        return MTS_OK;

    const char *name = getenv("MANTISSA_KERNEL");
    if (name != NULL && name[0] != '\0')
        MTS_TRY(forced_family(ctx, name, &choice));
    else
        choice = best_family();

    /* Two threads that race here must leave with the same answer: the first one stored wins. */
    if (!atomic_compare_exchange_strong(&selected, &first, choice))
        choice = first;
    *out = choice;
cleanup:
    return st;
}
