/* A temporary folder with tokenizer files, for the tests of src/text. */
#ifndef MTS_TESTS_UNIT_TEXT_FOLDER_H
#define MTS_TESTS_UNIT_TEXT_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct text_folder {
    char path[32];
} text_folder;

static inline text_folder text_folder_make(void)
{
    text_folder folder = {"/tmp/mantissa_text_XXXXXX"};
    assert_non_null(mkdtemp(folder.path));
    return folder;
}

/* Write n bytes as folder/name. */
static inline void text_folder_write(const text_folder *folder, const char *name,
                                     const char *content, size_t n)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", folder->path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static inline void text_folder_put(const text_folder *folder, const char *name, const char *text)
{
    text_folder_write(folder, name, text, strlen(text));
}

/* Remove the files and the folder. */
static inline void text_folder_remove(const text_folder *folder)
{
    static const char *const names[] = {
        "vocab.txt",         "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "config.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", folder->path, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(folder->path), 0);
}

#endif
