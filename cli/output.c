/*
 * Result files: standard output, or a file that appears under its name only when it is complete
 * (temporary name in the same folder, fsync, rename).
 *
 * A path that exists and is not a regular file (a device, a pipe) is written in place.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool output_open(output *o, const char *path)
{
    *o = (output){.file = stdout, .path = path};
    if (path == NULL)
        return true;
    o->file = NULL;
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        o->file = fopen(path, "w");
    } else {
        const size_t bytes = strlen(path) + 32;
        o->temp = malloc(bytes);
        if (o->temp != NULL) {
            snprintf(o->temp, bytes, "%s.tmp-%ld", path, (long)getpid());
            unlink(o->temp); /* left by a killed process that had our number */
            const int fd = open(o->temp, O_WRONLY | O_CREAT | O_EXCL, 0666);
            o->file = fd >= 0 ? fdopen(fd, "w") : NULL;
            if (fd >= 0 && o->file == NULL) {
                close(fd);
                unlink(o->temp);
            }
        }
    }
    if (o->file == NULL) {
        cli_error("cannot write %s: %s", path, strerror(errno));
        free(o->temp);
        o->temp = NULL;
        return false;
    }
    return true;
}

bool output_commit(output *o)
{
    const char *name = o->path != NULL ? o->path : "standard output";
    bool ok = fflush(o->file) == 0 && ferror(o->file) == 0;
    if (ok && o->temp != NULL)
        ok = fsync(fileno(o->file)) == 0 && rename(o->temp, o->path) == 0;
    if (!ok) {
        cli_error("cannot write %s: %s", name, strerror(errno));
        return false;
    }
    free(o->temp);
    o->temp = NULL;
    return true;
}

void output_close(output *o)
{
    if (o->file != NULL && o->path != NULL)
        fclose(o->file);
    if (o->temp != NULL)
        unlink(o->temp);
    free(o->temp);
    *o = (output){.file = NULL};
}

void output_tsv_field(FILE *file, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\t')
            fputs("\\t", file);
        else if (*p == '\n')
            fputs("\\n", file);
        else if (*p == '\r')
            fputs("\\r", file);
        else if (*p == '\\')
            fputs("\\\\", file);
        else
            fputc(*p, file);
    }
}

void output_json_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(file, "\\%c", *p);
        else if (*p < ' ')
            fprintf(file, "\\u%04x", *p);
        else
            fputc(*p, file);
    }
    fputc('"', file);
}
