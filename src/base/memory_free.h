/*
 * How much memory a process may still take: what the system has free, and the limit of the control
 * groups that it is in.
 *
 * Path: run_need_check -> here.
 */
#ifndef MTS_BASE_MEMORY_FREE_H
#define MTS_BASE_MEMORY_FREE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes; pages of files that can be dropped count as free.  UINT64_MAX: not known. */
uint64_t memory_free_bytes(void);

/* The same, of a system whose files are below `root` ("" is this one): root/proc/meminfo,
 * root/proc/self/cgroup, root/sys/fs/cgroup. */
uint64_t memory_free_below(const char *root);

/* Of this process now, with its pages of files; 0: not known. */
uint64_t memory_resident_bytes(void);

/* Tests: from now on so many bytes are free; -1: as many as there are. */
void memory_free_pretend(int64_t bytes);

/* "8.1 GB"; returns text. */
enum { MEMORY_TEXT_BYTES = 32 };
const char *memory_text(char text[MEMORY_TEXT_BYTES], uint64_t bytes);

#endif
