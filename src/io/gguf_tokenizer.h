/*
 * The tokenizer of a GGUF file, as tokenizer.json and tokenizer_config.json would say it.
 *
 * Path: model_tokenizer_open (train/model_tokenizer.h) -> here -> tokenizer_open_json (text).
 *
 * A file has the tokens, their types, merges or scores, and the name of how texts are cut; the rest
 * is known by that name, here as the models' own files have it:
 *
 *   tokenizer.ggml.model   tokenizer.ggml.pre                     pre_tokenizer
 *   gpt2                   gpt-2, phi-2, default, or none         ByteLevel
 *                          smollm, starcoder, refact              each digit, ByteLevel
 *                          llama-bpe, llama3, llama-v3            Split of Llama 3; ignore_merges
 *                          qwen2, deepseek-r1-qwen                Split of Qwen2; qwen2 has NFC
 *                          falcon                                 Punctuation, ByteLevel, ...
 *   llama                  any                                    Metaspace
 * SentencePiece's files have scores in place of merges.  Merges are made of them as transformers
 * does: each way to cut a token in two tokens, the highest score first, of equal ones the longest
 * left part.
 *
 * Token types: 3 (control) is an added, special token, 4 (user defined) an added one; both are
 * found in the original text.  bos, eos, unk and pad are special whatever their type.  The row
 * begins with bos as add_bos_token says (without it: in llama and llama-bpe), and ends with eos as
 * add_eos_token says.
 *
 * Where transformers 5, given such a file, makes another tokenizer than the model's own: it knows
 * no digits of smollm, no NFC of qwen2, no ignore_merges (gates/check_gguf_model.py).
 * Not done: other values of both keys are refused by name.
 */
#ifndef MTS_IO_GGUF_TOKENIZER_H
#define MTS_IO_GGUF_TOKENIZER_H

#include "io/gguf.h"

struct json_t;

/*
 * *json, *config: new objects.  path: of the file, for error texts.
 * MTS_ERR_BAD_FILE: keys are missing, of another type, of other lengths, or tokens no texts;
 * MTS_ERR_UNSUPPORTED: another kind of tokenizer; MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status gguf_tokenizer_make(mts_ctx *ctx, const gguf *file, const char *path,
                                             struct json_t **json, struct json_t **config);

#endif
