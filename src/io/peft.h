/*
 * The folder of a low-rank adapter as PEFT reads and writes it: adapter_config.json beside
 * adapter_model.safetensors.                                                         [Hu2022]
 *
 * Path: results_save_model -> peft_config_save; run_prepare, predictor_open -> peft_config_load.
 * Tensors are named PEFT_PREFIX + the module's name + ".lora_A.weight" or ".lora_B.weight".
 * Modules that are saved whole (modules_to_save) are those of a head: PEFT_PREFIX + the parameter's
 * name.
 * Not done, and refused: other kinds of adapters, biases, patterns of ranks and of names, other
 * modules that are saved whole, initial values that change the model's weights (PiSSA, ...).
 */
#ifndef MTS_IO_PEFT_H
#define MTS_IO_PEFT_H

#include "base/status.h"

#define PEFT_CONFIG "adapter_config.json"
#define PEFT_WEIGHTS "adapter_model.safetensors"
#define PEFT_PREFIX "base_model.model."

enum { PEFT_TASK_BYTES = 24 };

/* Owns targets; freed by peft_config_deinit. */
typedef struct peft_config {
    char task[PEFT_TASK_BYTES]; /* task_type, cut to fit; "": not said */
    const char *saved;          /* modules_to_save, separated by commas: those of a head, constant;
                                   NULL: none */
    double dropout;             /* of the adapter's input in training: 0..1 */
    int64_t rank;               /* 1..4096 */
    double alpha;               /* the scale is alpha / rank, or alpha / sqrt(rank) with rslora */
    bool rslora;
    char *targets; /* names separated by commas, or "all-linear" */
} peft_config;

/* The factor of x A^T B^T. */
double peft_scale(const peft_config *c);

/* *out: of dir/adapter_config.json.  MTS_ERR_NOT_FOUND, _IO, _MEMORY; _BAD_FILE: a type or range;
 * _UNSUPPORTED: what would be computed otherwise. */
MTS_NODISCARD mts_status peft_config_load(mts_ctx *ctx, const char *dir, peft_config *out);
void peft_config_deinit(peft_config *c);

/* Write dir/adapter_config.json atomically.  base: the model's folder, as PEFT is to find it;
 * c->task: "CAUSAL_LM", ... */
MTS_NODISCARD mts_status peft_config_save(mts_ctx *ctx, const peft_config *c, const char *base,
                                          const char *dir);

#endif
