/* Making safetensors files, and what holds for all tensors of an opened file or folder. */
#ifndef MTS_TESTS_FUZZ_USE_SAFETENSORS_H
#define MTS_TESTS_FUZZ_USE_SAFETENSORS_H

#include "fuzz/fuzz_target.h"
#include "io/safetensors.h"

/* Write a file of the folder: the length of the header, the header, the data. */
void put_safetensors(const char *name, fuzz_bytes header, fuzz_bytes data);

/* Find, measure and read every tensor; together they have at most `size` bytes. */
void use_safetensors(const safetensors *file, size_t size);

#endif
