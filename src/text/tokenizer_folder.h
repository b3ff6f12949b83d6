/*
 * The files of a model folder that say which tokenizer it has, read once for all classes.
 *
 * Path: tokenizer_open -> tokenizer_folder_read -> claims and open of each class.
 */
#ifndef MTS_TEXT_TOKENIZER_FOLDER_H
#define MTS_TEXT_TOKENIZER_FOLDER_H

#include <jansson.h>

#include "base/status.h"

enum { TOKENIZER_FILE_BYTES_MAX = 256 * 1024 * 1024 };

typedef struct tokenizer_folder {
    const char *dir;        /* borrowed */
    char *source;           /* of json, for error texts: DIR/tokenizer.json */
    json_t *json;           /* tokenizer.json; NULL: not there */
    bool made;              /* json is what tokenizer.json would hold; there is none */
    json_t *config;         /* tokenizer_config.json; NULL: not there */
    json_t *model_config;   /* config.json; NULL: not there */
    bool has_vocab_txt;     /* vocab.txt is there */
    const json_t *model;    /* "model" of tokenizer.json, in json; NULL: not there */
    const char *model_type; /* its type, in json; NULL: not given */
    const char *class_name; /* tokenizer_class of tokenizer_config.json, else of config.json, in
                             * their JSON; NULL: not given */
    const char *class_file; /* which of the two says so */
    char *chat_template;    /* chat_template.jinja; NULL: not there */
} tokenizer_folder;

/* Read them into *out; tokenizer_folder_deinit is safe after failure.  dir must outlive it.
 * MTS_ERR_IO, MTS_ERR_BAD_FILE, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tokenizer_folder_read(mts_ctx *ctx, const char *dir,
                                               tokenizer_folder *out);
/* The same of a tokenizer that is in another file, `source`, which must outlive it: json and config
 * (may be NULL) are what tokenizer.json and tokenizer_config.json would hold.  References are
 * added.
 */
MTS_NODISCARD mts_status tokenizer_folder_make(mts_ctx *ctx, const char *source, json_t *json,
                                               json_t *config, tokenizer_folder *out);
/* Let a folder without tokenizer.json have this for it; a reference is added.  Statuses: above. */
MTS_NODISCARD mts_status tokenizer_folder_put(mts_ctx *ctx, tokenizer_folder *folder, json_t *json);
void tokenizer_folder_deinit(tokenizer_folder *folder);

/* *out: the JSON object in dir/name, NULL if there is no such file; drop with json_decref.
 * Statuses as above. */
MTS_NODISCARD mts_status tokenizer_folder_load(mts_ctx *ctx, const char *dir, const char *name,
                                               json_t **out);

/* *out: object[key] as a JSON object, NULL if absent or null.  MTS_ERR_BAD_FILE. */
MTS_NODISCARD mts_status tokenizer_folder_object(mts_ctx *ctx, const json_t *object,
                                                 const char *key, const json_t **out);

#endif
