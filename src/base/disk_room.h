/*
 * How much room a disk has.
 *
 * Path: disk_space_check of training, weights_write of quantize and synth -> here.
 */
#ifndef MTS_BASE_DISK_ROOM_H
#define MTS_BASE_DISK_ROOM_H

#include <stdint.h>

enum { DISK_ROOM_TEXT_BYTES = 32 };

/* Bytes free for this user on the file system of a folder; UINT64_MAX: it does not say. */
uint64_t disk_room(const char *dir);

/* "123.4 MB" */
const char *disk_room_text(char text[DISK_ROOM_TEXT_BYTES], uint64_t bytes);

/* Tests: from now on every file system has so many bytes free; -1: as many as it has. */
void disk_room_pretend(int64_t bytes);

#endif
