/*
 * libFuzzer drives one target: FUZZ_TARGET, by the build.  tests/fuzz/run.sh starts the programs.
 *
 *   fuzz_<name> --write_seeds FOLDER    the target's seeds as files, and its words in FOLDER.dict
 *   fuzz_<name> FOLDER [-options]        as every libFuzzer program
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

extern const fuzz_target FUZZ_TARGET;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    return file;
}

static void write_seeds(const char *folder)
{
    fuzz_bytes seeds[FUZZ_SEEDS_MAX];
    const size_t n = fuzz_seeds(&FUZZ_TARGET, seeds);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "/seed_%02zu", i);
        FILE *file = create(folder, name);
        FUZZ_REQUIRE(fwrite(seeds[i].data, 1, seeds[i].size, file) == seeds[i].size);
        FUZZ_REQUIRE(fclose(file) == 0);
    }
    FILE *file = create(folder, ".dict");
    for (const char *const *word = FUZZ_TARGET.words; *word != NULL; word++) {
        fputc('"', file);
        for (const char *c = *word; *c != '\0'; c++)
            fprintf(file, "\\x%02x", (unsigned)(uint8_t)*c);
        fputs("\"\n", file);
    }
    FUZZ_REQUIRE(fclose(file) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    if (*argc == 3 && strcmp((*argv)[1], "--write_seeds") == 0) {
        write_seeds((*argv)[2]);
        exit(0);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool accepted = FUZZ_TARGET.run(data, size);
    (void)accepted; /* both are right answers */
    return 0;
}
