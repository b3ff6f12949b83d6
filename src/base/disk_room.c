/* Room on a disk.  See disk_room.h. */
#define _XOPEN_SOURCE 700 /* statvfs */
#include "base/disk_room.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int64_t pretended = -1;

void disk_room_pretend(int64_t bytes)
{
    pretended = bytes;
}

uint64_t disk_room(const char *dir)
{
    struct statvfs s;
    if (pretended >= 0)
        return (uint64_t)pretended;
    if (statvfs(dir, &s) != 0 || s.f_blocks == 0)
        return UINT64_MAX;
    return (uint64_t)(geteuid() == 0 ? s.f_bfree : s.f_bavail) * s.f_frsize;
}

const char *disk_room_text(char text[DISK_ROOM_TEXT_BYTES], uint64_t bytes)
{
    const double mb = (double)bytes / 1e6;
    snprintf(text, DISK_ROOM_TEXT_BYTES, mb < 9999.5 ? "%.4g MB" : "%.0f MB", mb);
    return text;
}
