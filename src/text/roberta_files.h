/*
 * What the class RobertaTokenizer of transformers makes of a folder's files.
 *
 *   vocab.json and merges.txt, no tokenizer.json   what tokenizer.json would hold: byte-level
 *       pieces, rows <s> a </s> and <s> a </s></s> b </s>, special tokens by the names of
 *       special_tokens_map.json and tokenizer_config.json, which may list them with their flags
 *       (added_tokens_decoder)
 *   tokenizer.json   add_prefix_space is what tokenizer_config.json says, or false, whatever
 *       tokenizer.json says
 *
 * Path: tokenizer_open_files -> roberta_files_make;
 *       bpe_class.open -> roberta_files_set_prefix;
 *       bpe_class.write_rules -> roberta_files_say_words.
 */
#ifndef MTS_TEXT_ROBERTA_FILES_H
#define MTS_TEXT_ROBERTA_FILES_H

#include "text/tokenizer_files.h"
#include "text/tokenizer_folder.h"

/*
 * Let folder->json be what tokenizer.json would hold, if the folder has vocab.json and no other
 * file that is enough for a tokenizer.
 * MTS_ERR_UNSUPPORTED: of another class of tokenizer, or with added_tokens.json;
 * MTS_ERR_NOT_FOUND: no merges.txt; MTS_ERR_BAD_FILE: special tokens that vocab.json does not have;
 * MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status roberta_files_make(mts_ctx *ctx, tokenizer_folder *folder);

/* Let folder->json say what that class does, if the folder is for it: *is_roberta.
 * MTS_ERR_BAD_FILE, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status roberta_files_set_prefix(mts_ctx *ctx, const tokenizer_folder *folder,
                                                  bool *is_roberta);

/* Let the files of such a tokenizer say that words are tokenized with a blank before each, as
 * tokenizer_encode_words does: add_prefix_space, which transformers asks for where texts are words.
 * MTS_ERR_BAD_FILE, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status roberta_files_say_words(mts_ctx *ctx, tokenizer_files *files);

#endif
