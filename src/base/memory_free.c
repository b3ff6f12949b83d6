/* What memory is free.  See memory_free.h. */
#include "base/memory_free.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 1024, LINE_BYTES = 1024 };

static int64_t pretended = -1;

void memory_free_pretend(int64_t bytes)
{
    pretended = bytes;
}

const char *memory_text(char text[MEMORY_TEXT_BYTES], uint64_t bytes)
{
    const double mb = (double)bytes / 1e6;
    if (mb < 999.5)
        snprintf(text, MEMORY_TEXT_BYTES, "%.3g MB", mb);
    else
        snprintf(text, MEMORY_TEXT_BYTES, "%.3g GB", mb / 1e3);
    return text;
}

/* *value: the number behind `key` at the beginning of a line of the file, or with key "" at its
 * beginning.  False: there is none ("max" is none). */
static bool read_number(const char *path, const char *key, uint64_t *value)
{
    char line[LINE_BYTES];
    const size_t n = strlen(key);
    bool found = false;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    while (!found && fgets(line, sizeof line, f) != NULL) {
        char *end = line;
        if (strncmp(line, key, n) != 0)
            continue;
        const unsigned long long number = strtoull(line + n, &end, 10);
        found = end != line + n;
        *value = number;
        if (!found)
            break;
    }
    (void)fclose(f);
    return found;
}

/* The names of one version of control groups. */
typedef struct group_files {
    const char *controller; /* of a line of /proc/self/cgroup: between its colons */
    const char *mount, *limit, *usage, *cache;
} group_files;

static const group_files versions[] = {
    {"", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
    {"memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
     "total_inactive_file "},
};

static bool join(char path[PATH_BYTES], const char *dir, const char *name)
{
    const int n = snprintf(path, PATH_BYTES, "%s/%s", dir, name);
    return n > 0 && n < PATH_BYTES;
}

/* What the group of this folder leaves; UINT64_MAX: it has no limit. */
static uint64_t free_in_group(const char *dir, const group_files *files)
{
    char path[PATH_BYTES];
    uint64_t limit = 0, usage = 0, cache = 0;
    if (!join(path, dir, files->limit) || !read_number(path, "", &limit))
        return UINT64_MAX;
    if (!join(path, dir, files->usage) || !read_number(path, "", &usage))
        return UINT64_MAX;
    if (join(path, dir, "memory.stat"))
        (void)read_number(path, files->cache, &cache);
    usage = usage > cache ? usage - cache : 0;
    return limit > usage ? limit - usage : 0;
}

/* The least of the group at mount + path and those above it; in a container the path may be that of
 * the host, and only the mount there. */
static uint64_t free_in_groups(const char *mount, char *path, const group_files *files)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        char dir[PATH_BYTES];
        const int n = snprintf(dir, sizeof dir, "%s%s", mount, path);
        const uint64_t here = n > 0 && n < PATH_BYTES ? free_in_group(dir, files) : UINT64_MAX;
        least = here < least ? here : least;
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup: "number:controllers:/path". */
static uint64_t free_in_line(const char *root, char *line)
{
    char mount[PATH_BYTES];
    char *controller = strchr(line, ':');
    char *path = controller == NULL ? NULL : strchr(controller + 1, ':');
    if (path == NULL)
        return UINT64_MAX;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    for (size_t v = 0; v < sizeof versions / sizeof versions[0]; v++) {
        const int n = snprintf(mount, sizeof mount, "%s%s", root, versions[v].mount);
        if (n > 0 && n < PATH_BYTES && strcmp(controller + 1, versions[v].controller) == 0)
            return free_in_groups(mount, path, &versions[v]);
    }
    return UINT64_MAX;
}

uint64_t memory_free_below(const char *root)
{
    char path[PATH_BYTES], line[LINE_BYTES];
    uint64_t least = UINT64_MAX, kb = 0;
    FILE *f = NULL;
    if (join(path, root, "proc/meminfo") && read_number(path, "MemAvailable:", &kb))
        least = kb * 1024;
    if (join(path, root, "proc/self/cgroup"))
        f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const uint64_t here = free_in_line(root, line);
        least = here < least ? here : least;
    }
    if (f != NULL)
        (void)fclose(f);
    return least;
}

uint64_t memory_resident_bytes(void)
{
    uint64_t kb = 0;
    return read_number("/proc/self/status", "VmRSS:", &kb) ? kb * 1024 : 0;
}

uint64_t memory_free_bytes(void)
{
    return pretended >= 0 ? (uint64_t)pretended : memory_free_below("");
}
