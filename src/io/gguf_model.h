/*
 * A GGUF file as a model: its configuration as config.json would say it, and its weights by the
 * names and in the order of rows that transformers has.
 *
 *   model.embed_tokens   token_embd        self_attn.{q,k,v,o}_proj     attn_{q,k,v,output}
 *   model.norm           output_norm       mlp.{gate,up,down}_proj      ffn_{gate,up,down}
 *   lm_head              output            input_layernorm              attn_norm
 *   model.layers.N.      blk.N.            post_attention_layernorm     ffn_norm
 *                                          self_attn.{q,k}_norm         attn_{q,k}_norm
 *
 * Order of rows: llama.cpp turns neighbouring pairs of a head's numbers where transformers turns
 * halves (layers/rope.h), so in files of architecture llama (Llama, Mistral, SmolLM2, TinyLlama)
 * the rows of attn_q and attn_k, weights and biases, are reordered within each head of d rows:
 *     row 2 j + s of the file is row s d/2 + j of transformers,   s = 0, 1.
 * qwen2 and qwen3 have the order of transformers.  Source: permute in convert_hf_to_gguf.py of
 * llama.cpp.
 *
 * Path: model_config_load -> gguf_model_config; network_load -> weight_file -> gguf_model_read.
 * Not done: other architectures, models in several files, mixtures of experts.
 */
#ifndef MTS_IO_GGUF_MODEL_H
#define MTS_IO_GGUF_MODEL_H

#include "io/gguf.h"

struct json_t;

/* What the architectures here differ in. */
typedef struct gguf_family {
    const char *name;       /* general.architecture, and model_type of config.json */
    const char *class_name; /* "Llama" + "ForCausalLM" */
    bool reordered;         /* rows of q and k, as above */
} gguf_family;

typedef struct gguf_model {
    gguf *file;
    const char *path; /* borrowed */
    const gguf_family *family;
    int64_t heads, kv_heads;
} gguf_model;

/*
 * *file: the GGUF file that `path`, of a model, stands for: itself if it is a file; the one whose
 * name ends in .gguf if it is a folder with such a file and without config.json.  NULL: it is a
 * folder of transformers, or nothing.  Free with mem_free.
 * MTS_ERR_ARGUMENT: a folder with several of them; MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status gguf_model_find(mts_ctx *ctx, const char *path, char **file);

/* Open the file at path, which must outlive *out.  The errors of gguf_open; MTS_ERR_UNSUPPORTED:
 * another architecture, or a part of a model; MTS_ERR_BAD_FILE: numbers of heads.  In every case
 * give *out to gguf_model_close. */
MTS_NODISCARD mts_status gguf_model_open(mts_ctx *ctx, const char *path, gguf_model *out);
void gguf_model_close(gguf_model *m);

/*
 * *out: a new object, as config.json has it.  Its numbers are checked as those of any other one
 * afterwards.  MTS_ERR_BAD_FILE: a key is missing, of another type, or out of range;
 * MTS_ERR_UNSUPPORTED: what would be computed otherwise.
 */
MTS_NODISCARD mts_status gguf_model_config(mts_ctx *ctx, const gguf_model *m, struct json_t **out);

enum { GGUF_MODEL_NAME_BYTES = 128 };

/* name: the tensor of a parameter that transformers calls so.  False: no file has one. */
bool gguf_model_name(const char *parameter, char name[GGUF_MODEL_NAME_BYTES]);

/* The key of a llama3 model's frequencies, which gguf_model_config reads: no weight. */
#define GGUF_MODEL_FREQUENCIES "rope_freqs.weight"

/* *out: d, the rows of a head, of a tensor whose rows are reordered as above; else 0.
 * MTS_ERR_BAD_FILE: its rows are no heads. */
MTS_NODISCARD mts_status gguf_model_head_rows(mts_ctx *ctx, const gguf_model *m,
                                              const gguf_tensor *t, int64_t *out);

/* Row of transformers for a row of a file of architecture llama, in heads of d rows (see above),
 * and the way back. */
int64_t gguf_model_row(int64_t row, int64_t d);
int64_t gguf_model_row_in_file(int64_t row, int64_t d);

/* out[rows * cols]: rows [first, first + rows) of a tensor, by their numbers in transformers; of a
 * vector all, with first 0 and rows 1.  Errors as below. */
MTS_NODISCARD mts_status gguf_model_read_rows(mts_ctx *ctx, const gguf_model *m,
                                              const gguf_tensor *t, int64_t first, int64_t rows,
                                              float *out);

/* out[rows * cols]: all values of a tensor, rows of q and k in the order of transformers.  The
 * errors of gguf_read_rows; MTS_ERR_BAD_FILE: its rows are no heads. */
MTS_NODISCARD mts_status gguf_model_read(mts_ctx *ctx, const gguf_model *m, const gguf_tensor *t,
                                         float *out);

#endif
