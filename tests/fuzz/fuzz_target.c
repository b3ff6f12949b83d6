/* What targets share.  See fuzz_target.h. */
#include "fuzz/fuzz_target.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"

enum { PATH_BYTES = 4096 };

mts_ctx fuzz_ctx;
char fuzz_last_error[sizeof fuzz_ctx.error];
static char folder[PATH_BYTES];

size_t fuzz_seeds(const fuzz_target *target, fuzz_bytes out[FUZZ_SEEDS_MAX])
{
    size_t n = target->n_seeds;
    FUZZ_REQUIRE(n <= FUZZ_SEEDS_MAX);
    for (size_t i = 0; i < n; i++)
        out[i] = target->seeds[i];
    if (target->make_seeds != NULL)
        n += target->make_seeds(out + n, FUZZ_SEEDS_MAX - n);
    return n;
}

void fuzz_require_line(mts_status st, const mts_status *allowed)
{
    size_t i = 0;
    while (allowed[i] != MTS_OK && allowed[i] != st)
        i++;
    if (allowed[i] == MTS_OK)
        fprintf(stderr, "%s: %s\n", mts_status_name(st), fuzz_ctx.error);
    FUZZ_REQUIRE(allowed[i] != MTS_OK);
    FUZZ_REQUIRE(fuzz_ctx.error[0] != '\0');
    for (const char *c = fuzz_ctx.error; *c != '\0'; c++)
        FUZZ_REQUIRE((unsigned char)*c >= ' ' && *c != 127);
    strcpy(fuzz_last_error, fuzz_ctx.error);
    fuzz_ctx.error[0] = '\0';
}

void fuzz_require_error(mts_status st, const mts_status *allowed)
{
    fuzz_require_line(st, allowed);
    if (!utf8_is_valid(fuzz_last_error, strlen(fuzz_last_error), NULL))
        fprintf(stderr, "not UTF-8: %s\n", fuzz_last_error);
    FUZZ_REQUIRE(utf8_is_valid(fuzz_last_error, strlen(fuzz_last_error), NULL));
}

void fuzz_require_refusal(mts_status st)
{
    static const mts_status allowed[] = {MTS_ERR_BAD_FILE, MTS_ERR_UNSUPPORTED, MTS_OK};
    fuzz_require_error(st, allowed);
}

static void remove_folder(void)
{
    const mts_status st = file_remove_tree(NULL, folder);
    (void)st; /* nobody is left who could be told */
}

const char *fuzz_folder(void)
{
    if (folder[0] != '\0')
        return folder;
    const char *base = getenv("TMPDIR");
    if (base == NULL)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".";
    snprintf(folder, sizeof folder - 64, "%s", base);
    strcat(folder, "/mantissa_fuzz_XXXXXX");
    FUZZ_REQUIRE(mkdtemp(folder) != NULL);
    FUZZ_REQUIRE(atexit(remove_folder) == 0);
    return folder;
}

static void path_of(const char *name, char path[PATH_BYTES])
{
    const int bytes = snprintf(path, PATH_BYTES, "%s/%s", fuzz_folder(), name);
    FUZZ_REQUIRE(bytes > 0 && bytes < PATH_BYTES);
}

void fuzz_put(const char *name, const void *data, size_t size)
{
    char path[PATH_BYTES];
    path_of(name, path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FUZZ_REQUIRE(fd >= 0);
    FUZZ_REQUIRE(write(fd, data, size) == (ssize_t)size);
    FUZZ_REQUIRE(close(fd) == 0);
}

void fuzz_remove(const char *name)
{
    char path[PATH_BYTES];
    path_of(name, path);
    (void)unlink(path);
}

fuzz_bytes fuzz_take_part(fuzz_bytes *data)
{
    const char *end = data->size == 0 ? NULL : memchr(data->data, '\0', data->size);
    const fuzz_bytes part = {data->data, end == NULL ? data->size : (size_t)(end - data->data)};
    const size_t used = part.size + (end != NULL);
    data->data += used;
    data->size -= used;
    return part;
}

fuzz_bytes fuzz_take_counted(fuzz_bytes *data)
{
    fuzz_bytes part = {data->data, 0};
    if (data->size < 2)
        return part;
    part.size = (size_t)(uint8_t)data->data[0] | (size_t)(uint8_t)data->data[1] << 8;
    part.data = data->data + 2;
    if (part.size > data->size - 2)
        part.size = data->size - 2;
    data->data += 2 + part.size;
    data->size -= 2 + part.size;
    return part;
}

char *fuzz_text(fuzz_bytes bytes)
{
    char *text = malloc(bytes.size + 1);
    FUZZ_REQUIRE(text != NULL);
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return text;
}
